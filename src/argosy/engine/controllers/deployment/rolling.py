"""The algebra of a rolling update: how large each ReplicaSet should be. Pure numbers; knows no objects.

The two laws: never more than `replicas + surge` pods asked for, never fewer than `replicas - unavailable` available ones
given up voluntarily.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Size:
    """One ReplicaSet in numbers, oldest first in sequences."""

    name: str
    asked: int
    """`spec.replicas`."""
    available: int
    annotated_max: int = 0
    """`replicas + surge` at the time it was last scaled; 0 when it was never noted."""

    @property
    def unavailable(self) -> int:
        """Asked for and not available."""
        return max(0, self.asked - self.available)


@dataclass(frozen=True, slots=True)
class Target:
    """What the Deployment wants."""

    replicas: int
    surge: int
    unavailable: int


def roll(target: Target, new: Size, olds: Sequence[Size]) -> dict[str, int]:
    """One step of a rolling update: the sizes that change."""
    total = new.asked + sum(old.asked for old in olds)
    grown = new.asked
    if new.asked > target.replicas:
        grown = target.replicas
    elif new.asked < target.replicas:
        room = target.replicas + target.surge - total
        grown = new.asked + max(0, min(room, target.replicas - new.asked))
    sizes = _shrink(target, replace(new, asked=grown), olds)
    if grown != new.asked:
        sizes[new.name] = grown
    return sizes


def _shrink(target: Target, new: Size, olds: Sequence[Size]) -> dict[str, int]:
    floor = target.replicas - target.unavailable
    total = new.asked + sum(old.asked for old in olds)
    budget = total - floor - new.unavailable
    left = {old.name: old.asked for old in olds}
    for old in olds:  # those that serve nobody go first
        taken = min(max(0, budget), old.unavailable, left[old.name])
        left[old.name] -= taken
        budget -= taken
    spare = min(new.available, new.asked) + sum(min(old.available, left[old.name]) for old in olds) - floor
    for old in olds:
        taken = max(0, min(spare, budget, left[old.name]))
        left[old.name] -= taken
        spare -= taken
        budget -= taken
    return {old.name: left[old.name] for old in olds if left[old.name] != old.asked}


def rescale(target: Target, new: Size | None, olds: Sequence[Size]) -> dict[str, int]:
    """The sizes that change when `spec.replicas` changed in mid-rollout: each ReplicaSet in proportion.

    Where only one holds pods it takes them all; once the new one is complete the old ones end.
    """
    active = [size for size in [*olds, *([new] if new else [])] if size.asked > 0]
    if len(active) <= 1:
        only = active[0] if active else new or (olds[-1] if olds else None)
        return {only.name: target.replicas} if only and only.asked != target.replicas else {}
    if new and new.asked == target.replicas == new.available:
        return {old.name: 0 for old in olds if old.asked}
    allowed = target.replicas + target.surge if target.replicas else 0
    to_add = allowed - sum(size.asked for size in active)
    ordered = sorted(active, key=lambda size: size.asked, reverse=True)
    sizes = {size.name: size.asked for size in ordered}
    added = 0
    for size in ordered:
        share = _share(target, size, to_add - added) if to_add else 0
        sizes[size.name] += share
        added += share
    if ordered and to_add - added:
        sizes[ordered[0].name] = max(0, sizes[ordered[0].name] + to_add - added)
    return {size.name: sizes[size.name] for size in ordered if sizes[size.name] != size.asked}


def _share(target: Target, size: Size, left: int) -> int:
    if not target.replicas:
        return -size.asked
    before = size.annotated_max or target.replicas + target.surge
    exact = size.asked * (target.replicas + target.surge) / before
    change = int(exact + 0.5) - size.asked
    return min(change, left) if left > 0 else max(change, left)
