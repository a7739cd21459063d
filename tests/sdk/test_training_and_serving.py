from __future__ import annotations

import pytest

from argosy.errors import UserError
from argosy.sdk.serving import ServedModel, serving_objects
from argosy.sdk.training import TrainingRun, name_from, parse_pairs, training_objects


def test_one_field_scales_the_experiment() -> None:
    for nodes in (1, 2, 50):
        run = TrainingRun("t", "train.py", {"train.py": "print()"}, nodes=nodes, arguments=("--lr", "1"))
        code, job = training_objects(run, "ns")
        replicas = job["spec"]["pytorchReplicaSpecs"]
        assert code["data"] == {"train.py": "print()"}
        assert replicas["Master"]["replicas"] + replicas.get("Worker", {}).get("replicas", 0) == nodes
        container = replicas["Master"]["template"]["spec"]["containers"][0]
        assert container["command"] == ["python", "/workspace/train.py", "--lr", "1"]


def test_code_that_does_not_fit_says_where_to_put_it() -> None:
    with pytest.raises(UserError, match="volume"):
        training_objects(TrainingRun("t", "a.py", {"a.py": "x" * 1_000_000}), "ns")


@pytest.mark.parametrize(("script", "name"), [("a/My_Train.py", "my-train"), ("train.py", "train"), ("_.py", "train")])
def test_names_come_from_scripts(script: str, name: str) -> None:
    assert name_from(script) == name


def test_pairs() -> None:
    assert parse_pairs(["A=1", "B=x=y"], "--env") == {"A": "1", "B": "x=y"}
    with pytest.raises(UserError, match="--env 'A' is not NAME=VALUE"):
        parse_pairs(["A"], "--env")


def test_adapters_are_paths_below_the_model_s_storage() -> None:
    model = ServedModel("demo", "pvc://models", {"poet": "adapters/poet", "abs": "/data/x"}, max_replicas=3)
    (service,) = serving_objects(model, "ns")
    assert service["spec"]["predictor"]["model"]["args"] == [
        "--enable-lora", "--lora-modules", "poet=/mnt/models/adapters/poet", "abs=/data/x",
    ]  # fmt: skip


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(UserError, match="not a place"):
        serving_objects(ServedModel("demo", "/somewhere"), "ns")
    with pytest.raises(UserError, match="--max 1 is less than --min 2"):
        serving_objects(ServedModel("demo", "pvc://m", min_replicas=2), "ns")
