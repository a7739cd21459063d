"""The engine's certificates and keys: its own authority, the server's certificate, clients', the token signing key.

Made once per home and kept in its `pki` directory, readable by the owner alone; a certificate is made again when the names
that it must have change or its time runs out. What a kept certificate says is written beside it, so that a start that
makes none need not read any: `certificates`, which can, takes long to load.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from argosy.meta.json import Obj, decode, encode

_VALID_DAYS = 3650
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority in a directory."""

    def __init__(self, directory: Path, now: datetime) -> None:
        self._directory = directory
        self._now = now
        self.certificate_path = directory / "ca.crt"
        stored = _load(directory, "ca")
        if stored is None:
            from argosy.engine.apiserver import certificates  # noqa: PLC0415

            stored = Credential(*certificates.authority(now, now + timedelta(days=_VALID_DAYS)))
            keep(directory / "ca.key", stored.key)
            keep(self.certificate_path, stored.certificate)
        self._root = stored
        self.pem = stored.certificate.decode()
        """The authority's certificate: what clients verify the server by."""

    def server(self, names: Sequence[str]) -> ssl.SSLContext:
        """The context that the server listens with: its certificate for these host names and addresses, and clients'
        certificates accepted where they come from this authority, demanded from nobody.
        """
        self._kept("server", "argosy-apiserver", (), names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._directory / "server.crt", self._directory / "server.key")
        context.load_verify_locations(cadata=self.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client(self, name: str, groups: Sequence[str], file: str = "") -> Credential:
        """A client's certificate: `name` is the user, `groups` its groups. Kept as `FILE.crt`, `FILE.key` where `file`
        is given, and found again there.
        """
        return self._kept(file, name, groups, ()) if file else self._signed(name, groups, ())

    def client_files(self, name: str) -> tuple[Path, Path]:
        """A client's certificate and key as files, for what reads no others. The file is called as the user is."""
        self._kept(name, name, (), ())
        return self._directory / f"{name}.crt", self._directory / f"{name}.key"

    def _kept(self, file: str, name: str, groups: Sequence[str], hosts: Sequence[str]) -> Credential:
        """The certificate of that file if it is still good, else a new one in its place."""
        stored, note = _load(self._directory, file), self._directory / f"{file}.json"
        if stored is not None and self._is_good(stored, _read(note), hosts):
            return stored
        made = self._signed(name, groups, hosts)
        keep(self._directory / f"{file}.key", made.key)
        keep(self._directory / f"{file}.crt", made.certificate)
        keep(note, encode(self._note(made, hosts)))
        return made

    def _signed(self, name: str, groups: Sequence[str], hosts: Sequence[str]) -> Credential:
        from argosy.engine.apiserver import certificates  # noqa: PLC0415

        leaf = certificates.Leaf(name, groups, hosts, self._now, self._now + timedelta(days=_VALID_DAYS))
        return Credential(*certificates.signed(leaf, self._root.certificate, self._root.key))

    def _note(self, made: Credential, hosts: Sequence[str]) -> Obj:
        """What a certificate says that was made now."""
        return {
            "authority": _digest(self._root.certificate),
            "certificate": _digest(made.certificate),
            "key": _digest(made.key),
            "hosts": list(hosts),
            "ends": (self._now + timedelta(days=_VALID_DAYS)).timestamp(),
        }

    def _is_good(self, stored: Credential, note: Obj, hosts: Sequence[str]) -> bool:
        """Whether a certificate is ours, is good for a while, and has these names."""
        return (
            note.get("authority") == _digest(self._root.certificate)
            and note.get("certificate") == _digest(stored.certificate)
            and note.get("key") == _digest(stored.key)  # a crash between the two files leaves a new one beside an old
            and note.get("ends", 0) > (self._now + timedelta(days=_RENEW_DAYS)).timestamp()
            and set(hosts) <= set(note.get("hosts", ()))
        )


def signing_key(directory: Path) -> bytes:
    """The key that signs service-account tokens, as PEM; made when it is not there."""
    path = directory / "sa.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        from argosy.engine.apiserver import certificates  # noqa: PLC0415

        pem = certificates.private_key()
        keep(path, pem)
        return pem


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(note: Path) -> Obj:
    try:
        found = decode(note.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _load(directory: Path, file: str) -> Credential | None:
    try:
        return Credential((directory / f"{file}.crt").read_bytes(), (directory / f"{file}.key").read_bytes())
    except FileNotFoundError:
        return None


def keep(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read: whole or not at all, and there to stay."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(f"{path.suffix}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
