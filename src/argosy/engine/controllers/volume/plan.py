"""A PersistentVolume's phase, and when its protection ends. Pure."""

from __future__ import annotations

from argosy.clock import rfc3339
from argosy.engine.controllers.claim.plan import PROVISIONED_BY, PROVISIONER
from argosy.engine.controllers.pods import moment
from argosy.intent import Observed, Patch, Plan
from argosy.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of, is_deleting, key_of, uid_of

PROTECTION = "kubernetes.io/pv-protection"
_CLAIM_MAY_BE_UNSEEN_SECONDS = 10.0


def claim_key(volume: Obj) -> Key:
    """The claim that a volume is set aside for; an empty key when it is free."""
    reference = dig(volume, "spec", "claimRef") or {}
    return Key(str(reference.get("namespace") or ""), str(reference.get("name") or ""))


def plan(seen: Observed) -> Plan:
    """Follow the claim."""
    volume = seen.subject
    claims = seen.related.get(PERSISTENT_VOLUME_CLAIM, ())
    reference = dig(volume, "spec", "claimRef") or {}
    claim = next((c for c in claims if reference.get("uid") in (None, "", uid_of(c))), None)
    if is_deleting(volume):
        return _unprotect(volume, in_use=claim is not None and bool(reference.get("uid")))
    wait = None
    if not reference:
        phase = "Available"
    elif claim is not None:
        phase = "Bound" if reference.get("uid") else "Available"
    elif not reference.get("uid"):
        phase = "Available"
    elif dig(volume, "status", "phase") in {"Bound", "Released", "Failed"}:
        phase = "Released"
    else:
        # The volume may be seen before its claim; only with time does "not seen" become "gone".
        made = moment(volume["metadata"].get("creationTimestamp")) or seen.now
        wait = _CLAIM_MAY_BE_UNSEEN_SECONDS - (seen.now - made).total_seconds()
        phase = "Pending" if wait > 0 else "Released"
    status = dict(volume.get("status") or {})
    if status.get("phase") == phase or (status.get("phase") == "Failed" and phase == "Released"):
        return Plan(again_in_seconds=wait if phase == "Pending" else None)
    status |= {"phase": phase, "lastPhaseTransitionTime": rfc3339(seen.now)}
    return Plan(status=status, again_in_seconds=wait if phase == "Pending" else None)


def must_be_wiped(volume: Obj) -> bool:
    """Whether the volume is a directory of ours whose claim is gone and whose data should go as well."""
    return (
        dig(volume, "status", "phase") == "Released"
        and dig(volume, "spec", "persistentVolumeReclaimPolicy") == "Delete"
        and annotations_of(volume).get(PROVISIONED_BY) == PROVISIONER
        and not is_deleting(volume)
    )


def _unprotect(volume: Obj, *, in_use: bool) -> Plan:
    finalizers = volume["metadata"].get("finalizers") or []
    if in_use or PROTECTION not in finalizers:
        return Plan()
    patch = {"metadata": {"finalizers": [f for f in finalizers if f != PROTECTION] or None}}
    return Plan((Patch(PERSISTENT_VOLUME, key_of(volume), patch, uid=uid_of(volume)),))
