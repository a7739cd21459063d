"""The expressions of a ValidatingAdmissionPolicy: whether they make sense, and programs of them.

`meta.rules.admission` asks `complaints` of a policy, the API server's admission runs `program_of`. Everything that such an
expression speaks of is known only when a request is there, so its types are dynamic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, names
from argosy.meta.cel.authorizer import AUTHORIZER
from argosy.meta.cel.check import compiled
from argosy.meta.cel.evaluate import program
from argosy.meta.cel.syntax import RESERVED, Issues
from argosy.meta.cel.types import DYN, Type
from argosy.meta.json import Obj

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ALWAYS = ("object", "oldObject", "request", "namespaceObject")
_Known = Mapping[str, Type]


def _types(variables: _Known | None, params: bool) -> dict[str, Type]:
    """What expressions may speak of; `variables` only where the policy has some, however many of them are good."""
    found = dict.fromkeys(_ALWAYS, DYN) | {"authorizer": AUTHORIZER}
    if variables is not None:
        found["variables"] = Type("object", fields={name: (name, type) for name, type in variables.items()})
    return found | ({"params": DYN} if params else {})


@lru_cache(maxsize=1024)
def program_of(text: str, variables: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Any]:
    """What evaluates an expression that may use those variables of its policy. Raises Issues."""
    return program(compiled(text, _types(dict.fromkeys(variables, DYN), True)))


def complaints(spec: Obj) -> list[Cause]:
    """What is wrong with a policy's expressions."""
    found: list[Cause] = []
    params = bool(spec.get("paramKind"))
    found += conditions("spec.matchConditions", spec.get("matchConditions") or (), params=params)
    known: dict[str, Type] | None = {} if spec.get("variables") else None
    for index, each in enumerate(spec.get("variables") or ()):
        path, name = f"spec.variables[{index}]", each.get("name") or ""
        if not name.strip():
            found.append(causes.required(f"{path}.name", "name is not specified"))
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or name in RESERVED:
            found.append(causes.invalid(f"{path}.name", name, "must be a valid CEL identifier"))
        text = each.get("expression")
        why = "expression is not specified"
        type = _expression(found, f"{path}.expression", text, _types(known, params), "", why=why)
        if type is not None and name and known is not None:
            known[name] = type
    for index, each in enumerate(spec.get("validations") or ()):
        _validation(found, f"spec.validations[{index}]", each, _types(known, params))
    for index, each in enumerate(spec.get("auditAnnotations") or ()):
        path = f"spec.auditAnnotations[{index}].valueExpression"
        text, why = each.get("valueExpression"), "valueExpression is not specified"
        _expression(found, path, text, _types(known, params), "string", "null_type", why=why)
    return found


def conditions(path: str, each_of: Sequence[Obj], *, params: bool) -> list[Cause]:
    """What is wrong with the match conditions of a policy or a webhook."""
    found: list[Cause] = []
    seen: set[str] = set()
    for index, each in enumerate(each_of):
        place, name = f"{path}[{index}]", each.get("name") or ""
        _expression(found, f"{place}.expression", each.get("expression"), _types(None, params), "bool")
        if not name:
            found.append(causes.required(f"{place}.name"))
            continue
        found += [causes.invalid(f"{place}.name", name, problem) for problem in names.qualified(name)]
        if name in seen:
            found.append(causes.duplicate(f"{place}.name", name))
        seen.add(name)
    return found


def _validation(found: list[Cause], path: str, each: Obj, types: Mapping[str, Type]) -> None:
    text = each.get("expression") or ""
    if not text.strip():
        found.append(causes.required(f"{path}.expression", "expression is not specified"))
    else:
        _expression(found, f"{path}.expression", text, types, "bool")
    message = each.get("messageExpression")
    if message:
        _expression(found, f"{path}.messageExpression", message, types, "string")
    reason = each.get("reason")
    if reason is not None and reason not in REASONS:
        found.append(causes.unsupported(f"{path}.reason", reason, REASONS))


def _expression(
    found: list[Cause], path: str, text: str | None, types: Mapping[str, Type], *wanted: str, why: str = ""
) -> Type | None:
    """The type of an expression that makes sense; complains of one that does not."""
    if text is None or not text.strip():
        found.append(causes.required(path, why))
        return None
    try:
        checked = compiled(text, types)
    except Issues as issues:
        found.append(causes.invalid(path, text, f"compilation failed: {issues}"))
        return None
    if wanted[0] and checked.type.name not in (*wanted, "dyn"):
        found.append(causes.invalid(path, text, f"must evaluate to {wanted[0]} but got {checked.type}"))
        return None
    return checked.type
