"""Namespaces that are missing or on their way out take no new objects."""

from __future__ import annotations

from argosy import kinds
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden, not_found
from argosy.errors import Cause
from argosy.meta.json import Obj
from argosy.meta.objects import Key, is_deleting

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def check_namespace(call: Call, obj: Obj) -> None:
    """Raises NotFound or Forbidden for a create in a namespace that cannot take it."""
    if not call.kind.namespaced or "list" not in call.kind.verbs:
        return
    namespace = call.target.namespace
    found = call.api.store.newest(kinds.NAMESPACE.resource, Key("", namespace))
    if found is None:
        raise not_found(kinds.NAMESPACE, namespace)
    if is_deleting(found.obj):
        cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise forbidden(call.kind, obj["metadata"].get("name", ""), why, [cause])
