"""Ingresses: the default class, for one that asks for none (DefaultIngressClass)."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of

_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_CLASS = "kubernetes.io/ingress.class"


def admit(call: Call, obj: Obj) -> None:
    """Complete a new Ingress: of several default classes the newest counts."""
    if call.served.storage is not kinds.INGRESS:
        return
    if dig(obj, "spec", "ingressClassName") or _CLASS in annotations_of(obj):
        return
    marked = [
        record.obj["metadata"]
        for record in call.api.store.list(kinds.INGRESS_CLASS.resource)
        if annotations_of(record.obj).get(_DEFAULT) == "true"
    ]
    newest = max(marked, key=lambda meta: (meta.get("creationTimestamp") or "", meta["name"]), default=None)
    if newest is not None:
        obj.setdefault("spec", {})["ingressClassName"] = newest["name"]
