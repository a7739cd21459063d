"""The rules of a CustomResourceDefinition (`x-kubernetes-validations`): whether they make sense, and what they may cost.

`meta.rules.crd` asks `complaints` of every definition that is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.cel import cost, types
from argosy.meta.cel.check import Checked, compiled
from argosy.meta.cel.syntax import Issues
from argosy.meta.cel.types import Type
from argosy.meta.json import Obj

KEYWORD = "x-kubernetes-validations"
_MOST_PER_RULE, _MOST_IN_ALL = 10_000_000, 100_000_000
_SIMPLIFY = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
_REQUEST_BYTES = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """One node of a schema."""

    path: str
    times: float | None
    """How often it may be there in one object; None where nothing bounds it."""
    loose: str = ""
    """The path above which a value of before cannot be told from one of now; empty where it can."""


def complaints(raw: Obj, path: str, odd: Sequence[str] = ()) -> list[Cause]:
    """What is wrong with the rules of a whole schema, in the words of kube-apiserver. Nodes in which some field is `odd`
    already are passed over.
    """
    walk = _Walk(odd)
    walk.visit(raw, _Place(path, 1), root=True)
    found = walk.found
    if walk.total > _MOST_IN_ALL:
        dearest = sorted(walk.spent, key=lambda each: -each[0])[:4]
        for amount, place in dearest:
            if amount > _MOST_IN_ALL / 100:
                what = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                found.append(causes.forbidden(place, what))
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        found.append(causes.forbidden(path, _too_dear(what, walk.total / _MOST_IN_ALL)))
    return found


def _too_dear(what: str, factor: float) -> str:
    times = "more than 100x" if factor > 100 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {times} {_SIMPLIFY}"


def _more(times: float | None, most: int | None) -> float | None:
    return None if times is None or most is None else times * max(most, 0)


class _Walk:
    """One walk over a schema."""

    def __init__(self, odd: Sequence[str]) -> None:
        self.found: list[Cause] = []
        self.spent: list[tuple[float, str]] = []
        self.total = 0.0
        self._odd = odd

    def visit(self, raw: Obj, at: _Place, *, root: bool = False) -> None:
        """A node and what is below it."""
        if raw.get(KEYWORD) and not any(path.startswith(at.path) for path in self._odd):
            self._rules(raw, at, root=root)
        fixed = raw.get("x-kubernetes-map-type") == "atomic"
        for name, inner in (raw.get("properties") or {}).items():
            loose = at.loose or (at.path if fixed else "")
            self.visit(inner, _Place(f"{at.path}.properties[{name}]", at.times, loose))
        extra, items = raw.get("additionalProperties"), raw.get("items")
        if isinstance(extra, dict):
            times = _more(at.times, raw.get("maxProperties"))
            self.visit(extra, _Place(f"{at.path}.additionalProperties", times, at.loose))
        if isinstance(items, dict):
            loose = at.loose or (at.path if raw.get("x-kubernetes-list-type") != "map" else "")
            self.visit(items, _Place(f"{at.path}.items", _more(at.times, raw.get("maxItems")), loose))

    def _rules(self, raw: Obj, at: _Place, *, root: bool) -> None:
        type = types.of_schema(raw, resource=root)
        if type is None:
            return
        often = at.times if at.times is not None else (_REQUEST_BYTES - 2) // (type.least + 1)
        for index, rule in enumerate(raw[KEYWORD]):
            self._rule(rule, f"{at.path}.{KEYWORD}[{index}]", type, often, at.loose)

    def _rule(self, rule: Obj, place: str, type: Type, often: float, loose: str) -> None:
        text = str(rule.get("rule") or "")
        if not text.strip():
            return
        try:
            checked = compiled(text, variables(type, rule))
        except Issues as issues:
            self.found.append(causes.invalid(f"{place}.rule", _shown(rule), f"compilation failed: {issues}"))
            self._needless(rule, place)
            return
        if checked.type.name not in ("bool", "dyn"):
            self.found.append(causes.invalid(f"{place}.rule", _shown(rule), "cel expression must evaluate to a bool"))
            return
        self._priced(checked, f"{place}.rule", "rule", often)
        if rule.get("messageExpression"):
            self._message(rule, f"{place}.messageExpression", variables(type, rule), often)
        if "oldSelf" not in checked.names:
            self._needless(rule, place)
        elif loose:
            message = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}"
            self.found.append(causes.invalid(f"{place}.rule", text, message))

    def _needless(self, rule: Obj, place: str) -> None:
        if rule.get("optionalOldSelf") is not None:
            message = "may not be set if oldSelf is not used in rule"
            self.found.append(causes.invalid(f"{place}.optionalOldSelf", rule["optionalOldSelf"], message))

    def _message(self, rule: Obj, place: str, known: Mapping[str, Type], often: float) -> None:
        try:
            checked = compiled(rule["messageExpression"], known)
        except Issues as issues:
            what = f"messageExpression compilation failed: {issues}"
            self.found.append(causes.invalid(place, _shown(rule), what))
            return
        if checked.type.name not in ("string", "dyn"):
            self.found.append(causes.invalid(place, _shown(rule), "messageExpression must evaluate to a string"))
            return
        self._priced(checked, place, "messageExpression", often)

    def _priced(self, checked: Checked, place: str, what: str, often: float) -> None:
        amount = cost.upper_bound(checked) * often
        if amount > _MOST_PER_RULE:
            self.found.append(causes.forbidden(place, _too_dear(f"estimated {what} cost", amount / _MOST_PER_RULE)))
        self.spent.append((amount, place))
        self.total += amount


def variables(type: Type, rule: Obj) -> dict[str, Type]:
    """What a rule may speak of."""
    return {"self": type, "oldSelf": types.optional_of(type) if rule.get("optionalOldSelf") else type}


def _shown(rule: Obj) -> Obj:
    """A rule as it is quoted in a complaint."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message", ""),
        "MessageExpression": rule.get("messageExpression", ""),
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath", ""),
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
