"""Whether a volume that exists would do for a claim. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.engine.scheduler.terms import matches_node_selector
from argosy.meta.json import Obj, dig
from argosy.meta.objects import is_deleting, labels_of, name_of, namespace_of, uid_of
from argosy.meta.quantity import parse
from argosy.meta.selectors import matches


def best_match(claim: Obj, volumes: Sequence[Obj]) -> Obj | None:
    """The volume set aside for the claim, else the smallest free one that fits."""
    reserved = [volume for volume in volumes if is_reserved_for(volume, claim)]
    if reserved:
        return reserved[0]
    fitting = [volume for volume in volumes if not dig(volume, "spec", "claimRef") and fits(claim, volume)]
    return min(fitting, key=lambda volume: (parse(_capacity(volume)), name_of(volume)), default=None)


def is_reserved_for(volume: Obj, claim: Obj) -> bool:
    """Whether the volume's `claimRef` names this very claim (or its name, before a uid was known)."""
    reference = dig(volume, "spec", "claimRef") or {}
    return (
        reference.get("name") == name_of(claim)
        and reference.get("namespace") == namespace_of(claim)
        and reference.get("uid") in (None, "", uid_of(claim))
    )


def fits(claim: Obj, volume: Obj) -> bool:
    """Class, size, modes and labels."""
    wanted, offered = claim["spec"], volume["spec"]
    asked = str(dig(wanted, "resources", "requests", "storage", default="0"))
    return (
        not is_deleting(volume)
        and (wanted.get("storageClassName") or "") == (offered.get("storageClassName") or "")
        and (wanted.get("volumeMode") or "Filesystem") == (offered.get("volumeMode") or "Filesystem")
        and set(wanted.get("accessModes") or ()) <= set(offered.get("accessModes") or ())
        and parse(_capacity(volume)) >= parse(asked)
        and (not wanted.get("selector") or matches(wanted["selector"], labels_of(volume)))
        and dig(volume, "status", "phase", default="Available") in {"Available", "Pending"}
    )


def reaches(volume: Obj, node: Obj) -> bool:
    """Whether a volume can be used on a node."""
    required = dig(volume, "spec", "nodeAffinity", "required")
    return not required or matches_node_selector(required, labels_of(node), name_of(node))


def _capacity(volume: Obj) -> str:
    return str(dig(volume, "spec", "capacity", "storage", default="0"))
