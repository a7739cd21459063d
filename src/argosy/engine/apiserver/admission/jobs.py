"""Jobs: the labels and the selector by which a Job knows its pods are made with it."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj

_UID, _NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"


def admit(call: Call, obj: Obj) -> None:
    """Mark a new Job and its pods, unless its selector is made by hand."""
    spec = obj.get("spec") or {}
    if call.served.storage is not kinds.JOB or spec.get("manualSelector"):
        return
    name, uid = obj["metadata"].get("name", ""), obj["metadata"]["uid"]
    labels = {_UID: uid, _NAME: name, "controller-uid": uid, "job-name": name}
    spec["manualSelector"] = False
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _UID: uid}
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    taken_over = template.get("labels") is not None and obj["metadata"].get("labels") is template["labels"]
    template["labels"] = {**(template.get("labels") or {}), **labels}
    if taken_over or not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(template["labels"])
