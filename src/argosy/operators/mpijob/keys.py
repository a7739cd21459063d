"""The SSH key of a job, by which its pods know each other.

A plan is a function of what it sees and cannot draw a random number, so the key follows from a secret of this process and
the job's uid. It is made once: the Secret stays, whoever operates the job later.
"""

from __future__ import annotations

import base64
import hashlib

_CURVE_BITS = 521


def pair(secret: bytes, uid: str) -> tuple[bytes, bytes]:
    """(private key as PEM, public key as one line for `authorized_keys`), an ECDSA key on P-521."""
    # Needed when a job is new, and slow to import.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    number = int.from_bytes(hashlib.shake_256(b"mpijob ssh\0" + secret + uid.encode()).digest(_CURVE_BITS // 8), "big")
    key = ec.derive_private_key(number + 1, ec.SECP521R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public + b"\n"


def encoded(value: bytes) -> str:
    """A value of a Secret's data."""
    return base64.b64encode(value).decode()
