"""Persistent volumes, the claims on them, and the storage they come from."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, CREATED_AT, UNSET, access_modes, column
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind
from argosy.meta.objects import annotations_of, is_deleting, name_of

_STATUS = frozenset({"status"})


def _phase(obj: Obj, now: datetime) -> str:
    return "Terminating" if is_deleting(obj) else str(dig(obj, "status", "phase", default=""))


def _bound(claim: Obj, *path: str) -> str:
    return str(dig(claim, "status", *path, default="")) if dig(claim, "spec", "volumeName") else ""


def _claim_modes(claim: Obj, now: datetime) -> str:
    return access_modes(dig(claim, "status", "accessModes")) if dig(claim, "spec", "volumeName") else ""


def _claim_capacity(claim: Obj, now: datetime) -> str:
    return str(_bound(claim, "capacity", "storage") or "0") if dig(claim, "spec", "volumeName") else ""


PERSISTENT_VOLUME_CLAIM = Kind(
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",), subresources=_STATUS,
    columns=(
        Column("Status", ".status.phase", cell=_phase),
        column("Volume", "spec", "volumeName"),
        Column("Capacity", ".status.capacity", cell=_claim_capacity),
        Column("Access Modes", ".status.accessModes", cell=_claim_modes),
        column("StorageClass", "spec", "storageClassName", about="StorageClass of the pvc"),
        column("VolumeAttributesClass", "spec", "volumeAttributesClassName", default=UNSET, about="VolumeAttributesClass of the pvc"),
        AGE,
        column("VolumeMode", "spec", "volumeMode", default=UNSET, wide=True),
    ),
)  # fmt: skip


def _holder(volume: Obj, now: datetime) -> str:
    ref = dig(volume, "spec", "claimRef")
    return f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""


PERSISTENT_VOLUME = Kind(
    "", "v1", "PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",), subresources=_STATUS,
    columns=(
        Column("Capacity", ".spec.capacity", cell=lambda o, now: dig(o, "spec", "capacity", "storage", default="")),
        Column("Access Modes", ".spec.accessModes", cell=lambda o, now: access_modes(dig(o, "spec", "accessModes"))),
        column("Reclaim Policy", "spec", "persistentVolumeReclaimPolicy"),
        Column("Status", ".status.phase", cell=_phase),
        Column("Claim", ".spec.claimRef", cell=_holder),
        column("StorageClass", "spec", "storageClassName", about="StorageClass of the pv"),
        column("VolumeAttributesClass", "spec", "volumeAttributesClassName", default=UNSET, about="VolumeAttributesClass of the pv"),
        column("Reason", "status", "reason"),
        AGE,
        column("VolumeMode", "spec", "volumeMode", default=UNSET, wide=True),
    ),
)  # fmt: skip


def _class_name(obj: Obj, now: datetime) -> str:
    default = annotations_of(obj).get("storageclass.kubernetes.io/is-default-class") == "true"
    return f"{name_of(obj)} (default)" if default else name_of(obj)


STORAGE_CLASS = Kind(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short_names=("sc",),
    columns=(
        Column("Name", ".metadata.name", cell=_class_name, format="name"),
        column("Provisioner", "provisioner"),
        column("ReclaimPolicy", "reclaimPolicy", default="Delete"),
        column("VolumeBindingMode", "volumeBindingMode", default="Immediate"),
        Column("AllowVolumeExpansion", ".allowVolumeExpansion", cell=lambda o, now: bool(o.get("allowVolumeExpansion"))),
        AGE,
    ),
)  # fmt: skip

CSI_DRIVER = Kind(
    "storage.k8s.io", "v1", "CSIDriver", "csidrivers", namespaced=False,
    columns=(
        Column("AttachRequired", ".spec.attachRequired", cell=lambda o, now: dig(o, "spec", "attachRequired", default=True), type="boolean"),
        Column("PodInfoOnMount", ".spec.podInfoOnMount", cell=lambda o, now: dig(o, "spec", "podInfoOnMount", default=False), type="boolean"),
        Column("StorageCapacity", ".spec.storageCapacity", cell=lambda o, now: dig(o, "spec", "storageCapacity", default=False), type="boolean"),
        Column(
            "TokenRequests", ".spec.tokenRequests",
            cell=lambda o, now: ",".join(
                t.get("audience", "") for t in dig(o, "spec", "tokenRequests", default=())
            ) or UNSET,
        ),
        Column(
            "RequiresRepublish", ".spec.requiresRepublish",
            cell=lambda o, now: dig(o, "spec", "requiresRepublish", default=False), type="boolean",
        ),
        Column("Modes", ".spec.volumeLifecycleModes", cell=lambda o, now: ",".join(dig(o, "spec", "volumeLifecycleModes", default=()))),
        AGE,
    ),
)  # fmt: skip

CSI_NODE = Kind(
    "storage.k8s.io", "v1", "CSINode", "csinodes", namespaced=False,
    columns=(
        Column(
            "Drivers", cell=lambda o, now: len(dig(o, "spec", "drivers", default=())), type="integer",
            description="Drivers indicates the number of CSI drivers registered on the node",
        ),
        AGE,
    ),
)  # fmt: skip

CSI_STORAGE_CAPACITY = Kind(
    "storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities",
    columns=(CREATED_AT,),
)  # fmt: skip

VOLUME_ATTACHMENT = Kind(
    "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", namespaced=False, subresources=_STATUS,
    columns=(
        Column("Attacher", ".spec.attacher", cell=lambda o, now: dig(o, "spec", "attacher", default=""), format="name"),
        column("PV", "spec", "source", "persistentVolumeName"),
        column("Node", "spec", "nodeName"),
        Column("Attached", ".status.attached", cell=lambda o, now: bool(dig(o, "status", "attached")), type="boolean"),
        AGE,
    ),
)  # fmt: skip

VOLUME_ATTRIBUTES_CLASS = Kind(
    "storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", namespaced=False,
    short_names=("vac",), columns=(column("DriverName", "driverName"), AGE),
)  # fmt: skip

ALL = (
    PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME, STORAGE_CLASS, CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY,
    VOLUME_ATTACHMENT, VOLUME_ATTRIBUTES_CLASS,
)  # fmt: skip
