"""Bringing a working directory and its job to a cluster: used by `argosy train`, `argosy sweep` and `argosy.sdk.train`.

The pieces are made before the job and given to it afterwards, by an owner reference for each job that shares them, so the
cluster's own garbage collector removes them with the last one. Pieces that nobody came to own, because whoever shipped
them was interrupted, are removed by a later shipment.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import STRATEGIC_PATCH
from argosy.clock import SystemClock, parse_time
from argosy.errors import AlreadyExists, ApiError, NotFound, UserError
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, created_of, is_deleting, key_of, name_of, owner_reference
from argosy.programs import checkpoints, notice, pod, saving, shards
from argosy.programs.workspace import loader
from argosy.sdk import checkpoint, data, requirements
from argosy.sdk.training import LABEL_WORKSPACE, Shipment
from argosy.sdk.workspace import Workspace, pack

_ORPHAN_AGE = timedelta(hours=1)
_LIBRARY = (checkpoint, checkpoints, data, notice, pod, saving, shards)
"""What training code may import of ours: it travels along for images that do not have it."""


def shipment(workspace: Workspace, *, chosen: str = "", added: dict[str, bytes] | None = None) -> Shipment:
    """Pack a workspace with its requirements (`chosen`: a file, or `none`). Raises UserError."""
    paths = requirements.wanted_files([file.path for file in workspace.files], chosen)
    wanted = requirements.read(workspace.texts(paths), chosen)
    own = dict(added or {})
    for module in _LIBRARY:
        name = module.__name__.replace(".", "/")
        own[f"{loader.LIBRARY}/{name}.py"] = Path(str(module.__file__)).read_bytes()
    for package in {module.__name__.rpartition(".")[0] for module in _LIBRARY}:
        parts = package.split(".")
        for depth in range(1, len(parts) + 1):
            own[f"{loader.LIBRARY}/{'/'.join(parts[:depth])}/__init__.py"] = b""
    if wanted.lines:
        own[loader.REQUIREMENTS] = wanted.text.encode()
    return Shipment(pack(workspace, own), Path(loader.__file__).read_text(), wanted.text)


async def submit(client: Client, kind: Kind, job: Obj, sent: Shipment, *, now: datetime | None = None) -> Obj:
    """Create a job with the workspace that it runs in. Raises AlreadyExists, other ApiErrors and UserError."""
    namespace = str(job["metadata"]["namespace"])
    pieces = sent.config_maps(namespace)
    await _make(client, pieces)
    made = await client.create(kind, job)
    await _give(client, pieces, made, kind)
    await _remove_orphans(client, namespace, now or SystemClock().now())
    return made


async def free_name(client: Client, kind: Kind, namespace: str, name: str) -> str:
    """A name for an object for which nobody chose one: the first of `NAME`, `NAME-2`, `NAME-3`, … that is free."""
    taken = {name_of(item) for item in (await client.list(kind, namespace)).items}
    return next(
        found for number in itertools.count(1) if (found := name if number == 1 else f"{name}-{number}") not in taken
    )


async def _make(client: Client, pieces: Sequence[Obj]) -> None:
    async def one(piece: Obj) -> None:
        try:
            await client.create(kinds.CONFIG_MAP, piece)
        except AlreadyExists:
            there = await client.get(kinds.CONFIG_MAP, piece["metadata"]["name"], piece["metadata"]["namespace"])
            if there.get("binaryData") != piece["binaryData"] or is_deleting(there):
                raise UserError(
                    f"the ConfigMap {piece['metadata']['name']} is there with another content",
                    "delete it, and try again",
                ) from None

    await asyncio.gather(*(one(piece) for piece in pieces))


async def _give(client: Client, pieces: Sequence[Obj], owner: Obj, kind: Kind) -> None:
    """Make the job an owner of its pieces; one that went with another job in the meantime is made again."""
    reference = {**owner_reference(owner, kind), "controller": False, "blockOwnerDeletion": False}
    patch: Obj = {"metadata": {"ownerReferences": [reference]}}

    async def one(piece: Obj) -> None:
        try:
            await client.patch(kinds.CONFIG_MAP, key_of(piece), patch, content_type=STRATEGIC_PATCH)
        except NotFound:
            owned = {**piece, "metadata": {**piece["metadata"], "ownerReferences": [reference]}}
            await client.create(kinds.CONFIG_MAP, owned)

    await asyncio.gather(*(one(piece) for piece in pieces))


async def _remove_orphans(client: Client, namespace: str, now: datetime) -> None:
    with suppress(ApiError):  # who may not list or delete leaves them to somebody who may
        for piece in (await client.list(kinds.CONFIG_MAP, namespace, labels=LABEL_WORKSPACE)).items:
            old = now - parse_time(created_of(piece)) > _ORPHAN_AGE
            if old and not piece["metadata"].get("ownerReferences"):
                key = Key(namespace, piece["metadata"]["name"])
                await client.delete(kinds.CONFIG_MAP, key, uid=piece["metadata"]["uid"])
