"""Which requests an admission policy or webhook is about, and what their expressions may speak of. Pure, but for a look
at the namespace. `policies` and `webhooks` ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from argosy import kinds
from argosy.client.requests import User
from argosy.engine.apiserver.authz import Attributes
from argosy.engine.apiserver.calls import Call
from argosy.meta import selectors
from argosy.meta.json import Obj
from argosy.meta.objects import Key, labels_of

if TYPE_CHECKING:
    from argosy.meta.cel.authorizer import Decide, Question

States: TypeAlias = tuple[Obj | None, Obj | None]
"""The object as it shall be and as it was; None where there is no such state."""


def namespace_of(call: Call, obj: Obj) -> Obj | None:
    """The namespace that a request is about: its own, or the one that it is in. None for what is in none."""
    if call.served.storage is kinds.NAMESPACE:
        return obj
    if not call.target.namespace:
        return None
    found = call.api.store.newest(kinds.NAMESPACE.resource, Key("", call.target.namespace))
    return found.obj if found is not None else None


def selected(place: Obj, states: States, namespace: Obj | None) -> bool:
    """Whether `namespaceSelector` and `objectSelector` take an object that is (or is in) that namespace."""
    selector = place.get("namespaceSelector")
    if selector and namespace is not None and not selectors.matches(selector, labels_of(namespace)):
        return False
    wanted = place.get("objectSelector")
    return not wanted or any(each is not None and selectors.matches(wanted, labels_of(each)) for each in states)


def rule_holds(call: Call, rule: Obj, operation: str) -> bool:
    """Whether a rule is about the request. An object is the same in every version of its group."""
    kind, named = call.kind, rule.get("resourceNames")
    return (
        _has(rule.get("operations"), operation)
        and _has(rule.get("apiGroups"), kind.group)
        and bool(rule.get("apiVersions"))
        and _resource(call, rule.get("resources") or ())
        and rule.get("scope", "*") in ("*", "Namespaced" if kind.namespaced else "Cluster")
        and (not named or call.target.name in named)
    )


def _resource(call: Call, wanted: Sequence[str]) -> bool:
    plural, inner = call.target.plural, call.target.subresource
    meant = {"*/*", f"{plural}/*", *({f"{plural}/{inner}", f"*/{inner}"} if inner else {"*", plural})}
    return not meant.isdisjoint(wanted)


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def facts(call: Call, obj: Obj | None, old: Obj | None, operation: str, namespace: Obj | None) -> Obj:
    """What expressions may speak of."""
    kind, user = call.kind, call.user
    named = {"group": kind.group, "version": kind.version}
    name = call.target.name or ((obj or {}).get("metadata") or {}).get("name", "")
    request = {
        "kind": {**named, "kind": kind.kind}, "resource": {**named, "resource": kind.plural},
        "subResource": call.target.subresource, "name": name, "namespace": call.target.namespace,
        "operation": operation, "dryRun": call.dry_run,
        "userInfo": {"username": user.name, "uid": user.uid, "groups": sorted(user.groups)},
    }  # fmt: skip
    from argosy.meta.cel.authorizer import Question, authorizer  # noqa: PLC0415 (many clusters never see a policy)

    target = call.target
    asked = Question(_decider(call), group=kind.group, resource=kind.plural, subresource=target.subresource,
                     namespace=target.namespace, name=name)  # fmt: skip
    return {
        "object": obj, "oldObject": old, "request": request, "namespaceObject": namespace, "params": None,
        "authorizer": authorizer(asked.decide, asked),
    }  # fmt: skip


def _decider(call: Call) -> Decide:
    """Whether the user of a request, or a service account, may do something."""

    def decide(asked: Question) -> tuple[bool, str]:
        user = call.user
        if asked.user is not None:
            namespace, name = asked.user
            groups = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"}
            user = User(f"system:serviceaccount:{namespace}:{name}", frozenset(groups))
        inner = f"/{asked.subresource}" if asked.subresource else ""
        wanted = Attributes(
            asked.verb, asked.group, f"{asked.resource}{inner}", asked.name, asked.namespace, asked.path
        )
        decision = call.api.authorizer.decide(user, wanted)
        return decision.allowed, decision.reason

    return decide
