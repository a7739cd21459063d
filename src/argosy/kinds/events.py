"""Events: what happened to an object, in the core group's form and in that of events.k8s.io."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import column, since
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind


def _first(event: Obj, now: datetime) -> str:
    stamp = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp") or event.get("eventTime")
    return since(stamp, now)


def _last(event: Obj, now: datetime) -> str:
    series = dig(event, "series", "lastObservedTime")
    stamp = series or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    return since(stamp, now) if stamp else _first(event, now)


def _about(event: Obj) -> Obj:
    return event.get("involvedObject") or event.get("regarding") or {}


def _object(event: Obj, now: datetime) -> str:
    about = _about(event)
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _source(event: Obj, now: datetime) -> str:
    source = event.get("source") or event.get("deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent") or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


def _count(event: Obj, now: datetime) -> int:
    number = dig(event, "series", "count") or event.get("count") or event.get("deprecatedCount")
    return int(number or 1)


_COLUMNS = (
    Column("Last Seen", ".lastTimestamp", cell=_last),
    column("Type", "type"),
    column("Reason", "reason"),
    Column("Object", ".involvedObject", cell=_object),
    Column(
        "Subobject", ".involvedObject.fieldPath", cell=lambda event, now: _about(event).get("fieldPath", ""), priority=1
    ),
    Column("Source", ".source", cell=_source, priority=1),
    Column("Message", ".message", cell=lambda e, now: str(e.get("message") or e.get("note") or "").strip()),
    Column("First Seen", ".firstTimestamp", cell=_first, priority=1),
    Column("Count", ".count", cell=_count, priority=1),
    Column("Name", ".metadata.name", cell=lambda event, now: event["metadata"]["name"], priority=1, format="name"),
)

EVENT = Kind("", "v1", "Event", "events", short_names=("ev",), columns=_COLUMNS)
EVENTS_V1 = Kind("events.k8s.io", "v1", "Event", "events", short_names=("ev",), columns=_COLUMNS)

ALL = (EVENT, EVENTS_V1)
