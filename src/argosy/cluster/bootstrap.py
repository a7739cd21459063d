"""What a fresh cluster of ours holds besides Kubernetes' own objects: the operators' kinds, and the namespace of the parts
that serve every team.
"""

from __future__ import annotations

import contextlib
import hashlib

from argosy import kinds
from argosy.client.client import Client
from argosy.cluster.settings import SYSTEM_NAMESPACE
from argosy.errors import AlreadyExists, NotFound
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, name_of, namespace_of, version_of
from argosy.operators.install import manifests, objects

_MADE_FROM = "argosy.dev/made-from"
"""On a CustomResourceDefinition of ours: a digest of its manifest. Writing one means checking a whole schema, which takes
longer than the rest of a start, and most starts would change nothing.
"""


async def install(client: Client) -> None:
    """Make the namespace, the CRDs and what comes with them, or bring the CRDs up to date. Idempotent."""
    for crd in manifests():
        await _ensure(client, crd)
    await _make(client, kinds.NAMESPACE, _named(kinds.NAMESPACE, SYSTEM_NAMESPACE))
    # The controllers make one in every namespace; the first pod may come before they do.
    await _make(client, kinds.SERVICE_ACCOUNT, _named(kinds.SERVICE_ACCOUNT, "default", "default"))
    for kind, obj in objects():
        await _make(client, kind, obj)


def _named(kind: Kind, name: str, namespace: str = "") -> Obj:
    """An object that is nothing but its name."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}


async def _make(client: Client, kind: Kind, obj: Obj) -> None:
    """Make an object, unless it is there."""
    try:
        await client.get(kind, name_of(obj), namespace_of(obj))
    except NotFound:
        with contextlib.suppress(AlreadyExists):
            await client.create(kind, obj)


async def _ensure(client: Client, crd: Obj) -> None:
    digest = hashlib.sha256(encode(crd)).hexdigest()[:16]
    meta = {**crd["metadata"], "annotations": {**annotations_of(crd), _MADE_FROM: digest}}
    try:
        present = await client.get(kinds.CUSTOM_RESOURCE_DEFINITION, name_of(crd))
    except NotFound:
        await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, {**crd, "metadata": meta})
        return
    if annotations_of(present).get(_MADE_FROM) != digest:
        meta["resourceVersion"] = version_of(present)
        await client.update(kinds.CUSTOM_RESOURCE_DEFINITION, {**crd, "metadata": meta})
