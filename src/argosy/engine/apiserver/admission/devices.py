"""Devices: a taint is told since when it is there."""

from __future__ import annotations

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj


def admit(call: Call, obj: Obj) -> None:
    """Complete a ResourceSlice, in place."""
    if call.served.storage is not kinds.RESOURCE_SLICE:
        return
    for device in obj["spec"].get("devices") or ():
        for taint in device.get("taints") or ():
            if not taint.get("timeAdded"):
                taint["timeAdded"] = rfc3339(call.now)
