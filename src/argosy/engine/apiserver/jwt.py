"""JSON Web Tokens signed with an EC P-256 key (ES256). Only `tokens` imports this, when the first token comes by."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from argosy.meta.json import Obj, decode, encode

_ALGORITHM = "ES256"
_HALF = 32


class Signer:
    """Signs and checks with one key."""

    def __init__(self, key_pem: bytes) -> None:
        key = load_pem_private_key(key_pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "tokens are signed with an EC key"
        self._key = key
        self._public = key.public_key()

    def sign(self, claims: Obj) -> str:
        """The token that says this."""
        body = f"{_b64(encode({'alg': _ALGORITHM, 'kid': 'argosy', 'typ': 'JWT'}))}.{_b64(encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{_b64(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"

    def claims(self, token: str) -> Obj | None:
        """What a token says, None when it is not one of ours."""
        try:
            head, body, signature = token.split(".")
            if decode(_unb64(head)).get("alg") != _ALGORITHM:
                return None
            raw = _unb64(signature)
            numbers = (int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
            self._public.verify(encode_dss_signature(*numbers), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
            claims: Any = decode(_unb64(body))
        except (ValueError, AttributeError, InvalidSignature):
            return None
        return claims if isinstance(claims, dict) else None


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
