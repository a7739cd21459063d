"""Applying manifests, as `argosy apply`, `train`, `serve` and the demo do: server-side apply, so the server merges and
says who else owns a field. CRDs, namespaces and the like go first; a kind that a CRD of the same batch defines is waited
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from argosy.client.client import Client
from argosy.client.discovery import discover, find
from argosy.client.requests import APPLY_PATCH, Request
from argosy.errors import NotFound, UserError
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, version_of

_FIRST = ("Namespace", "CustomResourceDefinition", "StorageClass", "PriorityClass", "ServiceAccount", "Secret",
          "ConfigMap", "PersistentVolume", "PersistentVolumeClaim", "ClusterRole", "Role", "ClusterRoleBinding",
          "RoleBinding", "Service")  # fmt: skip
_ESTABLISH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one manifest: `created`, `configured` or `unchanged`."""

    kind: Kind
    obj: Obj
    outcome: str


def in_order(objects: Sequence[Obj]) -> list[Obj]:
    """What others need first comes first; otherwise the order given."""
    return sorted(objects, key=lambda obj: _FIRST.index(obj["kind"]) if obj["kind"] in _FIRST else len(_FIRST))


async def apply(
    client: Client,
    objects: Sequence[Obj],
    *,
    namespace: str = "default",
    field_manager: str = "argosy",
    force: bool = True,
    dry_run: bool = False,
    done: Callable[[Applied], None] = lambda _: None,
) -> list[Applied]:
    """Apply each object in order; `done` hears of each as it happens. Raises ApiError or UserError at the first that
    fails: what came before it stays applied.
    """
    served = await discover(client)
    results: list[Applied] = []
    for obj in in_order(objects):
        kind = find(served, obj["apiVersion"], obj["kind"])
        if kind is None:
            served, kind = await _await_kind(client, obj, objects)
        applied = await apply_one(
            client, kind, obj, namespace=namespace, field_manager=field_manager, force=force, dry_run=dry_run
        )
        results.append(applied)
        done(applied)
    return results


async def apply_one(
    client: Client,
    kind: Kind,
    obj: Obj,
    *,
    namespace: str = "default",
    field_manager: str = "argosy",
    force: bool = True,
    dry_run: bool = False,
) -> Applied:
    """Server-side apply of one object of a known kind."""
    home = (obj["metadata"].get("namespace") or namespace) if kind.namespaced else ""
    if home:
        obj = {**obj, "metadata": {**obj["metadata"], "namespace": home}}
    key = Key(home, str(obj["metadata"]["name"]))
    before = await _version(client, kind, key)
    query = {"fieldManager": field_manager, "force": "true" if force else "false", "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    request = Request(
        "PATCH", kind.path(key.namespace, key.name), query, {"content-type": APPLY_PATCH}, body=encode(obj)
    )
    after: Obj = (await client.raw(request)).decoded()
    outcome = "created" if before is None else "unchanged" if version_of(after) == before else "configured"
    return Applied(kind, after, outcome)


async def _version(client: Client, kind: Kind, key: Key) -> str | None:
    try:
        return version_of(await client.get(kind, key.name, key.namespace))
    except NotFound:
        return None


async def _await_kind(client: Client, obj: Obj, batch: Sequence[Obj]) -> tuple[list[Kind], Kind]:
    """Discovery again, for as long as a CRD of the batch may need to be established."""
    coming = any(
        other["kind"] == "CustomResourceDefinition" and other["spec"]["names"]["kind"] == obj["kind"] for other in batch
    )
    deadline = asyncio.get_running_loop().time() + (_ESTABLISH_SECONDS if coming else 0)
    while True:
        served = await discover(client)
        kind = find(served, obj["apiVersion"], obj["kind"])
        if kind is not None:
            return served, kind
        if asyncio.get_running_loop().time() >= deadline:
            raise UserError(
                f"the cluster serves no {obj['kind']} of {obj['apiVersion']}", _versions_hint(served, obj["kind"])
            )
        await asyncio.sleep(0.2)


def _versions_hint(served: Sequence[Kind], kind: str) -> str:
    others = sorted({k.api_version for k in served if k.kind == kind})
    if others:
        return f"it serves {kind} of {', '.join(others)}"
    return "install its CustomResourceDefinition, or see: kubectl api-resources"
