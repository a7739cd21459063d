"""Pieces of code in a cluster: shared by jobs of one content, gone with the last of them."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import timedelta
from pathlib import Path

import pytest

from argosy import kinds
from argosy.clock import SystemClock
from argosy.errors import AlreadyExists, UserError
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.sdk import shipping
from argosy.sdk.training import LABEL_WORKSPACE, TrainingRun, training_job
from argosy.sdk.workspace import collect
from argosy.testing.cluster import cluster

CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)


def job(name: str, sent: shipping.Shipment) -> Obj:
    return training_job(TrainingRun(name, ("python", "a.py")), sent, "default")


def test_jobs_share_pieces_and_pieces_know_their_jobs(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(2_000_000))

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            sent = shipping.shipment(collect(tmp_path))
            assert sent.pieces == 3
            made = [await shipping.submit(client, PYTORCH_JOB, job(name, sent), sent) for name in ("a", "b")]
            pieces = (await client.list(kinds.CONFIG_MAP, "default", labels=LABEL_WORKSPACE)).items
            assert [piece["metadata"]["name"] for piece in pieces] == sent.names()
            for piece in pieces:
                owners = {owner["uid"] for owner in piece["metadata"]["ownerReferences"]}
                assert owners == {each["metadata"]["uid"] for each in made}
                assert piece["immutable"] is True
            data = [base64.b64decode(next(iter(piece["binaryData"].values()))) for piece in pieces]
            assert b"".join(data) == sent.packed.data
            with pytest.raises(AlreadyExists):
                await shipping.submit(client, PYTORCH_JOB, job("a", sent), sent)
            assert await shipping.free_name(client, PYTORCH_JOB, "default", "a") == "a-2"

    asyncio.run(go())


def test_orphans_go_after_an_hour(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            orphan = {"metadata": {"name": "workspace-x-0", "namespace": "default", "labels": {LABEL_WORKSPACE: "x"}}}
            await client.create(kinds.CONFIG_MAP, orphan)
            sent = shipping.shipment(collect(tmp_path))
            for hours, left in ((0.5, 2), (2, 1)):
                now = SystemClock().now() + timedelta(hours=hours)
                await shipping.submit(client, PYTORCH_JOB, job(f"j{left}", sent), sent, now=now)
                found = (await client.list(kinds.CONFIG_MAP, "default", labels=LABEL_WORKSPACE)).items
                assert len(found) == left

    asyncio.run(go())


def test_another_content_under_the_same_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            sent = shipping.shipment(collect(tmp_path))
            false = {**sent.config_maps("default")[0], "binaryData": {"part-0000": "eA=="}}
            await world.client.create(kinds.CONFIG_MAP, false)
            with pytest.raises(UserError, match="is there with another content"):
                await shipping.submit(world.client, PYTORCH_JOB, job("a", sent), sent)
            await world.client.delete(kinds.CONFIG_MAP, Key("default", sent.names()[0]))

    asyncio.run(go())
