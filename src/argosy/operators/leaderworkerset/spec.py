"""A LeaderWorkerSet as its operator reads it, and what is wrong with it. Pure; called by `plan` before everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from argosy.meta.json import Obj, dig, encode
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of
from argosy.operators.leaderworkerset.schema import (
    AFTER_START,
    LEADER_EXCLUDED,
    LEADER_READY,
    RECREATE,
    RECREATE_AFTER_START,
    UNIQUE,
)

_REVISION_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Group:
    """What every group is made of: what a revision records."""

    template: Obj
    """`spec.leaderWorkerTemplate`."""
    network: Obj
    """`spec.networkConfig`."""

    @property
    def size(self) -> int:
        """Pods in a group, the leader among them."""
        return int(self.template.get("size", 1))

    @property
    def unique_subdomains(self) -> bool:
        """Whether each group has a headless Service of its own."""
        return self.network.get("subdomainPolicy") == UNIQUE

    @property
    def subgroup_size(self) -> int | None:
        """Pods in a part of a group; None when groups have no parts."""
        size = dig(self.template, "subGroupPolicy", "subGroupSize")
        return None if size is None else int(size)

    @property
    def subgroup_type(self) -> str:
        """Whether the leader is in the first part."""
        return str(dig(self.template, "subGroupPolicy", "subGroupPolicyType", default="LeaderWorker"))

    @property
    def recorded(self) -> Obj:
        """What a ControllerRevision holds."""
        return {"spec": {"leaderWorkerTemplate": self.template, "networkConfig": self.network}}

    @property
    def revision(self) -> str:
        """A short name of exactly this content."""
        return hashlib.sha256(encode(_sorted(self.recorded))).hexdigest()[:_REVISION_DIGITS]


@dataclass(frozen=True, slots=True)
class LeaderWorkerSet:
    """What a LeaderWorkerSet asks for."""

    name: str
    namespace: str
    generation: int
    labels: dict[str, str]
    annotations: dict[str, str]
    replicas: int
    group: Group
    waits_for_leader: bool
    """Whether workers come only when their leader is ready."""
    partition: int
    max_unavailable: int
    max_surge: int

    @property
    def recreates(self) -> bool:
        """Whether a group goes as a whole when one of its containers restarts or one of its pods is deleted."""
        return self.group.template.get("restartPolicy", RECREATE) in (RECREATE, RECREATE_AFTER_START)

    @property
    def recreates_after_start(self) -> bool:
        """Whether it does so only once all pods of the group have started."""
        return self.group.template.get("restartPolicy") == RECREATE_AFTER_START or AFTER_START in self.annotations

    def of_revision(self, recorded: Obj) -> LeaderWorkerSet:
        """The set as it was when a revision was recorded."""
        spec: Obj = recorded["spec"]
        return replace(self, group=Group(spec["leaderWorkerTemplate"], spec.get("networkConfig") or {}))


def read(subject: Obj) -> LeaderWorkerSet:
    """Read a LeaderWorkerSet."""
    spec: Obj = subject.get("spec") or {}
    rolling: Obj = dig(spec, "rolloutStrategy", "rollingUpdateConfiguration", default={})
    replicas = int(spec.get("replicas", 1))
    return LeaderWorkerSet(
        name=name_of(subject),
        namespace=namespace_of(subject),
        generation=int(subject["metadata"].get("generation") or 0),
        labels=labels_of(subject),
        annotations=annotations_of(subject),
        replicas=replicas,
        group=Group(spec.get("leaderWorkerTemplate") or {}, spec.get("networkConfig") or {}),
        waits_for_leader=spec.get("startupPolicy") == LEADER_READY,
        partition=int(rolling.get("partition") or 0),
        max_unavailable=_share(rolling.get("maxUnavailable", 1), replicas, round_up=False),
        max_surge=min(_share(rolling.get("maxSurge", 0), replicas, round_up=True), replicas),
    )


def problems(asked: LeaderWorkerSet) -> Iterator[str]:
    """One clause for each mistake; upstream refuses these in a webhook."""
    group, size, part = asked.group, asked.group.size, asked.group.subgroup_size
    if size < 1:
        yield f"leaderWorkerTemplate.size {size} is below 1, which is the leader alone"
    if asked.replicas and asked.max_unavailable <= 0 and asked.max_surge <= 0:
        yield "maxUnavailable and maxSurge are both 0 or no whole number or percentage, so no rollout could ever go on"
    if part is not None:
        if not 1 <= part <= size:
            yield f"subGroupSize {part} is not between 1 and the size, {size}"
        elif size % part and (size - 1) % part:
            yield f"neither size {size} nor size - 1 is divisible by subGroupSize {part}"
        elif group.subgroup_type == LEADER_EXCLUDED and (size - 1) % part:
            yield f"with LeaderExcluded, size - 1 ({size - 1}) must be divisible by subGroupSize {part}"


def _share(value: object, total: int, *, round_up: bool) -> int:
    """A whole number, or a percentage of a total; 0 for what is neither."""
    text = str(value)
    if text.endswith("%") and text[:-1].isdigit():
        parts = int(text[:-1]) * total
        return -(-parts // 100) if round_up else parts // 100
    return int(text) if text.isdigit() else 0


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
