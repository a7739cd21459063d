"""TrainJob, JobSet and LeaderWorkerSet on the engine, as a person applies them, with real frameworks. Takes minutes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from engine_home import EngineHome, running_home, until_said

from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level
from argosy.kinds import POD
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, name_of
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.leaderworkerset.schema import LEADER_WORKER_SET
from argosy.operators.trainjob.schema import TRAIN_JOB
from argosy.sdk import waiting

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent.parent
_OPERATORS = _ROOT / "src" / "argosy" / "operators"
_SECONDS = 300


@pytest.fixture(scope="module", params=[Level.L2, Level.L0], ids=str)
def home(request: pytest.FixtureRequest) -> Iterator[EngineHome]:
    """A home with an engine; environments that this user has built already are used again."""
    yield from running_home(request.param)


def _until(home: EngineHome, kind: Kind, name: str, holds: Callable[[Obj], bool]) -> Obj:
    async def wait() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            key = Key("default", name)
            return await waiting.until(connection.client, kind, key, holds, timeout_seconds=_SECONDS)

    return asyncio.run(wait())


def _complete(job: Obj) -> bool:
    assert not is_true(job, "Failed"), job["status"]["conditions"]
    return is_true(job, "Complete") or is_true(job, "Completed")


def _pods(home: EngineHome, prefix: str) -> list[str]:
    async def names() -> list[str]:
        async with connect(path=home.path / "kubeconfig") as connection:
            listing = await connection.client.list(POD, "default")
        return [name_of(pod) for pod in listing.items if name_of(pod).startswith(prefix)]

    return asyncio.run(names())


@pytest.mark.parametrize(
    ("path", "says", "least"),
    [
        (_ROOT / "examples" / "trainjob.yaml", r"step=200 world=2 .*right=([\d.]+)", 0.9),
        (_OPERATORS / "trainjob" / "example.yaml", r"rank 1 of 2: sum (\d)", 3),
    ],
    ids=["digits", "sum-of-ranks"],
)
def test_a_trainjob_trains(home: EngineHome, path: Path, says: str, least: float) -> None:
    name = next(doc for doc in yaml.safe_load_all(path.read_text()) if doc["kind"] == "TrainJob")["metadata"]["name"]
    home.argosy("apply", "-f", str(path))
    done = _until(home, TRAIN_JOB, name, _complete)
    counts = {"ready": 0, "succeeded": 1, "failed": 0, "active": 0, "suspended": 0}
    assert done["status"]["jobsStatus"] == [{"name": "node", **counts}]
    logs = "".join(home.argosy("logs", pod) for pod in _pods(home, f"{name}-node-0-"))
    assert float(re.findall(says, logs)[-1]) >= least, logs


def test_a_jobset_meets_by_name(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_OPERATORS / "jobset" / "example.yaml"))
    done = _until(home, JOB_SET, "roll-call", _complete)
    assert done["status"]["terminalState"] == "Completed"
    (worker, _) = _pods(home, "roll-call-workers-0-")
    assert "told the driver" in home.argosy("logs", worker)


def test_a_group_of_leader_and_workers_comes_back_as_a_whole(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_OPERATORS / "leaderworkerset" / "example.yaml"))
    _until(home, LEADER_WORKER_SET, "pages", lambda lws: is_true(lws, "Available"))
    # Below L2 the variable that names a pod holds its address, so look for other words.
    until_said(home, "pages-1-2", "worker 2 has ")

    async def kill_one() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            leader = await connection.client.get(POD, "pages-1", "default")
            await connection.client.delete(POD, Key("default", "pages-1-1"), grace_seconds=1)
        return leader

    before = asyncio.run(kill_one())["metadata"]["uid"]
    _until(home, LEADER_WORKER_SET, "pages", lambda lws: dig(lws, "status", "readyReplicas") == 2)

    def renewed(leader: Obj) -> bool:
        return leader["metadata"]["uid"] != before and dig(leader, "status", "phase") == "Running"

    async def until_renewed() -> None:
        async with connect(path=home.path / "kubeconfig") as connection:
            key = Key("default", "pages-1")
            await waiting.until(connection.client, POD, key, renewed, timeout_seconds=_SECONDS, comes_back=True)

    asyncio.run(until_renewed())
