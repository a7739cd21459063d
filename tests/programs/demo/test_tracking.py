"""Tracking that never hinders: without a server, with a dead one, and (where mlflow is installed) with a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from argosy.programs.demo import register
from argosy.programs.demo.tracking import Run, context


def test_nothing_is_tracked_without_an_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    run = Run("experiment", "run", tmp_path / "run", {})
    run.parameters({"lr": 0.1})
    run.metrics(1, loss=2.0)
    run.tags(adapter="x")
    run.directory(tmp_path, "model")
    run.finish()
    assert run.id == ""
    assert not (tmp_path / "run").exists()


def test_a_run_says_whose_it_is() -> None:
    assert context({"MLFLOW_RUN_CONTEXT": '{"job": "pretrain", "n": 1}'}) == {"job": "pretrain", "n": "1"}
    for nonsense in ({}, {"MLFLOW_RUN_CONTEXT": ""}, {"MLFLOW_RUN_CONTEXT": "{"}, {"MLFLOW_RUN_CONTEXT": "[1]"}):
        assert context(nonsense) == {}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.chdir(tmp_path)
    return mlflow.MlflowClient(address)


@pytest.mark.filterwarnings("ignore")
def test_a_restarted_job_continues_its_run_and_the_best_is_registered(client: Any, tmp_path: Path) -> None:
    for life in (1, 2):
        run = Run("finetune", "one", tmp_path / "run", {"stage": "finetune", "base_run": "b"})
        run.parameters({"lr": life})
        run.metrics(life, loss=float(life))
        run.finish("KILLED" if life == 1 else "FINISHED")
    other = Run("finetune", "two", None, {})
    other.metrics(1, loss=5.0)
    other.finish()
    kept = client.get_run((tmp_path / "run").read_text().strip())
    assert (kept.info.run_name, kept.info.status, kept.data.params) == ("one", "FINISHED", {"lr": "1"})
    assert [metric.step for metric in client.get_metric_history(kept.info.run_id, "loss")] == [1, 2]

    found = register.candidates(client, "finetune", "loss")
    chosen = register.best(found, highest=False)
    assert chosen is not None
    assert (chosen.name, chosen.value, len(found)) == ("one", 2.0, 2)
    assert register.candidates(client, "absent", "loss") == []
    versions = [register.register(client, chosen, "demo", "adapter", "champion") for _ in range(2)]
    assert versions == ["1", "1"]
    champion = client.get_model_version_by_alias("demo", "champion")
    assert champion.tags == {"stage": "finetune", "base_run": "b"}


@pytest.mark.filterwarnings("ignore")
def test_a_dead_server_is_given_up(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = Run("experiment", "run", None, {})
    run.metrics(1, loss=2.0)
    run.finish(seconds=1)
    assert run.id == ""
    assert "training goes on" in capfd.readouterr().err
