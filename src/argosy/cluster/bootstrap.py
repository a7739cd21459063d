"""What a fresh cluster of ours holds besides Kubernetes' own objects: the operators' kinds, and the namespace of the parts
that serve every team.
"""

from __future__ import annotations

import hashlib

from argosy import kinds
from argosy.client.client import Client
from argosy.cluster.settings import SYSTEM_NAMESPACE
from argosy.errors import NotFound
from argosy.meta.json import Obj, encode
from argosy.meta.objects import annotations_of, name_of, version_of
from argosy.operators.install import manifests

_MADE_FROM = "argosy.dev/made-from"
"""On a CustomResourceDefinition of ours: a digest of its manifest. Writing one means checking a whole schema, which takes
longer than the rest of a start, and most starts would change nothing.
"""


async def install(client: Client) -> None:
    """Make the namespace and the CRDs, or bring the CRDs up to date. Idempotent."""
    for crd in manifests():
        await _ensure(client, crd)
    try:
        await client.get(kinds.NAMESPACE, SYSTEM_NAMESPACE)
    except NotFound:
        await client.create(
            kinds.NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
        )


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
