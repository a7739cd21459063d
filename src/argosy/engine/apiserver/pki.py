"""The engine's certificates and keys: its own authority, the server's certificate, clients', the token signing key.

Made once per home and kept in its `pki` directory, readable by the owner alone; the server's certificate is made again when
the names that it must have change or its time runs out. EC P-256 throughout: a key takes no time to make.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from argosy.errors import UserError

_AUTHORITY_DAYS = 3650
_LEAF_DAYS = 3650
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
        stored = _load(self.certificate_path, directory / "ca.key")
        if stored is None:
            stored = self._root()
            _keep(directory / "ca.key", stored.key)
            _keep(self.certificate_path, stored.certificate)
        self._certificate = x509.load_pem_x509_certificate(stored.certificate)
        self._key = _private(stored.key)
        self.pem = stored.certificate.decode()
        """The authority's certificate: what clients verify the server by."""

    def server(self, names: Sequence[str]) -> ssl.SSLContext:
        """The context that the server listens with: its certificate for these host names and addresses, and clients'
        certificates accepted where they come from this authority, demanded from nobody.
        """
        certificate, key = self._directory / "server.crt", self._directory / "server.key"
        stored = _load(certificate, key)
        if stored is None or not self._fits(stored.certificate, names):
            stored = self._leaf("argosy-apiserver", (), names, ExtendedKeyUsageOID.SERVER_AUTH)
            _keep(key, stored.key)
            _keep(certificate, stored.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(cadata=self.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client(self, name: str, groups: Sequence[str], file: str = "") -> Credential:
        """A client's certificate: `name` is the user, `groups` its groups. Kept as `FILE.crt`, `FILE.key` where `file`
        is given, and found again there.
        """
        if not file:
            return self._leaf(name, groups, (), ExtendedKeyUsageOID.CLIENT_AUTH)
        certificate, key = self._directory / f"{file}.crt", self._directory / f"{file}.key"
        stored = _load(certificate, key)
        if stored is None or not self._fits(stored.certificate, ()):
            stored = self._leaf(name, groups, (), ExtendedKeyUsageOID.CLIENT_AUTH)
            _keep(key, stored.key)
            _keep(certificate, stored.certificate)
        return stored

    def _root(self) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "argosy-ca")])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = (
            self._builder(name, key, _AUTHORITY_DAYS)
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return Credential(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))

    def _leaf(self, name: str, groups: Sequence[str], hosts: Sequence[str], usage: x509.ObjectIdentifier) -> Credential:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(subject, key, _LEAF_DAYS)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(authority_key, critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return Credential(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(hours=1))
            .not_valid_after(self._now + timedelta(days=days))
        )

    def _fits(self, pem: bytes, names: Sequence[str]) -> bool:
        """Whether a certificate is ours, is good for a while, and has these names."""
        certificate = x509.load_pem_x509_certificate(pem)
        if certificate.not_valid_after_utc < self._now + timedelta(days=_RENEW_DAYS):
            return False
        if certificate.issuer != self._certificate.subject:
            return False
        return set(names) <= set(_names(certificate))


def signing_key(directory: Path) -> bytes:
    """The key that signs service-account tokens, as PEM; made when it is not there."""
    path = directory / "sa.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pem = _pem(ec.generate_private_key(ec.SECP256R1()))
        _keep(path, pem)
        return pem


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _names(certificate: x509.Certificate) -> Iterable[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UserError("the certificate authority's key is not one of ours", "move the pki directory away")
    return key


def _load(certificate: Path, key: Path) -> Credential | None:
    try:
        return Credential(certificate.read_bytes(), key.read_bytes())
    except FileNotFoundError:
        return None


def _keep(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(f"{path.suffix}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
