"""The expressions that select devices: what `device` is in them, whether they make sense, and what they may cost.

`meta.rules.devices` asks `complaints` of every selector of a claim or a class.
"""

from __future__ import annotations

from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.cel import cost
from argosy.meta.cel.check import compiled
from argosy.meta.cel.syntax import Issues
from argosy.meta.cel.types import Type, map_of

_DOMAIN, _NAME, _MOST, _MOST_COST = 63, 32, 32, 1_000_000


def _text(size: int) -> Type:
    return Type("string", size=size)


def _by_domain(value: Type) -> Type:
    return map_of(_text(_DOMAIN), map_of(_text(_NAME), value, _MOST), _MOST)


_ANY = Type("dyn", size=64)
"""An attribute is a text, a number, a truth value or a version; which, only the device says."""
_FIELDS = {
    "driver": _text(_DOMAIN),
    "allowMultipleAllocations": Type("bool", size=1),
    "attributes": _by_domain(_ANY),
    "capacity": _by_domain(Type("kubernetes.Quantity")),
}
_DEVICE = Type("object", fields={name: (name, type) for name, type in _FIELDS.items()})


def complaints(path: str, text: str) -> list[Cause]:
    """What is wrong with one selector."""
    try:
        checked = compiled(text, {"device": _DEVICE}, bindings=True)
    except Issues as issues:
        return [causes.invalid(path, text, f"compilation failed: {issues}")]
    if checked.type.name not in ("bool", "dyn"):
        return [causes.invalid(path, text, f"must evaluate to bool or the unknown type, not {checked.type}")]
    if cost.upper_bound(checked) > _MOST_COST:
        return [causes.forbidden(path, "too complex, exceeds cost limit")]
    return []
