"""Who made what: the objects that descend from one by ownerReferences.

`argosy logs`, `argosy why` and the demo follow a job down to its pods with it, whatever kinds lie between. It reads the
kinds that controllers put between a person's object and its pods, Kubernetes' own and the ecosystem's, one list each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.client.client import Client
from argosy.client.discovery import discover, resolve
from argosy.errors import ApiError, NotFound, UserError
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import labels_of, name_of, uid_of

DESCENDANTS: tuple[Kind, ...] = (
    kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB, kinds.POD, kinds.SERVICE,
    kinds.HORIZONTAL_POD_AUTOSCALER, kinds.PERSISTENT_VOLUME_CLAIM,
)  # fmt: skip
_PLAIN_GROUPS = ("", "apps", "batch", "autoscaling")
"""Groups whose objects own none of the ecosystem's kinds."""


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
    makers = DESCENDANTS if kind.group in _PLAIN_GROUPS else (*DESCENDANTS, *ecosystem_kinds())
    lists = await asyncio.gather(*(_listed(client, candidate, namespace) for candidate in makers))
    return assemble(kind, obj, dict(zip(makers, lists, strict=True)))


def ecosystem_kinds() -> tuple[Kind, ...]:
    """The kinds of the operators that Argosy brings, of which one may own another: a TrainJob owns a JobSet."""
    from argosy.operators import ALL  # noqa: PLC0415 - a Deployment's family does without

    return tuple(kind for offer in ALL for kind in offer.kinds)


async def find_target(client: Client, target: str, namespace: str) -> tuple[Kind, str]:
    """The kind and name that `KIND/NAME` or a pod's bare name mean. `job/NAME` is a Job of any kind: Kubernetes' own, else
    the PyTorchJob, TrainJob, RayJob, … of that name. Raises UserError and ApiError.
    """
    word, name = split_target(target)
    kind = resolve(await discover(client), word)
    if kind == kinds.JOB or (kind.kind, kind.group) == ("Job", "batch"):
        try:
            await client.get(kind, name, namespace)
        except NotFound:
            jobs = [other for other in ecosystem_kinds() if other.kind.endswith("Job") or other.kind == "JobSet"]
            lists = await asyncio.gather(*(_listed(client, other, namespace) for other in jobs))
            for other, items in zip(jobs, lists, strict=True):
                if any(name_of(item) == name for item in items):
                    return other, name
            raise
    return kind, name


async def _listed(client: Client, kind: Kind, namespace: str) -> Sequence[Obj]:
    try:
        return (await client.list(kind, namespace)).items
    except ApiError:
        return ()  # not served, or not ours to read: the rest still tells most


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
