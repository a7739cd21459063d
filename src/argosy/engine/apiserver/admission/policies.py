"""ValidatingAdmissionPolicies: expressions that writes are held against, where a binding says so.

`review` looks at creates and updates, `review_delete` at deletes. Without a binding in the cluster this costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from argosy import kinds
from argosy.engine.apiserver.admission import matching
from argosy.engine.apiserver.admission.matching import States
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
    namespace = matching.namespace_of(call, obj or old or {})
    for record in bindings:
        spec = record.obj["spec"]
        policy = call.api.store.newest(_POLICIES, Key("", spec["policyName"]))
        if policy is None:
            continue
        places = (policy.obj["spec"].get("matchConstraints"), spec.get("matchResources"))
        if all(place is None or _matches(call, place, (obj, old), operation, namespace) for place in places):
            facts = matching.facts(call, obj, old, operation, namespace)
            _apply(_Bound(call, policy.obj, record.obj, facts["request"]["name"]), facts)


def _matches(call: Call, place: Obj, states: States, operation: str, namespace: Obj | None) -> bool:
    """Whether a request is of those that constraints name; a binding without rules means all of its policy's."""
    rules = place.get("resourceRules")
    if rules and not any(matching.rule_holds(call, rule, operation) for rule in rules):
        return False
    if any(matching.rule_holds(call, rule, operation) for rule in place.get("excludeResourceRules") or ()):
        return False
    return matching.selected(place, states, namespace)


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
