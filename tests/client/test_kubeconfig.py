from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from argosy.client import kubeconfig
from argosy.errors import UserError


def write(path: Path, *, context: str = "c", user: dict | None = None, current: str | None = "c") -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1/", "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": context, "context": {"cluster": "k", "user": "u", "namespace": "team"}}],
    }
    if current:
        config["current-context"] = current
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_current_context_is_resolved(tmp_path: Path) -> None:
    access = kubeconfig.load([write(tmp_path / "a")])
    assert (access.server, access.namespace, access.bearer()) == ("https://127.0.0.1:1", "team", "t")


def test_certificates_come_inline_or_from_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"KEY")
    user = {"client-certificate-data": base64.b64encode(b"CERT").decode(), "client-key": "key.pem"}
    access = kubeconfig.load([write(tmp_path / "a", user=user)])
    assert (access.client_certificate, access.client_key) == (b"CERT", b"KEY")


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    access = kubeconfig.load([write(tmp_path / "a", user={"tokenFile": "token"})])
    assert access.bearer() == "one"
    (tmp_path / "token").write_text("two\n")
    assert access.bearer() == "two"


def test_files_merge_and_the_first_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a", context="c")
    second = write(tmp_path / "b", context="d", current="d")
    assert kubeconfig.load([first, second]).namespace == "team"
    assert kubeconfig.load([first, second], "d").server.startswith("https://")


@pytest.mark.parametrize(
    ("prepare", "context", "says"),
    [
        (lambda p: None, "", "there is no kubeconfig"),
        (lambda p: p.write_text("{"), "", "cannot be read"),
        (lambda p: p.write_text("[]"), "", "is not a kubeconfig"),
        (lambda p: write(p, current=None), "", "no current context"),
        (write, "other", "no context named 'other'; it knows: c"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, prepare, context: str, says: str) -> None:
    prepare(tmp_path / "k")
    with pytest.raises(UserError) as raised:
        kubeconfig.load([tmp_path / "k"], context)
    assert says in str(raised.value)


def test_a_pod_finds_its_cluster(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert kubeconfig.in_cluster(environ, tmp_path) is None
    for name, text in (("token", "t\n"), ("ca.crt", "CA"), ("namespace", "ns")):
        (tmp_path / name).write_text(text)
    access = kubeconfig.in_cluster(environ, tmp_path)
    assert access is not None
    assert (access.server, access.namespace, access.bearer()) == ("https://10.96.0.1:443", "ns", "t")
    below = tmp_path / "root" / "var"
    below.mkdir(parents=True)
    (tmp_path / "token").rename(below / "token")
    (tmp_path / "ca.crt").rename(below / "ca.crt")
    assert kubeconfig.in_cluster({**environ, "ARGOSY_ROOT": str(tmp_path / "root")}, Path("/var")) is not None


def test_a_credential_plugin_gives_the_token(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text('#!/bin/sh\necho \'{"status":{"token":"from-plugin"}}\'\n')
    plugin.chmod(0o755)
    access = kubeconfig.load([write(tmp_path / "a", user={"exec": {"command": str(plugin)}})])
    assert access.bearer() == "from-plugin"
