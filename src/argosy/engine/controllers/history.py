"""ControllerRevisions: the history of templates that StatefulSet and DaemonSet keep for `kubectl rollout history|undo`. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from argosy.engine.controllers.pods import template_hash
from argosy.intent import Action, Create, Delete, Patch
from argosy.kinds import CONTROLLER_REVISION
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import (
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)

HASH = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"
_NOT_COPIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(slots=True)
class History:
    """The revisions of an owner, and what must be written to keep them true."""

    update: Obj
    """The revision of the owner's present template; perhaps only about to be made."""
    known: list[Obj]
    """All revisions, `update` included, lowest number first."""
    actions: list[Action] = field(default_factory=list)

    def by_name(self, name: str) -> Obj | None:
        """The revision of that name."""
        return next((r for r in self.known if name_of(r) == name), None)


def history(owner: Obj, kind: Kind, revisions: Sequence[Obj]) -> History:
    """Find or make the revision of the owner's template; a template that comes back becomes the newest again."""
    known = sorted((r for r in revisions if not is_deleting(r)), key=lambda r: (int(r.get("revision", 0)), name_of(r)))
    newest = int(known[-1].get("revision", 0)) if known else 0
    data = _data(owner)
    found = next((r for r in reversed(known) if r.get("data") == data), None)
    if found is None:
        made = _revision(owner, kind, data, newest + 1)
        return History(made, [*known, made], [Create(CONTROLLER_REVISION, made)])
    if int(found.get("revision", 0)) < newest:
        patch = Patch(CONTROLLER_REVISION, key_of(found), {"revision": newest + 1}, uid=uid_of(found))
        return History(found, [*(r for r in known if r is not found), found], [patch])
    return History(found, known)


def expired(told: History, limit: int, in_use: Collection[str]) -> list[Delete]:
    """The deletions that bring the history down to `limit` unused revisions."""
    unused = [r for r in told.known if r is not told.update and name_of(r) not in in_use]
    excess = max(0, len(unused) - limit)
    return [Delete(CONTROLLER_REVISION, key_of(r), uid=uid_of(r)) for r in unused[:excess]]


def template_of(revision: Obj) -> Obj:
    """The pod template that a revision keeps."""
    template = dict(dig(revision, "data", "spec", "template", default={}))
    template.pop("$patch", None)
    return template


def hash_of(revision: Obj) -> str:
    """The revision's content hash."""
    return labels_of(revision).get(HASH, "")


def _data(owner: Obj) -> Obj:
    return {"spec": {"template": {**(owner["spec"].get("template") or {}), "$patch": "replace"}}}


def _revision(owner: Obj, kind: Kind, data: Obj, number: int) -> Obj:
    template = owner["spec"].get("template") or {}
    digest = template_hash(template, but_label=POD_LABEL, salt=dig(owner, "status", "collisionCount") or "")
    copied = {k: v for k, v in annotations_of(owner).items() if k != _NOT_COPIED}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{name_of(owner)}-{digest}",
            "namespace": namespace_of(owner),
            "labels": {**(dig(template, "metadata", "labels", default={})), HASH: digest},
            **({"annotations": copied} if copied else {}),
            "ownerReferences": [owner_reference(owner, kind)],
        },
        "data": data,
        "revision": number,
    }
