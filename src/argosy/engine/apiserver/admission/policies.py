"""ValidatingAdmissionPolicies: expressions that writes are held against, where a binding says so.

`review` looks at creates and updates, `review_delete` at deletes. Without a binding in the cluster this costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import details_of
from argosy.errors import ApiError, Cause, Forbidden, Invalid, TooLarge
from argosy.meta import selectors
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, labels_of

_BINDINGS = kinds.VALIDATING_ADMISSION_POLICY_BINDING.resource
_POLICIES = kinds.VALIDATING_ADMISSION_POLICY.resource
_ERRORS: dict[str, type[ApiError]] = {"Forbidden": Forbidden, "Invalid": Invalid, "RequestEntityTooLarge": TooLarge}
_EXEMPT = frozenset({kinds.VALIDATING_ADMISSION_POLICY, kinds.VALIDATING_ADMISSION_POLICY_BINDING})
"""What no policy may be about, or nobody could take a bad one back."""


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Hold a create or an update against every policy that is bound to it. Raises ApiError."""
    _review(call, obj, old, "CREATE" if old is None else "UPDATE")


def review_delete(call: Call, old: Obj) -> None:
    """Hold a delete against every policy that is bound to it. Raises ApiError."""
    _review(call, None, old, "DELETE")


def _review(call: Call, obj: Obj | None, old: Obj | None, operation: str) -> None:
    bindings = call.api.store.list(_BINDINGS)
    if not bindings or call.served.storage in _EXEMPT:
        return
    namespace = _namespace(call, obj or old or {})
    for record in bindings:
        spec = record.obj["spec"]
        policy = call.api.store.newest(_POLICIES, Key("", spec["policyName"]))
        if policy is None:
            continue
        places = (policy.obj["spec"].get("matchConstraints"), spec.get("matchResources"))
        if all(place is None or _matches(call, place, obj, old, operation, namespace) for place in places):
            facts = _facts(call, obj, old, operation, namespace)
            _apply(_Bound(call, policy.obj, record.obj, facts["request"]["name"]), facts)


def _namespace(call: Call, obj: Obj) -> Obj | None:
    if call.served.storage is kinds.NAMESPACE:
        return obj
    if not call.target.namespace:
        return None
    found = call.api.store.newest(kinds.NAMESPACE.resource, Key("", call.target.namespace))
    return found.obj if found is not None else None


def _matches(call: Call, place: Obj, obj: Obj | None, old: Obj | None, operation: str, namespace: Obj | None) -> bool:
    """Whether a request is of those that constraints name; a binding without rules means all of its policy's."""
    rules = place.get("resourceRules")
    if rules and not any(_rule(call, rule, operation) for rule in rules):
        return False
    if any(_rule(call, rule, operation) for rule in place.get("excludeResourceRules") or ()):
        return False
    selector = place.get("namespaceSelector")
    if selector and namespace is not None and not selectors.matches(selector, labels_of(namespace)):
        return False
    wanted = place.get("objectSelector")
    return not wanted or any(each is not None and selectors.matches(wanted, labels_of(each)) for each in (obj, old))


def _rule(call: Call, rule: Obj, operation: str) -> bool:
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


def _facts(call: Call, obj: Obj | None, old: Obj | None, operation: str, namespace: Obj | None) -> Obj:
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
    return {"object": obj, "oldObject": old, "request": request, "namespaceObject": namespace, "params": None}


