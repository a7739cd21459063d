"""References, manifests, configurations, accounts and credentials: the pure parts of images that are themselves."""

from __future__ import annotations

import base64
import json
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.engine.node.accounts import Accounts, Identity
from argosy.engine.node.images.catalogue import CatalogueFiles
from argosy.engine.node.images.resolve import CatalogueError, ImageError, read, rule_of
from argosy.engine.node.oci import manifest
from argosy.engine.node.oci.credentials import Credential, challenge, fitting, read_secret
from argosy.engine.node.oci.reference import OnDisk, Remote, is_loopback, parse, target_of
from argosy.engine.node.oci.store import chain_id

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("reference", "parsed"),
    [
        ("busybox", Remote("docker.io", "library/busybox", "latest")),
        ("me/app:1", Remote("docker.io", "me/app", "1")),
        ("index.docker.io/me/app", Remote("docker.io", "me/app", "latest")),
        ("ghcr.io/me/app:1", Remote("ghcr.io", "me/app", "1")),
        ("UPPER/app", Remote("UPPER", "app", "latest")),
        ("localhost/app", Remote("localhost", "app", "latest")),
        ("localhost:5000/a/b/c:1", Remote("localhost:5000", "a/b/c", "1")),
        (f"ghcr.io/me/app:1@{D}", Remote("ghcr.io", "me/app", "1", D)),
        (f"app@{D}", Remote("docker.io", "library/app", "", D)),
    ],
)
def test_references(reference, parsed):
    assert parse(reference) == parsed


@pytest.mark.parametrize("bad", ["", "UPPER", "a b", "app@md5:" + "a" * 32, "app@sha256:" + "a" * 40, "../x", "a/../b"])
def test_what_is_no_reference(bad):
    with pytest.raises(ImageError) as caught:
        parse(bad)
    assert caught.value.reason == "InvalidImageName"


@pytest.mark.parametrize(
    ("rule", "reference", "target"),
    [
        ("", "me/app:1", Remote("docker.io", "me/app", "1")),
        ("docker://localhost:5000/other:2", "me/app:1", Remote("localhost:5000", "other", "2")),
        ("docker://localhost:5000/other", "me/app:1", Remote("localhost:5000", "other", "1")),
        ("docker://mirror.lan/", "app:1", Remote("mirror.lan", "library/app", "1")),
        ("docker://mirror.lan/", f"ghcr.io/me/app@{D}", Remote("mirror.lan", "me/app", "", D)),
        ("oci:/images/app", "me/app:1", OnDisk(Path("/images/app"), "1")),
        ("oci:/images/app", "me/app", OnDisk(Path("/images/app"), "")),
        ("oci:/images/app:2", "me/app:1", OnDisk(Path("/images/app"), "2")),
        ("oci:/images/app", f"me/app@{D}", OnDisk(Path("/images/app"), "", D)),
        ("oci:/a:b/app", "me/app:1", OnDisk(Path("/a:b/app"), "1")),
    ],
)
def test_where_an_image_is(rule, reference, target):
    assert target_of(rule, reference) == target


@pytest.mark.parametrize(
    ("registry", "loopback"),
    [
        ("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("127.8.8.8", True), ("[::1]:5000", True),
        ("localhost.example.com", False), ("127.0.0.1.nip.io", False), ("10.0.0.1:5000", False), ("registry.lan", False),
    ],
)  # fmt: skip
def test_loopback(registry, loopback):
    assert is_loopback(registry) is loopback


def catalogue(text: str, tmp_path: Path):
    (tmp_path / "images.yaml").write_text(text)
    return CatalogueFiles(tmp_path / "images.yaml").current()


def test_which_images_are_themselves(tmp_path):
    known = catalogue(
        "images:\n- {match: 'me/app:2', oci: 'oci:/images/app'}\n- {match: me/*, environment: torch}\n"
        "- {match: ['ghcr.io/*', 'localhost:5000/*'], oci: true}\n- {match: busybox, oci: 'docker://localhost:5000/'}\n",
        tmp_path,
    )

    def rule(reference, *, itself=False):
        return rule_of(known, reference, itself=itself)

    assert rule("me/app:2") == "oci:/images/app"
    assert rule("me/app:1") is None
    assert rule("me/app:1", itself=True) == ""
    assert rule("ghcr.io/x/y:1") == rule("localhost:5000/y") == ""
    assert rule("busybox:1.36") == "docker://localhost:5000/"
    assert rule("alpine") is None  # the catalogue's own
    assert rule("alpine", itself=True) == ""
    assert rule("quay.io/nobody/knows") == ""
    refusing = catalogue("unmapped: refuse\n", tmp_path / "..")
    assert rule_of(refusing, "quay.io/nobody/knows", itself=False) is None
    assert rule_of(refusing, "quay.io/nobody/knows", itself=True) == ""


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"images": [{"match": "a", "oci": "ftp://x"}]}, "write true, docker://"),
        ({"images": [{"match": "a", "oci": "oci:relative"}]}, "write true, docker://"),
        ({"images": [{"match": "a", "oci": True, "environment": "host"}]}, "or `oci` in its place"),
        ({"images": [{"match": "a"}]}, "or `oci` in its place"),
        ({"unmapped": "guess"}, "write pull or refuse"),
        ({"registries": {"http://x": {"plain_http": True}}}, "HOST[:PORT]"),
        ({"registries": {"x": {"insecure": True}}}, "plain_http: true"),
    ],
)
def test_catalogues_that_make_no_sense(document, says):
    with pytest.raises(CatalogueError) as caught:
        read(document, {"environments": {"host": {"kind": "host"}}})
    assert says in str(caught.value)


