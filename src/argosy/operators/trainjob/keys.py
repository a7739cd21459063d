"""SSH keys for an MPI job: made once, read by `plan` as often as it likes.

A plan is a function of what it sees, so it cannot draw keys by lot. It asks for the keys of a job by the job's uid and is
given the same pair each time, until the Secret that holds them is there.
"""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def keys_of(uid: str) -> tuple[str, str]:
    """(private key as PEM, public key as OpenSSH writes it), the same pair for a uid as long as this process lives."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - few jobs need it
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP521R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()}\n"
