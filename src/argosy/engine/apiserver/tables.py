"""Objects as the rows of a Table: what `kubectl get` prints.

Columns come from the kind; custom kinds name theirs by JSONPath. `render` calls this for lists, single objects and the
events of a watch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from argosy.clock import parse_time
from argosy.engine.apiserver import jsonpath
from argosy.kinds.cells import human_duration
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Column, Kind

_NAME = Column("Name", cell=lambda obj, now: obj["metadata"].get("name", ""), format="name")
_CREATED = ".metadata.creationTimestamp"
_CUSTOM_AGE = Column("Age", _CREATED, type="date")

Describe = Callable[[Column], str]
"""What the documentation says of the field that a column shows."""


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """Every column, the name included."""
    columns = kind.columns or (_CUSTOM_AGE,)
    return columns if any(column.format == "name" for column in columns) else (_NAME, *columns)


def cell(column: Column, obj: Obj, now: datetime) -> Any:
    """One cell."""
    if column.cell is not None:
        return column.cell(obj, now)
    value = jsonpath.first(column.path, obj)
    if value is None:
        return None
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
    try:
        return human_duration((now - parse_time(value)).total_seconds())
    except ValueError:
        return "<invalid>"


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode(value).decode() if isinstance(value, dict | list) else str(value)


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


def rows(kind: Kind, objs: Iterable[Obj], now: datetime, include: str, version: str) -> list[Obj]:
    """One row an object. `include` is None, Metadata or Object."""
    columns = columns_of(kind)
    return [
        {
            "cells": [cell(column, obj, now) for column in columns],
            "object": None if include == "None" else obj if include == "Object" else partial(obj["metadata"], version),
        }
        for obj in objs
    ]


def table(version: str, meta: Obj, columns: Sequence[Obj] | None, rows: Sequence[Obj]) -> Obj:
    """The Table itself; `columns` is None for all but the first event of a watch."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": meta,
        "columnDefinitions": columns,
        "rows": rows,
    }
