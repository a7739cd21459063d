"""Objects as the rows of a Table: what `kubectl get` prints.

Columns come from the kind; custom kinds name theirs by JSONPath. `render` calls this for lists, single objects and the
events of a watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from argosy.clock import parse_time
from argosy.engine.apiserver import jsonpath
from argosy.kinds.cells import UNKNOWN, human_duration
from argosy.meta.causes import page_safe
from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind

_NAME = Column("Name", cell=lambda obj, now: obj["metadata"].get("name", ""), format="name")
_CREATED = ".metadata.creationTimestamp"
_CUSTOM_AGE = Column("Age", _CREATED, type="date")

Describe = Callable[[Column], str]
"""What the documentation says of the field that a column shows."""


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """Every column, the name included."""
    columns = kind.columns or (_CUSTOM_AGE,)
    return (
        columns if any(column.name == "Name" and column.format == "name" for column in columns) else (_NAME, *columns)
    )


def cell(column: Column, obj: Obj, now: datetime) -> Any:
    """One cell."""
    if column.cell is not None:
        return column.cell(obj, now)
    found = jsonpath.find(column.path, obj)
    if not found:
        return None
    value = found[0]
    if column.type == "date":
        return _age(value, now)
    if column.type == "string":
        return value if isinstance(value, str) else _printed(value)
    if column.type == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if column.type == "integer" else value


def _age(value: Any, now: datetime) -> str | None:
    if not isinstance(value, str):
        return None
    if not value:
        return UNKNOWN
    try:
        return human_duration((now - parse_time(value)).total_seconds())
    except ValueError:
        return "<invalid>"


def _printed(value: Any) -> str:
    """A value in a column of texts, as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return page_safe(msgspec.json.encode(value, order="sorted").decode())
    if isinstance(value, float):
        # Stored numbers without a fraction are whole ones.
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else _short(value)
    return str(value)


def _short(value: float) -> str:
    """`%v`: as few digits as tell the number from all others, with an exponent from 1e6 on and below 1e-4."""
    sign, digits, tail = Decimal(repr(value)).normalize().as_tuple()
    exponent = len(digits) + int(tail) - 1
    if -4 <= exponent < 6:
        return f"{Decimal(repr(value)):f}"
    text = "".join(map(str, digits))
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' if sign else ''}{text[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def partial(metadata: Obj, version: str = "v1") -> Obj:
    """PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}


def definitions(kind: Kind, describe: Describe | None = None) -> list[Obj]:
    """The columns' own description."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description or (describe(column) if describe else ""),
            "priority": column.priority,
        }
        for column in columns_of(kind)
    ]


def without(metadata: Obj, annotation: str) -> Obj:
    """Metadata without one of its annotations."""
    annotations = metadata.get("annotations")
    if not annotations or annotation not in annotations:
        return metadata
    left = {key: value for key, value in annotations.items() if key != annotation}
    others = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**metadata, "annotations": left} if left else others


def rows(kind: Kind, objs: Iterable[Obj], now: datetime, part: Callable[[Obj], Obj | None]) -> list[Obj]:
    """One row an object; `part` says what of the object goes with it."""
    columns = columns_of(kind)
    return [{"cells": [cell(column, obj, now) for column in columns], "object": part(obj)} for obj in objs]


def table(version: str, meta: Obj, columns: Sequence[Obj] | None, rows: Sequence[Obj]) -> Obj:
    """The Table itself; `columns` is None for all but the first event of a watch."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "columnDefinitions": columns,
        "rows": rows,
    }
