"""Access to devices that others use: only claims of a namespace that its label allows it may ask for it."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, labels_of

_LABEL = "resource.kubernetes.io/admin-access"


def of_claim(call: Call, obj: Obj) -> list[Cause]:
    """What is wrong with a new claim."""
    if call.served.storage is not kinds.RESOURCE_CLAIM:
        return []
    requests = dig(obj, "spec", "devices", "requests", default=())
    wanted = [index for index, each in enumerate(requests) if (each.get("exactly") or {}).get("adminAccess")]
    return _allowed(call, f"spec.devices.requests[{wanted[0]}].adminAccess") if wanted else []


def of_status(call: Call, obj: Obj, old: Obj) -> list[Cause]:
    """What is wrong with what was allocated to a claim."""
    if call.served.storage is not kinds.RESOURCE_CLAIM:
        return []
    now, before = (dig(each, "status", "allocation", "devices", "results", default=()) for each in (obj, old))
    wanted = [index for index, each in enumerate(now) if each.get("adminAccess")]
    if not wanted or any(each.get("adminAccess") for each in before):
        return []
    return _allowed(call, f"status.allocation.devices.results[{wanted[0]}].adminAccess")


def _allowed(call: Call, path: str) -> list[Cause]:
    namespace = call.api.store.newest(kinds.NAMESPACE.resource, Key("", call.target.namespace))
    if namespace is not None and labels_of(namespace.obj).get(_LABEL) == "true":
        return []
    message = f"admin access to devices requires the `{_LABEL}: true` label on the containing namespace"
    return [causes.forbidden(path, message)]
