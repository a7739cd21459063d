"""What passes between `ssh` and `sshd`: a proof from both that they hold the same key, then frames. Pure.

    sshd  challenge                 32 random bytes
    ssh   challenge, proof          32 random bytes, HMAC-SHA256 over both
    sshd  proof                     HMAC-SHA256 over both, in the other role
    ssh   COMMAND, then INPUT …     and END when there is no more of it
    sshd  OUTPUT and ERRORS …       and EXIT at last

A frame is one byte of sort, four of length, and that many of content.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from enum import IntEnum

CHALLENGE_BYTES = PROOF_BYTES = 32
FRAME_BYTES_MAX = 1024 * 1024
_HEADER_BYTES = 5


class Sort(IntEnum):
    """What a frame carries."""

    COMMAND = 1
    INPUT = 2
    END = 3
    OUTPUT = 4
    ERRORS = 5
    EXIT = 6


class Garbled(ValueError):
    """The other side does not speak this protocol."""


def secret(key: bytes) -> bytes:
    """What both sides make of the key file."""
    return hashlib.sha256(b"argosy rsh\0" + key.strip()).digest()


def proof(secret: bytes, role: str, challenges: bytes) -> bytes:
    """That one in this role (`ssh` or `sshd`) knows the secret."""
    return hmac.digest(secret, role.encode() + b"\0" + challenges, "sha256")


def proves(given: bytes, secret: bytes, role: str, challenges: bytes) -> bool:
    """Whether a proof is right."""
    return hmac.compare_digest(given, proof(secret, role, challenges))


def frame(sort: Sort, content: bytes = b"") -> bytes:
    """One frame."""
    return bytes((sort,)) + len(content).to_bytes(4, "big") + content


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Sort, bytes]]:
        """The frames that are complete with this. Raises Garbled."""
        self._pending += data
        while len(self._pending) >= _HEADER_BYTES:
            length = int.from_bytes(self._pending[1:_HEADER_BYTES], "big")
            if length > FRAME_BYTES_MAX or self._pending[0] not in Sort._value2member_map_:
                raise Garbled("that is no frame")
            if len(self._pending) < _HEADER_BYTES + length:
                return
            sort, content = Sort(self._pending[0]), bytes(self._pending[_HEADER_BYTES : _HEADER_BYTES + length])
            del self._pending[: _HEADER_BYTES + length]
            yield sort, content