class _Variables(dict):  # type: ignore[type-arg]
    """A policy's own variables, computed when they are first asked for."""

    def __init__(self, texts: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        super().__init__()
        self._texts, self._facts = texts, facts
        self.names = tuple(texts)

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __getitem__(self, name: str) -> Any:
        from argosy.meta.cel.policies import program_of  # noqa: PLC0415 (many clusters never see a policy)

        if not super().__contains__(name):
            self[name] = program_of(self._texts[name], self.names)({**self._facts, "variables": self})
        return super().__getitem__(name)


@dataclass(frozen=True, slots=True)
class _Bound:
    """A policy with one of its bindings, and the request that they are applied to."""

    call: Call
    policy: Obj
    binding: Obj
    name: str
    """Of the object."""

    @property
    def spec(self) -> Obj:
        """The policy's own."""
        found: Obj = self.policy["spec"]
        return found

    @property
    def fails_closed(self) -> bool:
        """Whether an expression without a value is against the request."""
        return self.spec.get("failurePolicy") != "Ignore"

    def refuse(self, said: str, reason: str = "Invalid") -> None:
        """Do what the binding says of a request that the policy is against. Raises ApiError where that is to deny it."""
        policy, binding = self.policy["metadata"]["name"], self.binding["metadata"]["name"]
        who = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}'"
        actions = dig(self.binding, "spec", "validationActions", default=())
        if "Warn" in actions:
            self.call.warnings.append(f"Validation failed for {who}: {said}")
        if "Deny" in actions:
            why, kind = f"{who} denied request: {said}", self.call.kind
            raise _ERRORS[reason](
                f'{kind.resource} "{self.name}" is forbidden: {why}',
                details=details_of(kind, self.name),
                causes=[Cause("", why)],
            )


def _apply(bound: _Bound, facts: Mapping[str, Any]) -> None:
    from argosy.meta.cel.policies import program_of  # noqa: PLC0415
    from argosy.meta.cel.syntax import Issues  # noqa: PLC0415
    from argosy.meta.cel.values import EvalError, TooCostly  # noqa: PLC0415

    spec = bound.spec
    for params in _params(bound):
        given = {**facts, "params": params}
        variables = _Variables({each["name"]: each["expression"] for each in spec.get("variables") or ()}, given)
        given["variables"] = variables
        try:
            conditions = [each["expression"] for each in spec.get("matchConditions") or ()]
            if not all(program_of(text, ())(given) is True for text in conditions):
                continue
        except (EvalError, TooCostly, Issues) as error:
            if bound.fails_closed:
                bound.refuse(f"failed to evaluate match conditions: {error}")
            continue
        for each in spec.get("validations") or ():
            try:
                if program_of(each["expression"], variables.names)(given) is not True:
                    bound.refuse(_message(each, variables.names, given), each.get("reason") or "Invalid")
            except (EvalError, TooCostly, Issues) as error:
                if bound.fails_closed:
                    bound.refuse(f"expression '{each['expression']}' resulted in error: {error}")


def _message(each: Obj, names: tuple[str, ...], given: Mapping[str, Any]) -> str:
    from argosy.meta.cel.policies import program_of  # noqa: PLC0415
    from argosy.meta.cel.values import EvalError, TooCostly  # noqa: PLC0415

    if each.get("messageExpression"):
        try:
            said = program_of(each["messageExpression"], names)(given)
        except (EvalError, TooCostly):
            said = ""
        if isinstance(said, str) and said.strip() and "\n" not in said.strip():
            return said.strip()
    return str(each.get("message") or "").strip() or f"failed expression: {each['expression'].strip()}"


def _params(bound: _Bound) -> list[Obj | None]:
    """The objects that a policy is applied with, one after the other."""
    kind, ref = bound.spec.get("paramKind"), dig(bound.binding, "spec", "paramRef")
    if not kind or not ref:
        return [None]
    group, _, version = kind["apiVersion"].rpartition("/")
    found: list[Obj | None] = []
    for served in bound.call.api.registry.all():
        own = served.kind
        if (own.group, own.version, own.kind) == (group, version, kind["kind"]):
            namespace = (ref.get("namespace") or bound.call.target.namespace) if own.namespaced else ""
            found += [r.obj for r in bound.call.api.store.list(own.resource, namespace) if _referred(ref, r.obj)]
    if not found and ref.get("parameterNotFoundAction", "Deny") == "Deny":
        bound.refuse(
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
        )
    return found


def _referred(ref: Obj, obj: Obj) -> bool:
    if ref.get("name"):
        return bool(obj["metadata"]["name"] == ref["name"])
    return selectors.matches(ref.get("selector"), labels_of(obj))
