"""Rules of nodes and namespaces, and of the events about everything else."""

from __future__ import annotations

from typing import Any

from argosy.errors import Cause
from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules import addresses
from argosy.meta.rules.fields import IMMUTABLE, Found, needs_one_of, required, say

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_KEPT = 'node updates may not change {} except from "" to valid'
_LONGEST, _NOTE = 128, 1024


def node(new: Obj, old: Obj | None) -> Found:
    """v1 Node."""
    found: Found = []
    spec, status = new.get("spec") or {}, new.get("status") or {}
    _taints(found, spec.get("taints") or [])
    for field in ("capacity", "allocatable"):
        for name, amount in (status.get(field) or {}).items():
            if quantity.parse(amount).nanos < 0:
                message = "must be greater than or equal to 0"
                found.append(causes.invalid(f"status.{field}.{name}", str(amount), message))
    blocks = spec.get("podCIDRs") or []
    for index, text in enumerate(blocks):
        addresses.block(found, f"spec.podCIDRs[{index}]", text)
    versions = [each.version for each in map(addresses.sloppy_block, blocks) if each is not None]
    if len(blocks) > 1 and sorted(versions) != [4, 6]:
        message = "may specify no more than one CIDR for each IP family"
        found.append(causes.invalid("spec.podCIDRs", blocks, message))
    return found if old is None else found + node_update(new, old)


def node_update(new: Obj, old: Obj) -> Found:
    """What a change of a Node, or of its status, may not do."""
    found: Found = []
    spec, status = new.get("spec") or {}, new.get("status") or {}
    places = [(each.get("type") or "", each.get("address") or "") for each in status.get("addresses") or ()]
    for index, (type, address) in enumerate(places):
        if (type, address) in places[:index]:
            found.append(causes.duplicate(f"status.addresses[{index}]", {"Type": type, "Address": address}))
    _taints(found, spec.get("taints") or [])  # as Kubernetes does, which then says twice what is wrong
    before, blocks = old.get("spec") or {}, spec.get("podCIDRs") or []
    if before.get("podCIDRs") and blocks != before["podCIDRs"]:
        found.append(causes.forbidden("spec.podCIDRs", _KEPT.format("podCIDR")))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        found.append(causes.forbidden("spec.providerID", _KEPT.format("providerID")))
    if spec.get("externalID") != before.get("externalID"):
        found.append(causes.forbidden("spec.externalID", "may not be updated"))
    return found


def _taints(found: Found, taints: list[Obj]) -> None:
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate(taints):
        place, key, value = f"metadata.taints[{index}]", taint.get("key") or "", taint.get("value") or ""
        say(found, f"{place}.key", key, names.qualified(key))
        if names.label_value(value):
            found.append(causes.invalid(f"{place}.value", value, ";".join(names.label_value(value))))
        needs_one_of(found, f"{place}.effect", taint.get("effect"), _EFFECTS)
        pair = (key, taint.get("effect"))
        if pair in seen:
            shown = {"Key": key, "Value": value, "Effect": pair[1], "TimeAdded": taint.get("timeAdded")}
            words = f"Duplicate value: {causes.shown(shown)}: taints must be unique by key and effect pair"
            found.append(Cause("FieldValueDuplicate", words, place))
        seen.add(pair)


def namespace(new: Obj, old: Obj | None) -> Found:
    """v1 Namespace."""
    found: Found = []
    path = "spec.finalizers"
    for name in (new.get("spec") or {}).get("finalizers") or () if old is None else ():
        say(found, path, name, names.qualified(name))
        if "/" not in name and name not in ("kubernetes", "orphan", "foregroundDeletion"):
            message = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(causes.invalid(path, name, message))
    return found


def core_event(new: Obj, old: Obj | None) -> Found:
    """v1 Event."""
    found: Found = []
    about = new.get("involvedObject") or {}
    if new.get("eventTime"):
        _timed(found, new, about, new.get("reportingComponent") or "", "reportingComponent", "message")
    else:
        _about(found, new, about)
    return found


def event(new: Obj, old: Obj | None) -> Found:
    """events.k8s.io/v1 Event, whose fields the complaints name as the core's Event has them."""
    found: Found = []
    about = new.get("regarding") or {}
    if new.get("eventTime"):
        _timed(found, new, about, new.get("reportingController") or "", "reportingController", "note")
    else:
        _about(found, new, about)
    if old is None or new.get("series") != old.get("series"):
        _series(found, new.get("series"))
    if old is not None:
        for field, shown in (
            ("regarding", "involvedObject"), ("reason", "reason"), ("note", "message"), ("type", "type"),
            ("eventTime", "eventTime"), ("action", "action"), ("related", "related"),
            ("reportingController", "reportingController"), ("reportingInstance", "reportingInstance"),
        ):  # fmt: skip
            if (new.get(field) or None) != (old.get(field) or None):
                found.append(causes.invalid(shown, new.get(field), IMMUTABLE))
        return found
    if not new.get("eventTime"):
        found.append(causes.required("eventTime"))
    if new.get("type") not in ("Normal", "Warning"):
        found.append(causes.invalid("type", "", f"has invalid value: {new.get('type') or ''}"))
    for field, shown in (("deprecatedFirstTimestamp", "firstTimestamp"), ("deprecatedLastTimestamp", "lastTimestamp"),
                         ("deprecatedCount", "count")):  # fmt: skip
        if new.get(field):
            found.append(causes.invalid(shown, "", "needs to be unset"))
    if any((new.get("deprecatedSource") or {}).values()):
        found.append(causes.invalid("source", "", "needs to be unset"))
    return found


def _series(found: Found, series: Obj | None) -> None:
    if series is None:
        return
    if (series.get("count") or 0) < 2:
        found.append(causes.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        found.append(causes.required("series.lastObservedTime"))


def _about(found: Found, new: Obj, about: Obj) -> None:
    here, there = new["metadata"].get("namespace") or "", about.get("namespace") or ""
    if here != there and not (not there and here == "default"):
        found.append(causes.invalid("involvedObject.namespace", there, "does not match event.namespace"))


def _timed(found: Found, new: Obj, about: Obj, by: str, by_path: str, note: str) -> None:
    """An event of the kind that says who did what."""
    here = new["metadata"].get("namespace")
    if not about.get("namespace") and here not in ("default", "kube-system"):
        found.append(causes.invalid("involvedObject.namespace", "", "does not match event.namespace"))
    required(found, by_path, by)
    say(found, by_path, by, names.qualified(by))
    for field in ("reportingInstance", "action", "reason"):
        value = new.get(field) or ""
        required(found, field, value)
        if len(value) > _LONGEST:
            found.append(causes.invalid(field, "", f"can have at most {_LONGEST} characters"))
    if len(new.get(note) or "") > _NOTE:
        found.append(causes.invalid("message", "", f"can have at most {_NOTE} characters"))
