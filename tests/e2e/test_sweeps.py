"""Searches on a whole engine, as a person applies them: trials are processes, and those that fall behind are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from engine_home import EngineHome, running_home

from argosy import kinds
from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key
from argosy.operators.experiment.schema import EXPERIMENT, TRIAL
from argosy.operators.optimizationjob.schema import OPTIMIZATION_JOB
from argosy.sdk import waiting

pytestmark = pytest.mark.slow

_EXAMPLES = Path(__file__).parents[2] / "examples"
_SECONDS = 300


@pytest.fixture(scope="module", params=[Level.L2, Level.L0], ids=str)
def home(request: pytest.FixtureRequest) -> Iterator[EngineHome]:
    yield from running_home(request.param)


def _ended(home: EngineHome, kind: Kind, name: str, *, end: str) -> Obj:
    def holds(obj: Obj) -> bool:
        assert end == "Failed" or not is_true(obj, "Failed"), obj["status"]["conditions"]
        return is_true(obj, end)

    async def wait() -> Obj:
        async with connect(path=home.path / "kubeconfig") as connection:
            key = Key("default", name)
            return await waiting.until(connection.client, kind, key, holds, timeout_seconds=_SECONDS)

    return asyncio.run(wait())


def _listed(home: EngineHome, kind: Kind, prefix: str) -> list[Obj]:
    async def read() -> list[Obj]:
        async with connect(path=home.path / "kubeconfig") as connection:
            return list((await connection.client.list(kind, "default")).items)

    return [obj for obj in asyncio.run(read()) if obj["metadata"]["name"].startswith(prefix)]


def test_asha_ends_bad_trials_early(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_EXAMPLES / "experiment.yaml"))
    status = _ended(home, EXPERIMENT, "slopes", end="Succeeded")["status"]
    assert status["trials"] == 8
    assert status["trialsEarlyStopped"] >= 2
    assert status["trialsEarlyStopped"] + status["trialsSucceeded"] == 8
    best = status["currentOptimalTrial"]["bestTrialName"]
    assert best in status["succeededTrialList"]
    latest = {}
    for trial in _listed(home, TRIAL, "slopes-"):
        name = trial["metadata"]["name"]
        latest[name] = float(dig(trial, "status", "observation", "metrics", 0, "min"))
        if is_true(trial, "EarlyStopped"):
            assert trial["status"]["conditions"][-1]["message"].startswith(
                "Trial is early stopped: loss is greater than"
            )
    assert latest[best] == min(latest.values())
    jobs = {job["metadata"]["name"] for job in _listed(home, kinds.JOB, "slopes-")}
    assert jobs == set(status["succeededTrialList"]), "what was ended early runs no more"


def _files(format: str, line: str) -> Obj:
    obj: Obj = yaml.safe_load((_EXAMPLES / "experiment.yaml").read_text())
    obj["metadata"]["name"] = f"files-{format.lower()}"
    spec = obj["spec"]
    del spec["earlyStopping"]
    spec["algorithm"] = {"algorithmName": "grid"}
    spec["parameters"] = [{"name": "x", "parameterType": "discrete", "feasibleSpace": {"list": ["1", "2", "3"]}}]
    place = {"path": "/metrics-here/metrics.log", "kind": "File", "format": format}
    spec["metricsCollectorSpec"] = {"collector": {"kind": "File"}, "source": {"fileSystemPath": place}}
    spec["trialTemplate"]["trialParameters"] = [{"name": "x", "reference": "x"}]
    program = f"""
import sys
with open(sys.argv[1], "w") as out:
    for step in range(1, 2001):
        print({line}, file=out)
"""
    (container,) = spec["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["command"] = ["python", "-c", program.replace("X", "${trialParameters.x}"), place["path"]]
    del container["env"]
    return obj


@pytest.mark.parametrize(
    ("format", "line"),
    [("TEXT", "f'loss={X / step}'"), ("JSON", '\'{"loss": "%s"}\' % (X / step)')],
)
def test_metrics_in_a_file_are_read_to_the_last_line(home: EngineHome, tmp_path: Path, format: str, line: str) -> None:
    wanted = _files(format, line)
    name = wanted["metadata"]["name"]
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(wanted))
    home.argosy("apply", "-f", str(tmp_path / "e.yaml"))
    status = _ended(home, EXPERIMENT, name, end="Succeeded")["status"]
    assert status["conditions"][-1]["reason"] == "ExperimentSuggestionEndReached"
    (metric,) = status["currentOptimalTrial"]["observation"]["metrics"]
    assert (metric["latest"], metric["max"]) == (repr(1 / 2000), "1.0")


def test_an_optimizationjob_finds_the_better_network(home: EngineHome) -> None:
    home.argosy("apply", "-f", str(_EXAMPLES / "optimizationjob.yaml"))
    status = _ended(home, OPTIMIZATION_JOB, "rings", end="Complete")["status"]
    assert status["conditions"][-1]["reason"] == "MaxTrialsReached"
    losses = {t["trainJobName"]: float(t["metrics"][0]["value"]) for t in status["trials"]}
    assert list(losses) == [f"rings-trial-{number}" for number in range(6)]
    assert losses[status["result"]["trainJobName"]] == min(losses.values())
    assert min(losses.values()) < 0.1 < max(losses.values())
