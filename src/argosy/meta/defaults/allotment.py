"""Defaults of flow control, and of the devices that are claimed and offered."""

from __future__ import annotations

from argosy.meta.json import Obj


def flow_schema(obj: Obj) -> None:
    """flowcontrol.apiserver.k8s.io/v1 FlowSchema."""
    obj["spec"]["matchingPrecedence"] = obj["spec"].get("matchingPrecedence") or 1000


def priority_level(obj: Obj) -> None:
    """flowcontrol.apiserver.k8s.io/v1 PriorityLevelConfiguration."""
    spec = obj["spec"]
    exempt = spec.get("exempt")
    if spec.get("type") == "Exempt":
        exempt = spec.setdefault("exempt", {})
        exempt.setdefault("nominalConcurrencyShares", 0)
        exempt.setdefault("lendablePercent", 0)
    limited = spec.get("limited")
    if limited is None:
        return
    limited.setdefault("nominalConcurrencyShares", 30)
    limited.setdefault("lendablePercent", 0)
    queuing = (limited.get("limitResponse") or {}).get("queuing")
    if queuing is not None:
        for name, value in (("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)):
            queuing[name] = queuing.get(name) or value


def _devices(spec: Obj) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for each in [request.get("exactly"), *(request.get("firstAvailable") or ())]:
            if each is None:
                continue
            if not each.get("allocationMode"):
                each["allocationMode"] = "ExactCount"
            if each["allocationMode"] == "ExactCount" and not each.get("count"):
                each["count"] = 1
            for toleration in each.get("tolerations") or ():
                toleration.setdefault("operator", "Equal")


def resource_claim(obj: Obj) -> None:
    """resource.k8s.io/v1 ResourceClaim."""
    _devices(obj["spec"])
    for device in (obj.get("status") or {}).get("devices") or ():
        device.setdefault("conditions", None)


def resource_claim_template(obj: Obj) -> None:
    """resource.k8s.io/v1 ResourceClaimTemplate."""
    _devices(obj["spec"]["spec"])


def resource_slice(obj: Obj) -> None:
    """resource.k8s.io/v1 ResourceSlice: amounts that were left out are none."""
    spec = obj["spec"]
    sets = [*(spec.get("sharedCounters") or ())]
    for device in spec.get("devices") or ():
        sets += device.get("consumesCounters") or ()
        for capacity in (device.get("capacity") or {}).values():
            capacity.setdefault("value", "0")
            if "requestPolicy" in capacity:
                capacity["requestPolicy"].setdefault("default", None)
    for each in sets:
        for counter in (each.get("counters") or {}).values():
            counter.setdefault("value", "0")