def test_configurations():
    config = manifest.read_config(
        {
            "os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [D]},
            "config": {
                "Entrypoint": ["/entry"], "Cmd": ["a", "b"], "Env": ["PATH=/bin", "A=b=c", "EMPTY="], "WorkingDir": "/w",
                "User": "app:77", "StopSignal": "SIGRTMIN+3", "ExposedPorts": {"80/tcp": {}}, "Labels": None,
            },
        }
    )  # fmt: skip
    assert config == manifest.Config(
        (D,), ("/entry",), ("a", "b"), {"PATH": "/bin", "A": "b=c", "EMPTY": ""}, "/w", "app:77",
        int(signal.SIGRTMIN) + 3, ("linux", "amd64"),
    )  # fmt: skip
    bare = manifest.read_config({"rootfs": {"diff_ids": []}, "config": {"Env": None, "Cmd": None}})
    assert (bare.command, bare.working_dir, bare.stop_signal) == ((), "/", None)


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGTERM", 15), ("term", 15), ("9", 9), ("SIGQUIT", 3), ("SIGRTMAX-1", signal.SIGRTMAX - 1), ("", None), ("SIGX", None),
     ("0", None), ("999", None), ("SIGTERM+x", None)],
)  # fmt: skip
def test_stop_signals(text, number):
    assert manifest.stop_signal(text) == number


def descriptor(**more):
    return {"mediaType": manifest.MANIFESTS[0], "digest": D, "size": 1, **more}


def test_the_image_for_this_machine():
    platforms = [("linux", "arm64", "v8"), ("linux", "amd64", ""), ("windows", "amd64", ""), ("unknown", "unknown", "")]
    raw = {
        "manifests": [
            descriptor(size=n, platform={"os": o, "architecture": a, "variant": v})
            for n, (o, a, v) in enumerate(platforms)
        ]
    }
    listed = manifest.descriptors(raw)
    assert manifest.choose(listed, "amd64").size == 1
    assert manifest.choose(listed, "arm64").size == 0
    with pytest.raises(
        ImageError, match="no image for linux/s390x: there is linux/amd64, linux/arm64/v8, windows/amd64"
    ):
        manifest.choose(listed, "s390x")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "Docker's old format"),
        ({"schemaVersion": 2}, "not an image"),
        ({"config": descriptor(mediaType="application/vnd.cncf.helm.config.v1+json"), "layers": []}, "helm"),
        (
            {"config": descriptor(mediaType="application/vnd.oci.empty.v1+json"), "artifactType": "x/y", "layers": []},
            "x/y",
        ),
        ({"config": descriptor(digest="sha256:../../x"), "layers": []}, "cannot be"),
        ({"config": descriptor(size=-1), "layers": []}, "cannot be"),
        ({"config": [], "layers": []}, "no blob"),
        (
            {
                "config": descriptor(mediaType="application/vnd.oci.image.config.v1+json"),
                "layers": [descriptor(mediaType="application/x-7z")],
            },
            "application/x-7z, which is not read",
        ),
    ],
)
def test_manifests_that_are_no_images(raw, says):
    def read():
        manifest.is_index(raw, "")
        manifest.read_manifest(raw)

    with pytest.raises(ImageError) as caught:
        read()
    assert says in caught.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b" " * (manifest.DOCUMENT_BYTES_MAX + 1)])
def test_documents_that_are_none(content):
    with pytest.raises(ImageError):
        manifest.document(content, "manifest")


def test_chains():
    assert chain_id([D]) == "a" * 64
    assert chain_id([D, D]) != chain_id([D, D, D]) != chain_id([D])


ACCOUNTS = Accounts(
    "root:x:0:0:root:/root:/bin/sh\napp:x:1234:5678:app:/home/app:/bin/sh\nbroken:line\nodd:x:y:0::/:\n",
    "root:x:0:\napp:x:5678:\nextra:x:77:other,app\nmore:x:78:app\nwheel:x:10:root\n",
)


