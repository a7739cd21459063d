"""How far a rollout may go now: the leader StatefulSet's partition and replicas. Pure arithmetic; called by `plan`.

Groups are replaced from the highest index down. With a surge there are more groups than asked for until the update is
done; a group that is not ready counts as unavailable, whatever revision it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from argosy.operators.leaderworkerset.spec import LeaderWorkerSet


@dataclass(frozen=True, slots=True)
class State:
    """How one group is."""

    ready: bool = False
    updated: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """The leader StatefulSet as it is."""

    replicas: int
    partition: int
    asked: int
    """The set's replicas when it was last written."""


@dataclass(frozen=True, slots=True)
class Step:
    """The leader StatefulSet as it should be."""

    partition: int
    replicas: int


def next_step(asked: LeaderWorkerSet, present: Present | None, states: Sequence[State], *, changed: bool) -> Step:
    """The next step; `changed` when the templates differ from what the StatefulSet was last written with."""
    step = _free_step(asked, present, states, changed=changed)
    return Step(max(step.partition, asked.partition), step.replicas)


def _free_step(asked: LeaderWorkerSet, present: Present | None, states: Sequence[State], *, changed: bool) -> Step:
    if present is None:
        return Step(0, asked.replicas)
    if changed:
        partition = min(asked.replicas, present.replicas)
        if present.replicas < asked.replicas:
            return Step(partition, asked.replicas)  # scaling up comes first
        return Step(partition, _replicas(asked, asked.replicas))
    if present.partition == 0 and present.replicas == asked.replicas:
        return Step(0, asked.replicas)
    if present.replicas < asked.replicas:
        return Step(present.partition, asked.replicas)
    wanted = (states[i] if i < len(states) else State() for i in range(asked.replicas))
    unready = sum(not (state.ready and state.updated) for state in wanted)
    burst = asked.replicas + asked.max_surge
    if present.asked != asked.replicas:
        return Step(min(present.partition, burst), _replicas(asked, unready))
    room = asked.max_unavailable + asked.max_surge - (burst - present.replicas)
    return Step(_partition(states, present, room), _replicas(asked, unready))


def _replicas(asked: LeaderWorkerSet, unready: int) -> int:
    """As many surplus groups as stand in for those that are not ready, beyond what may be unavailable anyway."""
    if unready > asked.max_surge:
        return asked.replicas + asked.max_surge
    return asked.replicas + max(unready - asked.max_unavailable, 0)


def _partition(states: Sequence[State], present: Present, room: int) -> int:
    done = 0
    for state in reversed(states):
        if not (state.ready and state.updated):
            break
        done += 1
    lowest = max(present.replicas - done - room, 0)
    partition = lowest + sum(not state.ready for state in states[:lowest])
    for index in range(min(partition, present.replicas - 1), lowest - 1, -1):
        # What is not ready, or new already, costs nothing to replace.
        if states[index].ready and not states[index].updated:
            break
        partition = index
    return min(partition, present.partition)
