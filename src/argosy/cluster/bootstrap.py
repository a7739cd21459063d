"""What a fresh cluster of ours holds besides Kubernetes' own objects: the operators' kinds, and the namespace of the parts
that serve every team.
"""

from __future__ import annotations

from argosy import kinds
from argosy.client.client import Client
from argosy.cluster.settings import SYSTEM_NAMESPACE
from argosy.errors import AlreadyExists
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import key_of, version_of
from argosy.operators.install import manifests


async def install(client: Client) -> None:
    """Make the namespace and the CRDs, or bring the CRDs up to date. Idempotent."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    await _ensure(client, kinds.NAMESPACE, namespace, replace=False)
    for crd in manifests():
        await _ensure(client, kinds.CUSTOM_RESOURCE_DEFINITION, crd, replace=True)


async def _ensure(client: Client, kind: Kind, obj: Obj, *, replace: bool) -> None:
    try:
        await client.create(kind, obj)
    except AlreadyExists:
        if replace:
            present = await client.get(kind, key_of(obj).name)
            meta = {**obj["metadata"], "resourceVersion": version_of(present)}
            await client.update(kind, {**obj, "metadata": meta})
