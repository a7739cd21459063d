"""Which claims a pod mounts. Pure; asked by the claim controller and the scheduler."""

from __future__ import annotations

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of


def claims_of(pod: Obj) -> list[str]:
    """The names of the pod's claims, those of ephemeral volumes included."""
    found = []
    for volume in dig(pod, "spec", "volumes", default=()):
        if volume.get("persistentVolumeClaim"):
            found.append(str(volume["persistentVolumeClaim"].get("claimName")))
        elif volume.get("ephemeral"):
            found.append(f"{name_of(pod)}-{volume.get('name')}")
    return found
