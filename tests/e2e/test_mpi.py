"""MPIJobs on the engine, as a person applies them, with Open MPI and MPICH. The first run of an environment downloads it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from engine_home import EngineHome, running_home, until_said

from argosy import kinds
from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level
from argosy.errors import NotFound, UserError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, name_of
from argosy.operators.mpijob.schema import MPI_JOB, MPI_JOB_V1
from argosy.sdk import waiting

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent.parent
_SECONDS = 240


@pytest.fixture(scope="module", params=[Level.L2, Level.L1], ids=str)
def home(request: pytest.FixtureRequest) -> Iterator[EngineHome]:
    """A home with an engine; environments that this user has built already are used again."""
    yield from running_home(request.param)


def _succeeded(home: EngineHome, kind: Kind, name: str) -> Obj:
    async def wait() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            verdict = waiting.succeeded_or_raise
            return await waiting.until(connection.client, kind, Key("default", name), verdict, timeout_seconds=_SECONDS)

    return asyncio.run(wait())


def _runs(job: Obj) -> bool:
    return is_true(job, "Running")


async def _launcher(home: EngineHome, name: str) -> str:
    async with connect(path=home.path / "kubeconfig") as connection:
        listing = await connection.client.list(kinds.POD, "default")
    return next(name_of(pod) for pod in listing.items if name_of(pod).startswith(f"{name}-launcher"))


def _launcher_said(home: EngineHome, name: str) -> str:
    return home.argosy("logs", asyncio.run(_launcher(home, name)))


def test_ranks_on_two_workers_sum_together(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_ROOT / "examples" / "mpijob.yaml"))
    done = _succeeded(home, MPI_JOB, "allreduce")
    assert [condition["type"] for condition in done["status"]["conditions"]] == ["Created", "Running", "Succeeded"]
    said = _launcher_said(home, "allreduce")
    assert re.search(r"rank 0 of 2 on allreduce-worker-0: sum 3", said), said
    assert re.search(r"rank 1 of 2 on allreduce-worker-1: sum 3", said), said


def test_the_older_version_goes_through_the_api(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_ROOT / "examples" / "mpijob-v1.yaml"))
    _succeeded(home, MPI_JOB_V1, "darts-v1")
    said = _launcher_said(home, "darts-v1")
    assert "Rank 1 on host darts-v1-worker-1" in said
    assert "pi is approximately 3.1" in said


def test_a_killed_worker_is_replaced_and_the_job_ends_well(home: EngineHome) -> None:
    (_, job) = yaml.safe_load_all((_ROOT / "examples" / "mpijob.yaml").read_text())
    job["metadata"]["name"] = "killed"
    launcher = job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    # The first attempt waits for the kill, those that follow it do not.
    wait = "test $(hostname) = killed-worker-0 || test -e /marks/second || { touch /marks/second; echo asleep; sleep 600; }"
    launcher["command"] = ["mpirun", "--allow-run-as-root", "-n", "2", "sh", "-c", wait]
    worker = job["spec"]["mpiReplicaSpecs"]["Worker"]["template"]["spec"]
    claim = {"name": "marks", "persistentVolumeClaim": {"claimName": "marks"}}
    worker["volumes"] = [claim]
    worker["containers"][0]["volumeMounts"] = [{"name": "marks", "mountPath": "/marks"}]
    marks = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "marks"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    path = home.path / "killed.yaml"
    path.write_text(yaml.safe_dump_all([marks, job]))
    home.argosy("apply", "-f", str(path))

    async def kill() -> None:
        async with connect(path=home.path / "kubeconfig") as connection:
            client = connection.client

            await waiting.until(client, MPI_JOB, Key("default", "killed"), _runs, timeout_seconds=_SECONDS)
            await asyncio.to_thread(until_said, home, await _launcher(home, "killed"), "asleep")
            await client.delete(kinds.POD, Key("default", "killed-worker-1"), grace_seconds=0)

    asyncio.run(kill())
    _succeeded(home, MPI_JOB, "killed")


def test_nothing_is_left_of_a_deleted_job(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_ROOT / "src" / "argosy" / "operators" / "mpijob" / "example.yaml"))
    _succeeded(home, MPI_JOB, "darts")

    async def delete() -> None:
        async with connect(path=home.path / "kubeconfig") as connection:
            client, key, seen = connection.client, Key("default", "darts"), asyncio.Event()
            going = asyncio.create_task(
                waiting.until(client, MPI_JOB, key, lambda _: False, timeout_seconds=60, seen=lambda _: seen.set())
            )
            await seen.wait()
            await client.delete(MPI_JOB, key, propagation="Foreground")
            with pytest.raises(UserError, match="was deleted"):
                await going
            for kind, name in (
                (kinds.POD, "darts-worker-0"), (kinds.JOB, "darts-launcher"), (kinds.SERVICE, "darts"),
                (kinds.CONFIG_MAP, "darts-config"), (kinds.SECRET, "darts-ssh"),
            ):  # fmt: skip
                with pytest.raises(NotFound):
                    await client.get(kind, name, "default")

    asyncio.run(delete())
