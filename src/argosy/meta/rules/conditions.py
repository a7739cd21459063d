"""Conditions as every kind of today has them, held to their form wherever a status is reported."""

from __future__ import annotations

import re
from collections.abc import Sequence

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, one_of, required, say

_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_REASON_MESSAGE = names.regex_message(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric"
    " characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB",
)  # fmt: skip


def well_formed(found: Found, path: str, conditions: Sequence[Obj]) -> None:
    """A list of conditions."""
    types: list[str] = [each.get("type") or "" for each in conditions]
    for index, condition in enumerate(conditions):
        if types[index] in types[:index]:
            found.append(causes.duplicate(f"{path}[{index}].type", types[index]))
        _condition(found, f"{path}[{index}]", condition)


def _condition(found: Found, path: str, condition: Obj) -> None:
    type, reason = condition.get("type") or "", condition.get("reason") or ""
    say(found, f"{path}.type", type, names.qualified(type))
    one_of(found, f"{path}.status", condition.get("status") or "", ("False", "True", "Unknown"))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        message = "must be greater than or equal to zero"
        found.append(causes.invalid(f"{path}.observedGeneration", generation, message))
    required(found, f"{path}.lastTransitionTime", condition.get("lastTransitionTime"))
    if required(found, f"{path}.reason", reason):
        if re.fullmatch(_REASON, reason) is None:
            found.append(causes.invalid(f"{path}.reason", reason, _REASON_MESSAGE))
        if len(reason) > 1024:
            found.append(causes.too_long(f"{path}.reason", 1024))
    if len(condition.get("message") or "") > 32 * 1024:
        found.append(causes.too_long(f"{path}.message", 32 * 1024))
