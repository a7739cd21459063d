"""The rules of a CustomResourceDefinition (`x-kubernetes-validations`): whether they make sense, and what they may cost.

`meta.rules.crd` asks `complaints` of every definition that is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.cel import cost, types
from argosy.meta.cel.check import Checked, compiled
from argosy.meta.cel.syntax import Issues
from argosy.meta.cel.types import Type
from argosy.meta.json import Obj

KEYWORD = "x-kubernetes-validations"
_MOST_PER_RULE, _MOST_IN_ALL = 10_000_000, 100_000_000
_REASONS = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")
_SIMPLIFY = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
_REQUEST_BYTES = 3 * 1024 * 1024


@dataclass(slots=True)
class _Spent:
    """The cost of all rules of one schema."""

    total: float = 0
    each: list[tuple[float, str]] = field(default_factory=list)

    def add(self, path: str, amount: float) -> None:
        self.total += amount
        self.each.append((amount, path))


def complaints(raw: Obj, path: str) -> list[Cause]:
    """What is wrong with the rules of a whole schema, in the words of kube-apiserver."""
    found: list[Cause] = []
    spent = _Spent()
    _visit(raw, path, 1, found, spent, root=True)
    if spent.total > _MOST_IN_ALL:
        dearest = sorted(spent.each, key=lambda each: -each[0])[:4]
        for amount, place in dearest:
            if amount > 0 and spent.total > _MOST_IN_ALL and amount > _MOST_IN_ALL / 100:
                what = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                found.append(causes.forbidden(place, what))
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        found.append(causes.forbidden(path, _too_dear(what, spent.total / _MOST_IN_ALL)))
    return found


def _too_dear(what: str, factor: float) -> str:
    times = "more than 100x" if factor > 100 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {times} {_SIMPLIFY}"


def _visit(raw: Obj, path: str, times: float | None, found: list[Cause], spent: _Spent, *, root: bool = False) -> None:
    """`times` is how often the node may be there in one object; None where nothing bounds it."""
    if raw.get(KEYWORD):
        _rules(raw, path, times, found, spent, root=root)
    for name, inner in (raw.get("properties") or {}).items():
        _visit(inner, f"{path}.properties[{name}]", times, found, spent)
    extra, items = raw.get("additionalProperties"), raw.get("items")
    if isinstance(extra, dict):
        _visit(extra, f"{path}.additionalProperties", _more(times, raw.get("maxProperties")), found, spent)
    if isinstance(items, dict):
        _visit(items, f"{path}.items", _more(times, raw.get("maxItems")), found, spent)


def _more(times: float | None, most: int | None) -> float | None:
    return None if times is None or most is None else times * max(most, 0)


def _rules(raw: Obj, path: str, times: float | None, found: list[Cause], spent: _Spent, *, root: bool) -> None:
    type = types.of_schema(raw, resource=root)
    if type is None:
        return
    often = times if times is not None else (_REQUEST_BYTES - 2) // (type.least + 1)
    for index, rule in enumerate(raw[KEYWORD]):
        place = f"{path}.{KEYWORD}[{index}]"
        text = str(rule.get("rule") or "")
        if not text.strip():
            found.append(causes.required(f"{place}.rule", "rule is not specified"))
            continue
        _own_fields(rule, place, type, found)
        try:
            checked = compiled(text, variables(type, rule))
        except Issues as issues:
            found.append(causes.invalid(f"{place}.rule", _shown(rule), f"compilation failed: {issues}"))
            continue
        if checked.type.name not in ("bool", "dyn"):
            found.append(causes.invalid(f"{place}.rule", _shown(rule), "cel expression must evaluate to a bool"))
            continue
        _priced(checked, f"{place}.rule", "rule", often, found, spent)
        expression = rule.get("messageExpression")
        if expression:
            _message(expression, f"{place}.messageExpression", variables(type, rule), often, found, spent)


def _own_fields(rule: Obj, place: str, type: Type, found: list[Cause]) -> None:
    message, reason, path = rule.get("message"), rule.get("reason"), rule.get("fieldPath")
    if message is not None and not message.strip() and message:
        found.append(causes.invalid(f"{place}.message", message, "message must be non-empty if specified"))
    elif "\n" in (message or ""):
        found.append(causes.invalid(f"{place}.message", message, "message must not contain line breaks"))
    elif "\n" in str(rule.get("rule")) and not message:
        found.append(causes.required(f"{place}.message", "message must be specified if rule contains line breaks"))
    if reason and reason not in _REASONS:
        found.append(causes.unsupported(f"{place}.reason", reason, _REASONS))
    if path and _field_path(path, type) is None:
        found.append(causes.invalid(f"{place}.fieldPath", path, "fieldPath must be a valid path: does not refer to a valid field"))  # fmt: skip


def _message(
    text: str, place: str, variables: Mapping[str, Type], often: float, found: list[Cause], spent: _Spent
) -> None:
    try:
        checked = compiled(text, variables)
    except Issues as issues:
        found.append(
            causes.invalid(place, {"MessageExpression": text}, f"messageExpression compilation failed: {issues}")
        )
        return
    if checked.type.name not in ("string", "dyn"):
        found.append(causes.invalid(place, {"MessageExpression": text}, "messageExpression must evaluate to a string"))
        return
    _priced(checked, place, "messageExpression", often, found, spent)


def _priced(checked: Checked, place: str, what: str, often: float, found: list[Cause], spent: _Spent) -> None:
    amount = cost.upper_bound(checked) * often
    if amount > _MOST_PER_RULE:
        found.append(causes.forbidden(place, _too_dear(f"estimated {what} cost", amount / _MOST_PER_RULE)))
    spent.add(place, amount)


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


def _field_path(path: str, type: Type) -> str | None:
    """The path where it leads to a field of the type; None else."""
    for step in _steps(path):
        if type.name == "object" and step in {name for name, _ in (type.fields or {}).values()}:
            type = next(inner for name, inner in (type.fields or {}).values() if name == step)
        elif type.name == "map":
            type = type.params[1]
        else:
            return None
    return path


def _steps(path: str) -> list[str]:
    return [first or second for first, second in re.findall(r"\.([^.\[\]]+)|\['([^']*)'\]", path)] or [path]
