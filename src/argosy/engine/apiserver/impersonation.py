"""Acting as somebody else (`kubectl --as`): who may, and who they are then.

`App.handle` asks for every request that carries such headers; the rest of the server sees the other user alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from argosy.client.requests import User
from argosy.engine.apiserver.authz import Attributes, Authorizer
from argosy.errors import BadRequest

_USER, _UID, _GROUP, _EXTRA = "impersonate-user", "impersonate-uid", "impersonate-group", "impersonate-extra-"
_ACCOUNT = "system:serviceaccount:"
_AUTHENTICATION = "authentication.k8s.io"
_EVERYBODY, _NOBODY = "system:authenticated", "system:unauthenticated"
MARK = "impersonate-"
"""How the names of these headers begin; those that come several times have a line a value."""


def acting(user: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """Whom a request is to be treated as coming from. Raises Forbidden, BadRequest."""
    asked = {name: value.split("\n") for name, value in headers.items() if name.startswith(MARK)}
    if not asked:
        return user
    name = asked.get(_USER, [""])[0]
    groups, uid = asked.get(_GROUP, []), asked.get(_UID, [""])[0]
    extra = {unquote(key.removeprefix(_EXTRA)): tuple(each) for key, each in asked.items() if key.startswith(_EXTRA)}
    if not name:
        raise BadRequest("a group, uid or extra field cannot be impersonated without a user: send Impersonate-User too")
    _check(user, authorizer, name, groups, uid, extra)
    if name.startswith(_ACCOUNT) and not groups:
        namespace = name.removeprefix(_ACCOUNT).partition(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    everybody = _NOBODY if name == "system:anonymous" or _NOBODY in groups else _EVERYBODY
    return User(name, frozenset({*groups, everybody}), uid, extra)


def _check(
    user: User, authorizer: Authorizer, name: str, groups: list[str], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> None:
    namespace, colon, account = name.removeprefix(_ACCOUNT).partition(":")
    if name.startswith(_ACCOUNT) and colon:
        authorizer.check(user, Attributes("impersonate", "", "serviceaccounts", account, namespace))
    else:
        authorizer.check(user, Attributes("impersonate", "", "users", name))
    for group in groups:
        authorizer.check(user, Attributes("impersonate", "", "groups", group))
    if uid:
        authorizer.check(user, Attributes("impersonate", _AUTHENTICATION, "uids", uid))
    for key, values in extra.items():
        for value in values:
            authorizer.check(user, Attributes("impersonate", _AUTHENTICATION, f"userextras/{key}", value))
