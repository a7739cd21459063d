"""CEL's `authorizer`: whether whoever asks may do something else as well.

    authorizer.group("apps").resource("deployments").namespace("default").check("create").allowed()

`functions` reads the table; the API server's admission makes the value, over its own rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from argosy.meta.cel.functions import Table
from argosy.meta.cel.types import Type
from argosy.meta.cel.values import Opaque
from argosy.meta.json import Obj

_AT = "kubernetes.authorization"
_ALL, _PATH, _GROUP, _RESOURCE, _DECISION = (
    f"{_AT}.{name}" for name in ("Authorizer", "PathCheck", "GroupCheck", "ResourceCheck", "Decision")
)
AUTHORIZER = Type(_ALL, fields={"requestResource": ("requestResource", Type(_RESOURCE))})
"""What expressions may do with the variable."""

Decide = Callable[["Question"], tuple[bool, str]]
"""Whether it is allowed, and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody may do or not."""

    decide: Decide
    user: tuple[str, str] | None = None
    """Namespace and name of a service account, where it is about one and not about who asks."""
    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def authorizer(decide: Decide, asked: Question) -> Opaque:
    """The variable's value; `asked` is the request that is being looked at, without a verb."""
    return Opaque(_ALL, {"": Question(decide), "requestResource": Opaque(_RESOURCE, asked)})


def _of(holder: Opaque) -> Question:
    found: Question = holder.value[""] if isinstance(holder.value, dict) else holder.value
    return found


def _step(kind: str, name: str) -> Callable[[Opaque, str], Opaque]:
    def run(holder: Opaque, text: str) -> Opaque:
        changed: Obj = {name: text}
        return Opaque(kind, replace(_of(holder), **changed))

    return run


def _account(holder: Opaque, namespace: str, name: str) -> Opaque:
    asked = replace(_of(holder), user=(namespace, name))
    return Opaque(_ALL, {"": asked, "requestResource": holder.value["requestResource"]})


def _check(holder: Opaque, verb: str) -> Opaque:
    asked = replace(_of(holder), verb=verb)
    return Opaque(_DECISION, asked.decide(asked))


TABLE: Table = {
    "path": ((f"{_ALL}.(string): {_PATH}",), _step(_PATH, "path")),
    "group": ((f"{_ALL}.(string): {_GROUP}",), _step(_GROUP, "group")),
    "serviceAccount": ((f"{_ALL}.(string, string): {_ALL}",), _account),
    "resource": ((f"{_GROUP}.(string): {_RESOURCE}",), _step(_RESOURCE, "resource")),
    "subresource": ((f"{_RESOURCE}.(string): {_RESOURCE}",), _step(_RESOURCE, "subresource")),
    "namespace": ((f"{_RESOURCE}.(string): {_RESOURCE}",), _step(_RESOURCE, "namespace")),
    "name": ((f"{_RESOURCE}.(string): {_RESOURCE}",), _step(_RESOURCE, "name")),
    # Rights here never depend on what a list selects, so what it selects is heard and left at that.
    "fieldSelector": ((f"{_RESOURCE}.(string): {_RESOURCE}",), lambda holder, text: holder),
    "labelSelector": ((f"{_RESOURCE}.(string): {_RESOURCE}",), lambda holder, text: holder),
    "check": ((f"{_PATH}.(string): {_DECISION}", f"{_RESOURCE}.(string): {_DECISION}"), _check),
    "allowed": ((f"{_DECISION}.(): bool",), lambda decision: decision.value[0]),
    "reason": ((f"{_DECISION}.(): string",), lambda decision: decision.value[1]),
    "errored": ((f"{_DECISION}.(): bool",), lambda decision: False),
    "error": ((f"{_DECISION}.(): string",), lambda decision: ""),
}
