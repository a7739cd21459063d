"""Where the cluster is and who we are: kubeconfig files, and the service account that a pod is given.

Every verb of the command line and every program that runs in a pod starts here. Only what those need is read: tokens,
client certificates, exec plugins (the clouds' way of logging in) and the CA.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from argosy.errors import UserError
from argosy.meta.json import Obj, dig

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one API server. Certificates and keys are PEM."""

    server: str
    namespace: str = "default"
    ca: bytes | None = None
    insecure: bool = False
    token: str = ""
    token_file: Path | None = None
    """Read again for each request: the kubelet renews it."""
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    server_name: str = ""

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings, None for plain http."""
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate and self.client_key:
            # ssl can only load a certificate chain from a file.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(self.client_certificate + b"\n" + self.client_key)
                pair.flush()
                context.load_cert_chain(pair.name)
        return context

    def bearer(self) -> str:
        """The token to send, empty for none."""
        return self.token_file.read_text().strip() if self.token_file else self.token


def in_cluster(environ: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT) -> Access | None:
    """The access that a pod's service account gives, None outside a pod.

    Where pods have no mounts of their own, theirs lie below `$ARGOSY_ROOT`.
    """
    below_root = Path(f"{environ.get('ARGOSY_ROOT', '')}{directory}")
    directory = below_root if below_root.exists() else directory
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token_file = directory / "token"
    if not (host and port and token_file.exists()):
        return None
    host = f"[{host}]" if ":" in host else host
    namespace = directory / "namespace"
    return Access(
        server=f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca=(directory / "ca.crt").read_bytes(),
        token_file=token_file,
    )


def load(paths: Sequence[Path], context: str = "") -> Access:
    """Read kubeconfig files (merged as kubectl does: the first to define something wins) and resolve a context.

    Raises UserError when a file or an entry is missing.
    """
    merged, origins = _merge(paths)
    current = context or str(merged.get("current-context") or "")
    if not current:
        raise UserError(
            f"{_names(paths)} names no current context", "choose one with --context, or run: kubectl config use-context"
        )
    chosen = _named(merged, "contexts", "context", current, paths)
    cluster_name, user_name = str(chosen.get("cluster") or ""), str(chosen.get("user") or "")
    cluster = _named(merged, "clusters", "cluster", cluster_name, paths)
    user = _named(merged, "users", "user", user_name, paths) if user_name else {}
    base = origins.get(("clusters", cluster_name), paths[0]).parent
    user_base = origins.get(("users", user_name), paths[0]).parent
    token, certificate, key = str(user.get("token") or ""), _data(user, "client-certificate", user_base), None
    key = _data(user, "client-key", user_base)
    if "exec" in user:
        token, certificate, key = _run_plugin(user["exec"], token, certificate, key)
    token_file = user.get("tokenFile")
    return Access(
        server=str(cluster.get("server") or "").rstrip("/"),
        namespace=str(chosen.get("namespace") or "default"),
        ca=_data(cluster, "certificate-authority", base),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        token=token,
        token_file=(user_base / token_file) if token_file and not token else None,
        client_certificate=certificate,
        client_key=key,
        server_name=str(cluster.get("tls-server-name") or ""),
    )


def _merge(paths: Sequence[Path]) -> tuple[Obj, dict[tuple[str, str], Path]]:
    merged: Obj = {"contexts": [], "clusters": [], "users": []}
    origins: dict[tuple[str, str], Path] = {}
    for path in paths:
        config = _read(path)
        merged.setdefault("current-context", config.get("current-context") or None)
        if merged["current-context"] is None:
            del merged["current-context"]
        for section in ("contexts", "clusters", "users"):
            for entry in config.get(section) or ():
                if (section, entry.get("name")) not in origins:
                    origins[section, entry.get("name")] = path
                    merged[section].append(entry)
    return merged, origins


def _read(path: Path) -> Obj:
    try:
        loaded = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise UserError(
            f"there is no kubeconfig at {path}", "start an engine with: argosy up, or name another"
        ) from None
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"the kubeconfig {path} cannot be read: {error}", "mend the file or name another") from None
    if not isinstance(loaded, dict):
        raise UserError(f"{path} is not a kubeconfig", "name another with --kubeconfig")
    return loaded


def _named(merged: Obj, section: str, field: str, name: str, paths: Sequence[Path]) -> Obj:
    for entry in merged[section]:
        if entry.get("name") == name:
            found: Any = entry.get(field)
            return found if isinstance(found, dict) else {}
    known = ", ".join(str(entry.get("name")) for entry in merged[section]) or "none"
    raise UserError(f"{_names(paths)} has no {field} named {name!r}", f"it knows: {known}")


def _data(entry: Obj, field: str, base: Path) -> bytes | None:
    inline, path = entry.get(f"{field}-data"), entry.get(field)
    if inline:
        return base64.b64decode(inline)
    if path:
        try:
            return (base / str(path)).read_bytes()
        except OSError as error:
            raise UserError(f"the kubeconfig names {path}, which cannot be read: {error}", "mend the path") from None
    return None


def _run_plugin(
    plugin: Obj, token: str, certificate: bytes | None, key: bytes | None
) -> tuple[str, bytes | None, bytes | None]:
    """Run a credential plugin (client.authentication.k8s.io) and take what it prints."""
    version = plugin.get("apiVersion") or "client.authentication.k8s.io/v1"
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environ = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    environ |= {str(pair["name"]): str(pair["value"]) for pair in plugin.get("env") or ()}
    command = [str(plugin.get("command")), *map(str, plugin.get("args") or ())]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=True)
        status = dig(json.loads(done.stdout), "status", default={})
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        hint = plugin.get("installHint") or f"run {command[0]} by hand to see what is wrong"
        raise UserError(f"the credential plugin {command[0]} failed: {error}", str(hint)) from None
    pair = status.get("clientCertificateData"), status.get("clientKeyData")
    return (
        str(status.get("token") or token),
        pair[0].encode() if pair[0] else certificate,
        pair[1].encode() if pair[1] else key,
    )


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)
