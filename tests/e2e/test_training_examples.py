"""Real frameworks on the engine: every training example, as a person applies it, until it has succeeded and learned.

Environments that this user has built already are used again; others are built. Takes minutes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from engine_home import EngineHome, best_available, running_home, until_said

from argosy import kinds
from argosy.cli.connection import connect
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.operators.jaxjob.schema import JAX_JOB
from argosy.operators.paddlejob.schema import PADDLE_JOB
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.tfjob.schema import TF_JOB
from argosy.operators.xgboostjob.schema import XGBOOST_JOB
from argosy.sdk import waiting

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parent.parent.parent
_OPERATORS = _ROOT / "src" / "argosy" / "operators"
_SECONDS = 600


@pytest.fixture(scope="module")
def home() -> Iterator[EngineHome]:
    """A home with an engine, at the best level that this machine allows."""
    yield from running_home(best_available())


@dataclass(frozen=True)
class Example:
    """A manifest with one job, what its logs say when it has learned, and the least of what that says."""

    path: Path
    kind: Kind
    says: str
    least: float

    @property
    def job(self) -> Obj:
        docs = yaml.safe_load_all(self.path.read_text())
        return next(doc for doc in docs if doc["kind"] == self.kind.kind)

    def __str__(self) -> str:
        return f"{self.path.parent.name}-{self.path.stem}"


EXAMPLES = (
    Example(_ROOT / "examples" / "fsdp.yaml", PYTORCH_JOB, r"step=100 .*right=([\d.]+)", 0.9),
    Example(_ROOT / "examples" / "elastic.yaml", PYTORCH_JOB, r"step=400 world=(\d)", 2),
    Example(_ROOT / "examples" / "tfjob.yaml", TF_JOB, r"step=300 .*right=([\d.]+)", 0.85),
    Example(_ROOT / "examples" / "jaxjob.yaml", JAX_JOB, r"step=300 .*right=([\d.]+)", 0.9),
    Example(_ROOT / "examples" / "xgboostjob.yaml", XGBOOST_JOB, r"rank 2 of 3: .*right=([\d.]+)", 0.85),
    Example(_OPERATORS / "pytorchjob" / "example.yaml", PYTORCH_JOB, r"step 40: sum of ranks (\d)", 3),
    Example(_OPERATORS / "tfjob" / "example.yaml", TF_JOB, r"replicas in sync: 2 sum: ([\d.]+)", 2),
    Example(_OPERATORS / "jaxjob" / "example.yaml", JAX_JOB, r"devices: \d+ sum: ([\d.]+)", 3),
    Example(_OPERATORS / "xgboostjob" / "example.yaml", XGBOOST_JOB, r"rank 1 sum ([\d.]+)", 3),
    Example(_OPERATORS / "paddlejob" / "example.yaml", PADDLE_JOB, r"rank 1 of 2 sum ([\d.]+)", 3),
)


def _told(home: EngineHome, example: Example) -> float:
    target = f"{example.kind.singular}/{example.job['metadata']['name']}"
    logs = home.argosy("logs", target)
    found = re.findall(example.says, logs)
    assert found, logs
    return float(found[-1])


async def _until_succeeded(home: EngineHome, example: Example, key: Key) -> Obj:
    async with connect(path=home.path / "kubeconfig") as connection:
        verdict = waiting.succeeded_or_raise
        return await waiting.until(connection.client, example.kind, key, verdict, timeout_seconds=_SECONDS)


def _runs(pod: Obj) -> bool:
    return dig(pod, "status", "phase") == "Running"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_it_trains(home: EngineHome, example: Example) -> None:
    key = Key("default", example.job["metadata"]["name"])
    home.argosy("apply", "-f", str(example.path))
    done = asyncio.run(_until_succeeded(home, example, key))
    assert [condition["type"] for condition in done["status"]["conditions"]] == ["Created", "Running", "Succeeded"]
    assert _told(home, example) >= example.least


def test_a_worker_joins_a_running_group(home: EngineHome) -> None:
    text = (
        EXAMPLES[1]
        .path.read_text()
        .replace("name: elastic", "name: grows")
        .replace("claimName: elastic", "claimName: grows")
    )
    path = home.path / "grows.yaml"
    path.write_text(text)
    home.argosy("apply", "-f", str(path))

    async def scenario() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            client, first = connection.client, Key("default", "grows-worker-0")
            await waiting.until(client, kinds.POD, first, _runs, timeout_seconds=_SECONDS, comes_back=True)
            await asyncio.to_thread(until_said, home, first.name, "step=40 world=2")
            wanted = {"spec": {"replicas": 3}}
            await client.patch(PYTORCH_JOB, Key("default", "grows"), wanted, subresource="scale")
            await asyncio.to_thread(until_said, home, first.name, "world=3")
        return await _until_succeeded(home, EXAMPLES[1], Key("default", "grows"))

    done = asyncio.run(scenario())
    assert "argosy.dev/restart-epoch" not in done["metadata"]["annotations"]


def test_sharded_training_goes_on_after_a_rank_is_killed(home: EngineHome) -> None:
    example = EXAMPLES[0]
    text = (
        example.path.read_text().replace("name: fsdp", "name: killed").replace("claimName: fsdp", "claimName: killed")
    )
    path = home.path / "killed.yaml"
    path.write_text(text)
    home.argosy("apply", "-f", str(path))

    async def scenario() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            client, rank_0 = connection.client, Key("default", "killed-master-0")
            await waiting.until(client, kinds.POD, rank_0, _runs, timeout_seconds=_SECONDS, comes_back=True)
            await asyncio.to_thread(until_said, home, rank_0.name, "step=40 ")
            await client.delete(kinds.POD, Key("default", "killed-worker-0"), grace_seconds=0)
        return await _until_succeeded(home, example, Key("default", "killed"))

    done = asyncio.run(scenario())
    assert done["metadata"]["annotations"]["argosy.dev/restart-epoch"] == "1"
    said = home.argosy("logs", "killed-worker-0")
    assert int(re.findall(r"from step (\d+)", said)[-1]) >= 20
