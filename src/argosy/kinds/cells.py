"""What the cells of `kubectl get` say: ages, access modes, selectors, the containers of a pod template.

Every file of kinds builds its columns from these; the words are those that kubectl's users know. Pure: `now` comes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from argosy.clock import parse_time
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"


def human_duration(seconds: float) -> str:
    """A duration as kubectl shortens it: two units at most, the smaller one only while it matters."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total <= 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if days < 365 * 8 else f"{years}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def since(stamp: str | None, now: datetime, missing: str = UNKNOWN) -> str:
    """How long ago a timestamp was."""
    if not stamp:
        return missing
    try:
        return human_duration((now - parse_time(stamp)).total_seconds())
    except ValueError:
        return UNKNOWN


def age(obj: Obj, now: datetime) -> str:
    """The object's age."""
    return since(dig(obj, "metadata", "creationTimestamp"), now)


_CREATED = ".metadata.creationTimestamp"
AGE = Column("Age", _CREATED, cell=age)
CREATED_AT = Column(
    "Created At", _CREATED, cell=lambda obj, now: dig(obj, "metadata", "creationTimestamp", default=""), type="date"
)


def column(
    name: str, *path: str | int, default: Any = "", wide: bool = False, type: str = "string", about: str = ""
) -> Column:
    """A column that shows the value at a path; `about` where its field's documentation does not describe it."""
    place = "".join(f".{step}" for step in path if isinstance(step, str))

    def cell(obj: Obj, now: datetime) -> Any:
        return dig(obj, *path, default=default)

    return Column(name, place, cell=cell, type=type, priority=int(wide), description=about)


def count(name: str, *path: str | int, wide: bool = False) -> Column:
    """A column that shows a number, 0 where it is missing."""
    return column(name, *path, default=0, wide=wide, type="integer")


def labels_text(labels: Mapping[str, str] | None) -> str:
    """`a=1,b=2`, or `<none>`."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if labels else NONE


def selector_text(selector: Obj | None) -> str:
    """A LabelSelector in the form that the command line takes, or `<none>` for a missing or empty one."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    parts.extend(_requirement(term) for term in selector.get("matchExpressions") or ())
    return ",".join(parts) or NONE


def _requirement(term: Obj) -> str:
    key, operator = term.get("key", ""), term.get("operator", "")
    if operator == "Exists":
        return str(key)
    if operator == "DoesNotExist":
        return f"!{key}"
    word = "in" if operator == "In" else "notin"
    return f"{key} {word} ({','.join(sorted(term.get('values') or ()))})"


def container_columns(*template: str) -> tuple[Column, Column]:
    """The wide columns Containers and Images of the pod template at a path."""

    def joined(of: str) -> Column:
        def cell(obj: Obj, now: datetime) -> str:
            return ",".join(str(c.get(of, "")) for c in dig(obj, *template, "spec", "containers", default=()))

        what = "Names of" if of == "name" else "Images referenced by"
        text = f"{what} each container in the template."
        return Column("Containers" if of == "name" else "Images", cell=cell, priority=1, description=text)

    return joined("name"), joined("image")


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(modes: Iterable[str] | None) -> str:
    """`RWO,ROX`: each mode once, in kubectl's order."""
    given = set(modes or ())
    return ",".join(short for mode, short in _MODES.items() if mode in given)


def some(items: list[str], most: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    if not items:
        return NONE
    shown = ",".join(items[:most])
    return f"{shown} + {len(items) - most} more..." if len(items) > most else shown


def truth(value: Any) -> str:
    """A boolean as kubectl's built-in tables write it."""
    return "True" if value is True else "False"
