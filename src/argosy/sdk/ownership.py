"""Who made what: the objects that descend from one by ownerReferences.

`argosy logs`, `argosy why` and the demo follow a job down to its pods with it, whatever kinds lie between. It reads the
kinds that controllers put between a person's object and its pods, one list each, and never more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError, UserError
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, name_of, uid_of

DESCENDANTS: tuple[Kind, ...] = (
    kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB, kinds.POD, kinds.SERVICE,
    kinds.HORIZONTAL_POD_AUTOSCALER, kinds.PERSISTENT_VOLUME_CLAIM,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """An object and what descends from it."""

    kind: Kind
    obj: Obj
    children: tuple[Family, ...] = ()

    def pods(self) -> list[Obj]:
        """Every pod in it, ordered by name."""
        own = [self.obj] if self.kind.kind == "Pod" else []
        return sorted([*own, *(pod for child in self.children for pod in child.pods())], key=name_of)


def assemble(kind: Kind, obj: Obj, candidates: Mapping[Kind, Sequence[Obj]]) -> Family:
    """The family of `obj` among candidates; pure. A Service's family are the pods it selects."""
    by_owner: dict[str, list[tuple[Kind, Obj]]] = {}
    for candidate_kind, objects in candidates.items():
        for candidate in objects:
            for owner in candidate["metadata"].get("ownerReferences") or ():
                by_owner.setdefault(str(owner.get("uid")), []).append((candidate_kind, candidate))
    selector = dig(obj, "spec", "selector") if kind.kind == "Service" else None
    if isinstance(selector, dict) and selector:
        chosen = [pod for pod in candidates.get(kinds.POD, ()) if selector.items() <= labels_of(pod).items()]
        return Family(kind, obj, tuple(Family(kinds.POD, pod) for pod in chosen))
    return _family(kind, obj, by_owner, frozenset())


async def family_of(client: Client, kind: Kind, name: str, namespace: str) -> Family:
    """Read an object and its descendants. Raises ApiError."""
    obj = await client.get(kind, name, namespace if kind.namespaced else "")
    if not kind.namespaced or kind.kind == "Pod":
        return Family(kind, obj)
    candidates: dict[Kind, Sequence[Obj]] = {}
    for candidate in DESCENDANTS:
        try:
            candidates[candidate] = (await client.list(candidate, namespace)).items
        except ApiError:
            continue  # not served, or not ours to read: the rest still tells most
    return assemble(kind, obj, candidates)


def split_target(target: str) -> tuple[str, str]:
    """`KIND/NAME` into its parts; a bare name is a pod's. Raises UserError."""
    kind, slash, name = target.partition("/")
    if not slash:
        return "pod", kind
    if not kind or not name:
        raise UserError(f"{target!r} is not KIND/NAME", "write for example: pytorchjob/pretrain")
    return kind, name


def _family(kind: Kind, obj: Obj, by_owner: Mapping[str, Iterable[tuple[Kind, Obj]]], seen: frozenset[str]) -> Family:
    uid = uid_of(obj)
    if uid in seen:
        return Family(kind, obj)
    children = sorted(by_owner.get(uid, ()), key=lambda pair: (pair[0].kind, name_of(pair[1])))
    return Family(kind, obj, tuple(_family(k, o, by_owner, seen | {uid}) for k, o in children))
