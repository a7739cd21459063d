"""Who asks: client certificates, static bearer tokens, service-account tokens, or nobody.

The HTTP edge calls `Authenticator.user` for every request; within the process the user is given by the engine.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from argosy.client.requests import User
from argosy.clock import Clock
from argosy.engine.apiserver.calls import ANONYMOUS
from argosy.engine.apiserver.tokens import Tokens
from argosy.errors import Unauthorized, UserError

_AUTHENTICATED = "system:authenticated"


class Authenticator:
    """Recognises users."""

    def __init__(self, tokens: Tokens, static: Mapping[str, User], clock: Clock) -> None:
        self._tokens = tokens
        self._static = static
        self._clock = clock

    def user(self, authorization: str, certificate: Mapping[str, Any] | None) -> User:
        """The user of a request, from its Authorization header and the peer's verified certificate (as
        `ssl.SSLSocket.getpeercert` gives it). Raises Unauthorized for a token that is not right.
        """
        if certificate:
            return certificate_user(certificate)
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return ANONYMOUS
        known = self._static.get(token)
        if known is not None:
            return known
        if self._tokens.looks_like_ours(token):
            return self._tokens.user(token, self._clock.now().timestamp())
        raise Unauthorized("Unauthorized")


def certificate_user(certificate: Mapping[str, Any]) -> User:
    """The common name is the user, the organizations are its groups."""
    name, groups = "", {_AUTHENTICATED}
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.add(value)
    return User(name, frozenset(groups)) if name else ANONYMOUS


def static_user(name: str, groups: tuple[str, ...] = (), uid: str = "") -> User:
    """A user that a static token stands for."""
    return User(name, frozenset({*groups, _AUTHENTICATED}), uid)


def read_token_file(path: Path) -> dict[str, User]:
    """kube-apiserver's static token file: `token,user,uid,"group1,group2"`. Raises UserError."""
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"the token file {path} cannot be read: {error.strerror}", "check --token-auth-file") from None
    found: dict[str, User] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text), skipinitialspace=True), 1):
        if not row:
            continue
        if len(row) < 3 or not row[0] or not row[1]:
            raise UserError(f"{path}, line {number}: expected token,user,uid", "give every line those three columns")
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        found[row[0]] = static_user(row[1], groups, row[2])
    return found
