"""Service-account tokens: made for TokenRequest and for pods' projected volumes, checked at the edge.

JSON Web Tokens signed with the engine's EC key (ES256), with Kubernetes' claims. The key's library is loaded when the
first token is made or checked, so that start-up does not pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from argosy import kinds
from argosy.client.requests import User
from argosy.engine.apiserver.settings import AUDIENCE, SERVICE_ACCOUNT_ISSUER
from argosy.engine.store import Store
from argosy.errors import Unauthorized
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, uid_of

if TYPE_CHECKING:
    from argosy.engine.apiserver.jwt import Signer

AUDIENCES = (AUDIENCE, SERVICE_ACCOUNT_ISSUER, "argosy")
_REMEMBERED = 1024
_BOUND = {"Pod": (kinds.POD, "pod"), "Secret": (kinds.SECRET, "secret"), "Node": (kinds.NODE, "node")}


@dataclass(frozen=True, slots=True)
class Bound:
    """What a token is bound to: it dies with it."""

    kind: str
    name: str
    uid: str


class Tokens:
    """Signs and checks tokens; knows nothing without a key."""

    def __init__(self, store: Store, key_pem: bytes) -> None:
        self._store = store
        self._pem = key_pem
        self._checked: dict[str, Obj] = {}

    @cached_property
    def _signer(self) -> Signer:
        from argosy.engine.apiserver.jwt import Signer  # noqa: PLC0415 - heavy, and not needed to start

        return Signer(self._pem)

    def sign(
        self, account: Obj, audiences: Sequence[str], issued: int, lifetime_seconds: int, bound: Bound | None
    ) -> str:
        """A token for a ServiceAccount, valid from the Unix time `issued` for that long."""
        meta = account["metadata"]
        subject: Obj = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": uid_of(account)},
        }
        if bound is not None:
            subject[_BOUND[bound.kind][1]] = {"name": bound.name, "uid": bound.uid}
        claims: Obj = {
            "aud": list(audiences),
            "exp": issued + lifetime_seconds,
            "iat": issued,
            "iss": SERVICE_ACCOUNT_ISSUER,
            "jti": str(uuid4()),
            "kubernetes.io": subject,
            "nbf": issued,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return self._signer.sign(claims)

    def user(self, token: str, now: float, audiences: Sequence[str] = AUDIENCES) -> User:
        """Whom a token speaks for. Raises Unauthorized."""
        claims = self._checked.get(token)
        if claims is None:
            claims = self._verified(token)
            if len(self._checked) >= _REMEMBERED:
                self._checked.clear()
            self._checked[token] = claims
        if not claims.get("nbf", 0) - 60 <= now < claims.get("exp", 0):
            raise Unauthorized("Unauthorized")
        if not set(claims.get("aud") or ()) & set(audiences):
            raise Unauthorized("Unauthorized")
        return self._user(claims)

    def looks_like_ours(self, token: str) -> bool:
        """Whether a bearer token may be one of these at all."""
        return bool(self._pem) and token.count(".") == 2

    def _user(self, claims: Obj) -> User:
        subject = claims.get("kubernetes.io") or {}
        namespace = subject.get("namespace", "")
        named = subject.get("serviceaccount") or {}
        self._must_live(kinds.SERVICE_ACCOUNT, Key(namespace, named.get("name", "")), named.get("uid", ""))
        extra: dict[str, tuple[str, ...]] = {
            "authentication.kubernetes.io/credential-id": (f"JTI={claims.get('jti')}",)
        }
        for word, (kind, claim) in _BOUND.items():
            bound = subject.get(claim)
            if bound is None:
                continue
            self._must_live(kind, Key(namespace if kind.namespaced else "", bound["name"]), bound["uid"])
            if word in ("Pod", "Node"):
                extra[f"authentication.kubernetes.io/{claim}-name"] = (bound["name"],)
                extra[f"authentication.kubernetes.io/{claim}-uid"] = (bound["uid"],)
        groups = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"}
        return User(str(claims["sub"]), frozenset(groups), str(named.get("uid", "")), extra)

    def _must_live(self, kind: Kind, key: Key, uid: str) -> None:
        record = self._store.get(kind.resource, key)
        if record is None or uid_of(record.obj) != uid:
            raise Unauthorized("Unauthorized")

    def _verified(self, token: str) -> Obj:
        claims = self._signer.claims(token)
        if claims is None or claims.get("iss") != SERVICE_ACCOUNT_ISSUER:
            raise Unauthorized("Unauthorized")
        return claims
