"""Who a pod is to a registry: its `imagePullSecrets`, and what registries ask for. Pure; `registry` sends it.

Keys of a Docker configuration match as Kubernetes lets them: `host`, `host:port`, `host/path`, `*.host`, with or without a
scheme; the longest match comes first, and each is tried.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from argosy.engine.node.oci.reference import DOCKER_HUB, Remote
from argosy.meta.json import Obj, decode

_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_CHALLENGE = re.compile(r'([a-zA-Z_-]+)="((?:[^"\\]|\\.)*)"|([a-zA-Z_-]+)=([^\s,"]+)')


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a password, or a token that stands for them."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """To be exchanged for a registry's own token."""

    @property
    def basic(self) -> str:
        """For an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry answers those whom it does not know."""

    scheme: str
    """`bearer` or `basic`."""
    parameters: Mapping[str, str]


def read_secret(data: Mapping[str, bytes]) -> dict[str, Credential]:
    """The entries of a Secret's Docker configuration. Raises ValueError for one that is none."""
    if ".dockerconfigjson" in data:
        document = decode(data[".dockerconfigjson"])
        entries = document.get("auths") if isinstance(document, dict) else None
    elif ".dockercfg" in data:
        entries = decode(data[".dockercfg"])
    else:
        raise ValueError("it has neither .dockerconfigjson nor .dockercfg")
    if not isinstance(entries, dict):
        raise ValueError("its Docker configuration has no auths")
    return {str(key): _credential(entry) for key, entry in entries.items() if isinstance(entry, dict)}


def fitting(target: Remote, secrets: Iterable[Mapping[str, Credential]]) -> tuple[Credential, ...]:
    """The credentials for an image, the most specific first."""
    found: list[tuple[int, Credential]] = []
    for entries in secrets:
        for key, credential in entries.items():
            host, path = _split(key)
            if _same_host(host, target.registry) and _below(path, target.repository):
                found.append((len(path), credential))
    ordered = sorted(found, key=lambda each: -each[0])
    return tuple(dict.fromkeys(credential for _, credential in ordered))


def challenge(header: str) -> Challenge:
    """Read a WWW-Authenticate header."""
    scheme, _, rest = header.strip().partition(" ")
    pairs = {(m[1] or m[3]).lower(): re.sub(r"\\(.)", r"\1", m[2]) if m[1] else m[4] for m in _CHALLENGE.finditer(rest)}
    return Challenge(scheme.lower(), pairs)


def _credential(entry: Obj) -> Credential:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            both = base64.b64decode(str(entry["auth"]).strip(), validate=False).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"an `auth` of it is not base64: {error}") from None
        name, _, rest = both.partition(":")
        username, password = username or name, password or rest.rstrip("\0")
    return Credential(username, password, str(entry.get("identitytoken") or ""))


def _split(key: str) -> tuple[str, str]:
    """Host and path of a key; the versions in Docker's old keys (`/v1/`) are no path."""
    host, _, path = re.sub(r"^https?://", "", key).partition("/")
    return host.lower(), "" if path.strip("/") in {"v1", "v2"} else path.strip("/")


def _same_host(pattern: str, registry: str) -> bool:
    if registry == DOCKER_HUB:
        return pattern in _HUB_NAMES
    wanted, port = _host_and_port(pattern)
    host, own_port = _host_and_port(registry.lower())
    parts, own_parts = wanted.split("."), host.split(".")
    return (
        port == own_port
        and len(parts) == len(own_parts)
        and all(fnmatchcase(own, part) for part, own in zip(parts, own_parts, strict=True))
    )


def _host_and_port(text: str) -> tuple[str, str]:
    head, colon, port = text.rpartition(":")
    return (head, port) if colon and port.isdigit() else (text, "")


def _below(path: str, repository: str) -> bool:
    return not path or repository == path or repository.startswith(f"{path}/")