@pytest.mark.parametrize(
    ("user", "gid", "who"),
    [
        ("", None, Identity(0, 0, (10,), "/root")),
        ("root", None, Identity(0, 0, (10,), "/root")),
        ("app", None, Identity(1234, 5678, (77, 78), "/home/app")),
        ("1234", None, Identity(1234, 5678, (77, 78), "/home/app")),
        ("app:extra", None, Identity(1234, 77, (78,), "/home/app")),
        ("1234:0", None, Identity(1234, 0, (77, 78), "/home/app")),
        ("999", None, Identity(999, 0, (), "/")),
        ("999:888", None, Identity(999, 888, (), "/")),
        ("app", 5, Identity(1234, 5, (77, 78), "/home/app")),
    ],
)
def test_users(user, gid, who):
    assert ACCOUNTS.identity(user, gid=gid) == who


@pytest.mark.parametrize(
    ("user", "says"), [("nobody", "no user nobody"), ("app:none", "no group none"), (str(1 << 40), "range")]
)
def test_users_that_are_not_there(user, says):
    with pytest.raises(LookupError, match=says):
        ACCOUNTS.identity(user)


def secret(**auths):
    return {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


def test_credentials_of_secrets():
    both = base64.b64encode(b"me:pass:word").decode()
    entries = read_secret(secret(a={"auth": both}, b={"username": "u", "password": "p"}, c={"identitytoken": "t"}))
    assert entries == {"a": Credential("me", "pass:word"), "b": Credential("u", "p"), "c": Credential("", "", "t")}
    assert read_secret({".dockercfg": json.dumps({"a": {"auth": both}}).encode()}) == {
        "a": Credential("me", "pass:word")
    }
    for bad in ({}, {".dockerconfigjson": b"{}"}, {".dockerconfigjson": b"x"}, secret(a={"auth": "\xff"})):
        with pytest.raises(ValueError):
            read_secret(bad)


@pytest.mark.parametrize(
    ("key", "reference", "fits"),
    [
        ("https://index.docker.io/v1/", "busybox", True),
        ("docker.io", "me/app", True),
        ("ghcr.io", "ghcr.io/me/app", True),
        ("ghcr.io/me", "ghcr.io/me/app", True),
        ("ghcr.io/me", "ghcr.io/meow/app", False),
        ("ghcr.io", "busybox", False),
        ("*.example.com", "registry.example.com/app", True),
        ("*.example.com", "a.b.example.com/app", False),
        ("*.example.com", "example.com/app", False),
        ("localhost:5000", "localhost:5000/app", True),
        ("localhost:5000", "localhost:5001/app", False),
        ("https://registry.example.com/v2/", "registry.example.com/app", True),
    ],
)
def test_whom_credentials_are_for(key, reference, fits):
    who = Credential("u", "p")
    assert fitting(parse(reference), [{key: who}]) == ((who,) if fits else ())


def test_the_most_specific_credentials_come_first():
    a, b, c = Credential("a"), Credential("b"), Credential("c")
    assert fitting(parse("ghcr.io/me/app"), [{"ghcr.io": a, "ghcr.io/me/app": b}, {"ghcr.io/me": c, "quay.io": a}]) == (
        b,
        c,
        a,
    )


def test_challenges():
    read = challenge('Bearer realm="https://auth.example.com/token",service="r",scope="repository:a/b:pull,push"')
    assert read.scheme == "bearer"
    assert read.parameters["scope"] == "repository:a/b:pull,push"
    assert challenge("Basic realm=x").parameters == {"realm": "x"}
    assert challenge("").scheme == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([D, manifest.MANIFESTS[0]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CONFIG_BLOB = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": D, "size": 1}


@given(
    key=st.sampled_from(
        ["config", "layers", "manifests", "mediaType", "rootfs", "schemaVersion", "artifactType", "os"]
    ),
    inner=st.sampled_from(
        ["", "Env", "Cmd", "User", "StopSignal", "diff_ids", "platform", "annotations", "digest", "size"]
    ),
    value=JSON,
)
@settings(max_examples=200, deadline=None)
def test_documents_of_any_shape_are_read_or_refused(key, inner, value):
    raw = {
        "schemaVersion": 2,
        "config": CONFIG_BLOB,
        "layers": [],
        "manifests": [CONFIG_BLOB],
        "rootfs": {"diff_ids": []},
    }
    if inner and isinstance(raw.get(key), dict):
        raw[key] = {**raw[key], inner: value}
    elif inner and isinstance(raw.get(key), list):
        raw[key] = [{**CONFIG_BLOB, inner: value}]
    else:
        raw[key] = value
    for read_it in (
        lambda: manifest.is_index(raw, ""),
        lambda: manifest.read_manifest(raw),
        lambda: manifest.read_config(raw),
        lambda: manifest.choose(manifest.descriptors(raw), "amd64"),
    ):
        with suppress(ImageError):
            read_it()
