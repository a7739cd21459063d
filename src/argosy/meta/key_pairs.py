"""Whether a certificate and a private key belong together, in the words of Go's crypto/tls. Called by `meta.warnings`."""

from __future__ import annotations

import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----\s*\n.*?-----END \1-----", re.DOTALL)


def fault(certificate: bytes, key: bytes) -> str:
    """What is wrong with a pair in PEM; empty when nothing is."""
    found, skipped = _blocks(certificate, lambda kind: kind == "CERTIFICATE")
    if not found:
        if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
            return (
                "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs"
                " may have been switched"
            )
        return _missing("certificate", '"CERTIFICATE" PEM block', skipped)
    keys, skipped = _blocks(key, lambda kind: kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY"))
    if not keys:
        if skipped == ["CERTIFICATE"]:
            return "tls: found a certificate rather than a key in the PEM for the private key"
        return _missing("key", 'PEM block with type ending in "PRIVATE KEY"', skipped)
    try:
        public = x509.load_pem_x509_certificate(found[0]).public_key()
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = load_pem_private_key(keys[0], None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    mine, theirs = private.public_key(), public
    if type(mine) is not type(theirs):
        return "tls: private key type does not match public key type"
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    same = mine.public_bytes(*form) == theirs.public_bytes(*form)
    return "" if same else "tls: private key does not match public key"


def _blocks(text: bytes, wanted: Callable[[str], bool]) -> tuple[list[bytes], list[str]]:
    """The blocks of the kinds that are wanted, and the kinds of the others."""
    found: list[bytes] = []
    skipped: list[str] = []
    for match in _BLOCK.finditer(text):
        kind = match[1].decode("latin-1")
        if wanted(kind):
            found.append(match[0])
        else:
            skipped.append(kind)
    return found, skipped


def _missing(which: str, what: str, skipped: list[str]) -> str:
    if not skipped:
        return f"tls: failed to find any PEM data in {which} input"
    kinds = " ".join(skipped)
    return f"tls: failed to find {what} in {which} input after skipping PEM blocks of the following types: [{kinds}]"
