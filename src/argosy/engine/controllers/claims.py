"""Adoption: which objects a workload counts as its own by selector, and the patches that make it so. Pure.

An object without a controller whose labels match is adopted; a child whose labels no longer match is released. Asked by every
workload controller; Job alone does without, since the labels that its selector names hold its own uid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from argosy.engine.controllers.pods import is_finished
from argosy.intent import Patch, Related
from argosy.kinds import POD
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import (
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from argosy.meta.selectors import matches


def orphans_wanted(kind: Kind = POD) -> Related:
    """The objects of a kind that nobody controls and that a workload's `spec.selector` matches."""

    def wants(owner: Obj, obj: Obj) -> bool:
        return (
            controller_of(obj) is None and namespace_of(obj) == namespace_of(owner) and _selects(_selector(owner), obj)
        )

    return Related(kind, wants, subject_keys=_namespace, object_keys=_namespace_if_orphan)


def _namespace(owner: Obj) -> Sequence[str]:
    return (namespace_of(owner),)


def _namespace_if_orphan(obj: Obj) -> Sequence[str]:
    return (namespace_of(obj),) if controller_of(obj) is None else ()


class Claimed(NamedTuple):
    """What an owner counts as its own."""

    items: list[Obj]
    actions: list[Patch]


def claim(
    owner: Obj, owner_kind: Kind, children: Iterable[Obj], orphans: Iterable[Obj], *, kind: Kind = POD
) -> Claimed:
    """Adopt matching orphans of `kind`, release children that no longer match."""
    mine: list[Obj] = []
    actions: list[Patch] = []
    selector = _selector(owner)
    uid = uid_of(owner)
    for obj in children:
        if _selects(selector, obj):
            mine.append(obj)
        elif not is_deleting(obj):
            kept = [r for r in obj["metadata"].get("ownerReferences") or () if r.get("uid") != uid]
            actions.append(_owned_by(kind, obj, kept))
    for obj in orphans:
        if not is_deleting(obj) and not (kind is POD and is_finished(obj)) and _selects(selector, obj):
            references = thaw(obj["metadata"].get("ownerReferences") or [])
            actions.append(_owned_by(kind, obj, [*references, owner_reference(owner, owner_kind)]))
            mine.append(obj)
    return Claimed(mine, actions)


def _selector(owner: Obj) -> Obj | None:
    """What a workload selects by. A ReplicationController, the eldest of them, has the labels themselves there."""
    selector: Obj | None = dig(owner, "spec", "selector")
    if selector and all(isinstance(value, str) for value in selector.values()):
        return {"matchLabels": selector}
    return selector


def _selects(selector: Obj | None, obj: Obj) -> bool:
    return bool(selector) and matches(selector, labels_of(obj))


def _owned_by(kind: Kind, obj: Obj, references: list[Obj]) -> Patch:
    return Patch(kind, key_of(obj), {"metadata": {"ownerReferences": references or None}}, uid=uid_of(obj))
