"""JSON as CEL's values, as a schema tells: times become times, whole numbers of a number field become doubles, lists that
are sets know it. `rules` calls this for `self` and `oldSelf`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from argosy.meta.cel.values import MapList, SetList, duration, timestamp
from argosy.meta.json import Obj

_FORMATS: dict[str, Callable[[str], Any]] = {
    "byte": lambda text: base64.b64decode(text, validate=True),
    "duration": duration,
    "date-time": timestamp,
    "date": lambda text: timestamp(f"{text}T00:00:00Z"),
}


def native(value: Any, raw: Obj) -> Any:
    """The value as expressions see it."""
    if isinstance(value, dict):
        return _object(value, raw)
    if isinstance(value, list):
        return _list(value, raw)
    if isinstance(value, str):
        read = _FORMATS.get(raw.get("format", ""))
        if read is None:
            return value
        try:
            return read(value)
        except (ValueError, binascii.Error):
            return value
    if raw.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _object(value: Obj, raw: Obj) -> Obj:
    properties, extra = raw.get("properties") or {}, raw.get("additionalProperties")
    others: Obj = extra if isinstance(extra, dict) else {}
    return {key: native(item, properties.get(key, others)) for key, item in value.items() if item is not None}


def _list(value: list[Any], raw: Obj) -> list[Any]:
    items = raw.get("items") or {}
    made = [native(item, items) for item in value]
    kind = raw.get("x-kubernetes-list-type")
    if kind == "set":
        return SetList(made)
    if kind == "map":
        keyed = MapList(made)
        keyed.keys = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        return keyed
    return made
