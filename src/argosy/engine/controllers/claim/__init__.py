"""PersistentVolumeClaim: bound to a volume that fits, or given a directory of this machine."""

from collections.abc import Sequence
from pathlib import Path

from argosy.engine.controllers.claim.plan import plan_with, selected_node
from argosy.engine.controllers.claim.use import claims_of
from argosy.intent import Operator, Related
from argosy.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, name_of, namespace_of

_FREE = "free"


def operator(volumes_dir: Path) -> Operator:
    """The operator, with the directory under which volumes are made."""
    return Operator(
        kind=PERSISTENT_VOLUME_CLAIM,
        related=(
            Related(PERSISTENT_VOLUME, _may_bind, subject_keys=_volume_keys_of_claim, object_keys=_keys_of_volume),
            Related(STORAGE_CLASS, lambda claim, each: True),
            Related(
                NODE,
                lambda claim, node: name_of(node) in selected_node(claim),
                subject_keys=selected_node,
                object_keys=lambda node: (name_of(node),),
            ),
            Related(POD, _uses, subject_keys=lambda claim: (str(key_of(claim)),), object_keys=_keys_of_pod),
        ),
        plan=plan_with(str(volumes_dir)),
        name="persistentvolume-controller",
    )


def _may_bind(claim: Obj, volume: Obj) -> bool:
    reference = dig(volume, "spec", "claimRef")
    if name_of(volume) == dig(claim, "spec", "volumeName") or not reference:
        return True
    return bool(reference.get("namespace") == namespace_of(claim) and reference.get("name") == name_of(claim))


def _volume_keys_of_claim(claim: Obj) -> Sequence[str]:
    bound = dig(claim, "spec", "volumeName")
    return (f"volume {bound}",) if bound else (str(key_of(claim)), _FREE)


def _keys_of_volume(volume: Obj) -> Sequence[str]:
    reference = dig(volume, "spec", "claimRef")
    target = f"{reference.get('namespace')}/{reference.get('name')}" if reference else _FREE
    return (f"volume {name_of(volume)}", target)


def _uses(claim: Obj, pod: Obj) -> bool:
    return namespace_of(pod) == namespace_of(claim) and name_of(claim) in claims_of(pod)


def _keys_of_pod(pod: Obj) -> Sequence[str]:
    return [f"{namespace_of(pod)}/{name}" for name in claims_of(pod)]
