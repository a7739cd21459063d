"""Who may enter: the engine's authority, the administrator's certificate and token, and the kubeconfig that holds them."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from argosy.client.requests import User
from argosy.cluster.settings import Layout
from argosy.engine.apiserver.authn import read_token_file, static_user
from argosy.engine.apiserver.pki import Authority, Credential, keep

ADMIN = "argosy-admin"
_MASTERS = "system:masters"
_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: argosy
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
    token: "{token}"
contexts:
- name: argosy
  context:
    cluster: argosy
    user: {user}
    namespace: default
current-context: argosy
"""
"""Written as it stands: a library for YAML takes longer to load than all the rest here, and no other value needs quotes."""


def static_tokens(layout: Layout, token_file: Path | None) -> dict[str, User]:
    """The administrator's token, and those of `--token-auth-file`. Raises UserError for a file that cannot be read."""
    tokens = read_token_file(token_file) if token_file else {}
    tokens[_admin_token(layout)] = static_user(ADMIN, (_MASTERS,))
    return tokens


def write_kubeconfig(layout: Layout, server: str, authority: Authority) -> None:
    """Write the administrator's kubeconfig, whole or not at all, readable by the owner alone."""
    admin: Credential = authority.client(ADMIN, (_MASTERS,), "admin")
    text = _KUBECONFIG.format(
        server=server,
        authority=_b64(authority.pem),
        user=ADMIN,
        certificate=_b64(admin.certificate),
        key=_b64(admin.key),
        token=_admin_token(layout),
    )
    if not layout.kubeconfig.exists() or layout.kubeconfig.read_text() != text:
        keep(layout.kubeconfig, text.encode())


def _admin_token(layout: Layout) -> str:
    path = layout.pki / "admin.token"
    if not path.exists():
        keep(path, secrets.token_urlsafe(32).encode())
    return path.read_text().strip()


def _b64(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
