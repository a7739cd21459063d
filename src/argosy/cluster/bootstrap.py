"""What a fresh cluster of ours holds besides Kubernetes' own objects: the operators' kinds, and the namespace of the parts
that serve every team.
"""

from __future__ import annotations

import contextlib

from argosy import kinds
from argosy.client.client import Client
from argosy.client.metadata import MetadataOnly
from argosy.cluster.settings import SYSTEM_NAMESPACE
from argosy.errors import AlreadyExists, NotFound
from argosy.meta.crd import MADE_FROM, crd_for, fingerprint
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import annotations_of, name_of, namespace_of, version_of
from argosy.operators.install import definitions, objects


async def install(client: Client) -> None:
    """Make the namespace, the CRDs and what comes with them, or bring the CRDs up to date. Idempotent."""
    for name, versions in definitions().items():
        await _ensure(client, name, versions)
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


async def _ensure(client: Client, name: str, versions: tuple[Kind, ...]) -> None:
    made_from = fingerprint(*versions)
    try:
        present = await client.through(MetadataOnly).get(kinds.CUSTOM_RESOURCE_DEFINITION, name)
    except NotFound:
        await client.create(kinds.CUSTOM_RESOURCE_DEFINITION, _marked(crd_for(*versions), made_from))
        return
    if annotations_of(present).get(MADE_FROM, made_from) != made_from:  # without it, it is somebody's and stays
        crd = _marked(crd_for(*versions), made_from)
        crd["metadata"]["resourceVersion"] = version_of(present)
        await client.update(kinds.CUSTOM_RESOURCE_DEFINITION, crd)


def _marked(crd: Obj, made_from: str) -> Obj:
    return {**crd, "metadata": {**crd["metadata"], "annotations": {**annotations_of(crd), MADE_FROM: made_from}}}
