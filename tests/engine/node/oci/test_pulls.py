"""Images pulled from layouts and from a registry on loopback, with logins, damage, breaks and neighbours."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import OciImages
from argosy.engine.node.oci.credentials import Credential
from argosy.engine.node.oci.pull import Wanted
from argosy.engine.node.oci.reference import parse, target_of
from argosy.engine.node.oci.registry import Hosts, RegistrySource
from argosy.engine.node.oci.store import Store

from .making import Entry, Made, archive, directory, image, index, layout, pack
from .serving import serving

BASE = [directory("etc"), Entry("etc/passwd", "app:x:1:1::/:\n"), Entry("big", os.urandom(300_000))]


@pytest.fixture
def images(tmp_path):
    made = OciImages(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def registry():
    with serving() as made:
        yield made


def wanted(reference: str, rule: str = "") -> Wanted:
    return Wanted(reference, target_of(rule, reference))


def get(images, reference, rule="", credentials=(), **how):
    return asyncio.run(images.get(wanted(reference, rule), credentials, **how))


def refused(images, reference, rule="", credentials=(), **how):
    with pytest.raises(ImageError) as caught:
        get(images, reference, rule, credentials, **how)
    return caught.value.message


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def leftovers(images) -> list[str]:
    store = images.store
    return [str(p) for d in (store.blobs, store.layers, store.roots) for p in d.iterdir() if "." in p.name]


def test_an_image_of_a_layout(images, tmp_path):
    at = layout(
        tmp_path / "l", one=image(BASE, [Entry("app", "1")], Cmd=["/app"], User="app", Env=["A=b"], StopSignal="INT")
    )
    rule = f"oci:{at}:one"
    assert images.present(wanted("me/app", rule)) is None
    pulled = get(images, "me/app", rule)
    assert pulled.bytes > 300_000
    found = pulled.image
    assert (found.command, found.env, found.own.user, found.own.stop_signal) == (("/app",), {"A": "b"}, "app", 2)
    assert found.own.accounts.identity("app").uid == 1
    assert files(found.own.path) == {"etc/passwd", "big", "app"}
    assert found.digest.startswith("sha256:")
    assert images.present(wanted("me/app", rule)) == found
    assert leftovers(images) == []


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_packings(images, tmp_path, packing):
    if packing == "zstd" and not shutil.which("zstd"):
        pytest.skip("there is no program zstd")
    at = layout(tmp_path / "l", v=image(BASE, packing=packing))
    assert files(get(images, "app", f"oci:{at}").image.own.path) == {"etc/passwd", "big"}


def test_zstd_is_refused_before_anything_is_fetched_where_nothing_reads_it(images, tmp_path, monkeypatch):
    at = layout(tmp_path / "l", v=image(pack(archive(BASE), ""), packing=""))
    text = (at / "index.json").read_text()
    zstd = image(BASE)
    document = next(c for c in zstd.blobs.values() if b"layer.v1.tar+gzip" in c).replace(b"tar+gzip", b"tar+zstd")
    made = Made({}, zstd.blobs)
    from .making import MANIFEST, blob

    made.descriptor = blob(document, MANIFEST, made.blobs)
    layout(at, z=made)
    monkeypatch.setenv("PATH", "")
    if sys.version_info < (3, 14):
        assert "compressed with zstd; install the program zstd" in refused(images, "app", f"oci:{at}:z")
    assert text


def test_a_layout_that_changes_is_seen(images, tmp_path):
    at = layout(tmp_path / "l", v=image(BASE, [Entry("app", "1")]))
    rule = f"oci:{at}:v"
    first = get(images, "app", rule).image
    layout(at, v=image(BASE, [Entry("app", "2")]))
    assert images.present(wanted("app", rule)) is None
    second = get(images, "app", rule).image
    assert ((first.own.path / "app").read_text(), (second.own.path / "app").read_text()) == ("1", "2")
    assert (first.own.path / "big").samefile(second.own.path / "big")
    shutil.rmtree(at)
    assert images.present(wanted("app", rule)) == second


def test_layouts_that_are_not_whole(images, tmp_path):
    at = layout(tmp_path / "l", one=image(BASE), two=image(BASE, Cmd=["x"]))
    assert "is not whole" in refused(images, "app", f"oci:{tmp_path}/none")
    assert "has no image tagged three; it has one, two" in refused(images, "app", f"oci:{at}:three")
    assert "has several images; name one by its tag" in refused(images, "app", f"oci:{at}")
    assert "is not whole" in refused(images, "app@sha256:" + "0" * 64, f"oci:{at}")
    blobs = sorted((at / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
    blobs[-1].write_bytes(blobs[-1].read_bytes()[:-1] + b"x")
    assert "is not what its name says" in refused(images, "app", f"oci:{at}:one")
    assert leftovers(images) == []


def test_a_layer_that_is_not_what_the_configuration_says(images, tmp_path):
    good, evil = image(BASE), image([Entry("evil", "x")])
    blobs = {**good.blobs, **evil.blobs}
    layer = next(c for c in evil.blobs.values() if c[:2] == b"\x1f\x8b")
    import json

    document = json.loads(good.blobs[good.digest])
    from .making import LAYER, MANIFEST, blob

    document["layers"] = [blob(layer, f"{LAYER}+gzip", blobs)]
    mixed = Made(blob(json.dumps(document).encode(), MANIFEST, blobs), blobs)
    at = layout(tmp_path / "l", v=mixed)
    assert "a layer is not what the image's configuration says" in refused(images, "app", f"oci:{at}")
    assert leftovers(images) == []
    assert not list(images.store.roots.iterdir())


def test_an_image_for_another_machine(images, tmp_path):
    at = layout(
        tmp_path / "l", v=image(BASE, architecture="s390x"), w=index((image(BASE, architecture="s390x"), "s390x"))
    )
    assert "is for linux/s390x, and this machine is linux/" in refused(images, "app", f"oci:{at}:v")
    assert "there is linux/s390x" in refused(images, "app", f"oci:{at}:w")


@pytest.mark.parametrize("entry", [Entry("../x", "evil"), Entry("etc/sda", type=b"4")])
def test_an_evil_layer_leaves_nothing(images, tmp_path, entry):
    at = layout(tmp_path / "l", v=image(BASE, [entry]))
    assert "a layer" in refused(images, "app", f"oci:{at}")
    assert leftovers(images) == []
    assert not (images.store.layers / "x").exists()
    layout(at, v=image(BASE))
    assert get(images, "app", f"oci:{at}").image


def test_a_disk_that_is_full_says_so_and_is_not_left_full(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root makes a small disk")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "none", small], check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        at = layout(tmp_path / "l", v=image(BASE, [Entry("more", os.urandom(300_000))]))
        images = OciImages(small)
        said = refused(images, "app", f"oci:{at}")
        assert "no space left for it on the disk" in said
        assert "argosy images --prune" in said
        assert leftovers(images) == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)


# Registries.


def test_an_image_of_a_registry(images, registry):
    made = index((image(BASE, Cmd=["other"], architecture="s390x"), "s390x"), (image(BASE, Cmd=["/app"]), "amd64"), (image(BASE, Cmd=["/app"]), "arm64"))  # fmt: skip
    reference = registry.push("me/app", "1", made)
    found = get(images, reference).image
    assert found.command == ("/app",)
    assert found.digest == f"{registry.host}/me/app@{made.digest}"
    asked = sum(registry.asked.values())
    assert images.present(wanted(reference)) == found
    assert get(images, f"{registry.host}/me/app@{made.digest}").image.own.path == found.own.path
    assert registry.sent < 2 * 301_000 + 4000  # the layer came once
    assert sum(registry.asked.values()) - asked <= 3
    assert leftovers(images) == []


def test_layers_are_shared_between_images(images, registry):
    get(images, registry.push("a", "1", image(BASE, [Entry("a", "1")])))
    before = registry.sent
    second = get(images, registry.push("b", "1", image(BASE, [Entry("b", "1")]))).image
    assert files(second.own.path) == {"etc/passwd", "big", "b"}
    assert registry.sent - before < 20_000


def test_the_newest_is_asked_for_and_fetched_only_when_it_is_another(images, registry):
    reference = registry.push("a", "1", image(BASE, [Entry("a", "1")]))
    first = get(images, reference, newest=True).image
    registry.asked.clear()
    assert get(images, reference, newest=True).image == first
    assert dict(registry.asked) == {"HEAD /v2/a/manifests/1": 1}
    registry.push("a", "1", image(BASE, [Entry("a", "2")]))
    assert (get(images, reference, newest=True).image.own.path / "a").read_text() == "2"


def test_many_pods_one_pull(images, registry):
    reference = registry.push("a", "1", image(BASE))

    async def all_at_once():
        return await asyncio.gather(*(images.get(wanted(reference)) for _ in range(20)))

    found = asyncio.run(all_at_once())
    assert len({id(each.image) for each in found}) == 1
    assert registry.asked["GET /v2/a/manifests/1"] == 1


def test_a_pull_goes_on_when_who_asked_has_gone(images, registry):
    reference = registry.push("a", "1", image(BASE))
    registry.gate.clear()

    async def scenario():
        asking = asyncio.create_task(images.get(wanted(reference)))
        await asyncio.to_thread(registry.waiting.wait, 10)
        asking.cancel()
        await asyncio.wait({asking})
        registry.gate.set()
        return await images.get(wanted(reference))

    assert asyncio.run(scenario()).image
    assert registry.asked["GET /v2/a/manifests/1"] == 1


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
def test_logins(images, registry, scheme):
    reference = registry.push("private/app", "1", image(BASE))
    registry.login, registry.scheme = ("me", "secret"), scheme
    said = refused(images, reference)
    assert "401 Unauthorized: UNAUTHORIZED authentication required" in said
    assert "imagePullSecrets" not in said or "wants to know who pulls" in said
    said = refused(images, reference, credentials=[Credential("me", "wrong")])
    assert "401" in said
    assert "does not accept the imagePullSecrets of the pod" in said
    assert get(images, reference, credentials=[Credential("me", "wrong"), Credential("me", "secret")]).image


def test_an_identity_token(images, registry):
    reference = registry.push("private/app", "1", image(BASE))
    registry.login = ("me", "secret")
    assert get(images, reference, credentials=[Credential(identity_token="stands-for-me")]).image


def test_credentials_that_are_wrong_do_not_keep_anyone_from_what_is_public(images, registry):
    reference = registry.push("app", "1", image(BASE))
    assert get(images, reference, credentials=[Credential("me", "wrong")]).image


def test_the_storage_behind_a_registry_is_not_told_who_pulls(images, registry):
    reference = registry.push("app", "1", image(BASE))
    registry.login = ("me", "secret")
    with serving() as storage:
        storage.blobs = registry.blobs
        registry.redirect = f"http://{storage.host}"
        assert get(images, reference, credentials=[Credential("me", "secret")]).image
        assert storage.sent > 300_000
        assert set(storage.authorizations) == {""}


def test_nobody_is_led_out_of_tls(images, registry):
    reference = registry.push("app", "1", image(BASE))
    registry.redirect = "http://registry.example.com"
    assert "leads to http://registry.example.com, which is not protected by TLS" in refused(images, reference)


def test_a_layer_that_breaks_off_is_taken_up_where_it_ended(images, registry):
    reference = registry.push("app", "1", image(BASE))
    registry.break_after = [100_000, 50_000]
    assert get(images, reference).image
    assert registry.ranges == ["bytes=100000-", "bytes=150000-"]
    assert registry.sent < 301_000 + 5000


def test_a_layer_that_never_comes(images, registry):
    reference = registry.push("app", "1", image(BASE))
    registry.break_after = [0] * 20
    assert "cannot be reached" in refused(images, reference)
    registry.break_after = []
    assert get(images, reference).image


def test_a_registry_that_sends_something_else(images, registry):
    made = image(BASE)
    reference = registry.push("app", "1", made)
    name = next(n for n, c in made.blobs.items() if c[:2] == b"\x1f\x8b")
    right = registry.blobs[name]
    for wrong, says in ((right[:-1] + b"x", "is not what its digest"), (right + b"x", "more of the layer")):
        registry.blobs[name] = wrong
        assert says in refused(images, reference)
    registry.blobs[name] = right
    assert get(images, reference).image
    assert leftovers(images) == []


def test_a_manifest_that_is_not_what_its_digest_says(images, registry):
    made = image(BASE)
    registry.push("app", "1", made)
    registry.manifests["app", made.digest] = (made.descriptor["mediaType"], b"{}")
    assert "is not what its digest" in refused(images, f"{registry.host}/app@{made.digest}")


@pytest.mark.parametrize(
    ("status", "says"),
    [(403, "403 Forbidden: TROUBLE so it is"), (404, "404 Not Found: TROUBLE so it is"), (429, "429 Too Many Requests"),
     (503, "answers 503 Service Unavailable: TROUBLE so it is")],
)  # fmt: skip
def test_what_registries_answer(images, registry, status, says):
    reference = registry.push("app", "1", image(BASE))
    registry.status = {"manifests": status}
    assert says in refused(images, reference)


def test_images_and_registries_that_are_not_there(images, registry, tmp_path):
    assert "404 Not Found: MANIFEST_UNKNOWN manifest unknown" in refused(images, f"{registry.host}/none:1")
    assert "cannot be reached: Connection refused" in refused(images, "localhost:1/app")


def test_who_may_be_asked_without_tls(registry):
    reference = registry.push("app", "1", image(BASE))
    for hosts, may in ((Hosts(), False), (Hosts(frozenset({"registry.example.com:80"})), True)):
        source = RegistrySource(parse("registry.example.com:80/app"), (), hosts)
        assert source.is_plain is may
    assert RegistrySource(parse(reference), (), Hosts()).is_plain


def test_a_registry_without_tls_is_told_how_to_say_so(registry):
    source = RegistrySource(parse(registry.push("app", "1", image(BASE))), (), Hosts())
    said = source.unreachable(ssl.SSLError(1, "wrong version number"))
    assert f"registries: {{{registry.host}: {{plain_http: true}}}}" in said.message


def test_a_registry_with_an_authority_of_its_own(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    )
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "ca.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "both.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    with serving(context) as registry:
        reference = registry.push("app", "1", image(BASE))
        for known, says in (
            (Hosts(), "cannot be reached"),
            (Hosts(tls=frozenset({registry.host})), "certificate"),
            (Hosts(tls=frozenset({registry.host}), ca_files={registry.host: "/none"}), "/none of 127.0.0.1"),
        ):
            assert says in refused(OciImages(tmp_path / "home", lambda known=known: known), reference).lower()
        trusting = Hosts(tls=frozenset({registry.host}), ca_files={registry.host: str(pem)})
        assert get(OciImages(tmp_path / "home", lambda: trusting), reference).image


_PULLER = """
import asyncio, sys
from pathlib import Path
from argosy.engine.node.oci import OciImages
from argosy.engine.node.oci.pull import Wanted
from argosy.engine.node.oci.reference import parse
asyncio.run(OciImages(Path(sys.argv[1])).get(Wanted(sys.argv[2], parse(sys.argv[2]))))
"""


def test_a_pull_that_is_killed_is_finished_by_the_next(images, registry, tmp_path):
    reference = registry.push("app", "1", image(BASE, [Entry("second", os.urandom(200_000))]))
    registry.gate.clear()
    puller = subprocess.Popen([sys.executable, "-c", _PULLER, str(tmp_path / "home"), reference])
    assert registry.waiting.wait(20)
    puller.send_signal(signal.SIGKILL)
    puller.wait()
    (images.store.layers / ("f" * 64 + ".draft")).mkdir()
    registry.gate.set()
    assert files(get(images, reference).image.own.path) == {"etc/passwd", "big", "second"}
    images.prune(everything=True)
    assert [list(d.iterdir()) for d in (images.store.blobs, images.store.layers, images.store.roots)] == [[], [], []]


def test_what_no_container_uses_is_removed_and_what_others_share_is_not(images, registry):
    first = get(images, registry.push("a", "1", image(BASE, [Entry("a", "1")]))).image
    second = get(images, registry.push("b", "1", image(BASE, [Entry("b", "1")]))).image
    removed = images.store.collect(frozenset({second.own.path.name}), everything=True)
    assert [record.reference for record in removed] == [first.reference]
    assert files(second.own.path) == {"etc/passwd", "big", "b"}
    assert not first.own.path.exists()
    assert len(list(images.store.layers.iterdir())) == 2
    assert images.present(wanted(first.reference)) is None
    assert images.present(wanted(second.reference)) == second


def test_an_old_image_goes_when_its_last_container_has(images, registry):
    reference = registry.push("a", "1", image(BASE, [Entry("a", "1")]))
    old = get(images, reference).image.own.path
    registry.push("a", "1", image(BASE, [Entry("a", "2")]))
    new = get(images, reference, newest=True).image.own.path
    images.store.collect(frozenset({old.name, new.name}), everything=True)
    assert old.exists()
    assert new.exists()
    images.store.collect(frozenset({new.name}), everything=True)
    assert not old.exists()
    assert new.exists()


class Disk(Store):
    """A store on a disk that empties by a tenth with every image removed."""

    full = 0.95

    def fullness(self) -> float:
        return self.full

    def forget(self, record):
        super().forget(record)
        self.full -= 0.1


def test_a_disk_that_fills_up_loses_what_was_used_longest_ago(images, registry):
    for n in range(4):
        reference = registry.push(f"a{n}", "1", image(BASE, [Entry("a", str(n))]))
        root = get(images, reference).image.own.path.name
        if n == 0:
            in_use = root
    disk = Disk(images.store.place.parent)
    assert disk.collect(frozenset({in_use}), everything=False) == []  # they have only just been looked at
    for age, (record, _) in enumerate(reversed(disk.records())):
        os.utime(disk._ref(record.target), (1000 - age, 1000 - age))
    removed = disk.collect(frozenset({in_use}), everything=False)
    assert [record.reference.split("/")[1] for record in removed] == ["a1:1", "a2:1"]
    assert [record.reference.split("/")[1] for record, _ in disk.records()] == ["a0:1", "a3:1"]
    assert len(list(disk.layers.iterdir())) == 3
    disk.full = 0.84
    assert disk.collect(frozenset(), everything=False) == []
