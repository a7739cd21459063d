"""Which claims a pod mounts, and which of them wait for it. Pure; asked by the claim controller and the scheduler."""

from __future__ import annotations

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

NO_PROVISIONER = "kubernetes.io/no-provisioner"
"""The provisioner of a class whose volumes people make themselves."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Written on a claim by the scheduler: where the first pod that uses it will be."""


def claims_of(pod: Obj) -> list[str]:
    """The names of the pod's claims, those of ephemeral volumes included."""
    found = []
    for volume in dig(pod, "spec", "volumes", default=()):
        if volume.get("persistentVolumeClaim"):
            found.append(str(volume["persistentVolumeClaim"].get("claimName")))
        elif volume.get("ephemeral"):
            found.append(f"{name_of(pod)}-{volume.get('name')}")
    return found


def waits_for_consumer(storage_class: Obj) -> bool:
    """Whether claims of a class are bound only once the scheduler has chosen a node for a pod that uses them."""
    return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
