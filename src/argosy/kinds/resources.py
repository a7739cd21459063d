"""Dynamic resource allocation: devices, the claims on them, and the slices that nodes publish."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, column
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import is_deleting

_GROUP = "resource.k8s.io"


def _state(claim: Obj, now: datetime) -> str:
    words = ["deleted"] if is_deleting(claim) else []
    if dig(claim, "status", "allocation"):
        words += ["allocated", *(["reserved"] if dig(claim, "status", "reservedFor") else [])]
    elif not words:
        words = ["pending"]
    return ",".join(words)


DEVICE_CLASS = Kind(_GROUP, "v1", "DeviceClass", "deviceclasses", namespaced=False, columns=(AGE,))
RESOURCE_CLAIM = Kind(
    _GROUP, "v1", "ResourceClaim", "resourceclaims", subresources=frozenset({"status"}),
    columns=(Column("State", cell=_state, description="A summary of the current state (allocated, pending, reserved, etc.)."), AGE),
)  # fmt: skip
RESOURCE_CLAIM_TEMPLATE = Kind(_GROUP, "v1", "ResourceClaimTemplate", "resourceclaimtemplates", columns=(AGE,))
RESOURCE_SLICE = Kind(
    _GROUP, "v1", "ResourceSlice", "resourceslices", namespaced=False,
    columns=(
        column("Node", "spec", "nodeName", default="<unset>"),
        column("Driver", "spec", "driver"),
        column("Pool", "spec", "pool", "name"),
        AGE,
    ),
)  # fmt: skip

ALL = (DEVICE_CLASS, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE)
