from __future__ import annotations

import base64

import pytest

from argosy.errors import UserError
from argosy.sdk.serving import ServedModel, serving_objects
from argosy.sdk.training import Shipment, TrainingRun, name_from, parse_pairs, pod_template, resources_of, training_job
from argosy.sdk.workspace import Packed


def shipment(size: int = 10) -> Shipment:
    return Shipment(Packed(b"x" * size, "d" * 64), "loader", "numpy\n")


def test_one_field_scales_the_experiment() -> None:
    for nodes in (1, 2, 50):
        run = TrainingRun("t", ("python", "train.py", "--lr", "1"), nodes=nodes, resources={"memory": "1Gi"})
        replicas = training_job(run, shipment(), "ns")["spec"]["pytorchReplicaSpecs"]
        assert replicas["Master"]["replicas"] + replicas.get("Worker", {}).get("replicas", 0) == nodes
        template = replicas["Master"]["template"]
        (container,), (loading,) = template["spec"]["containers"], template["spec"]["initContainers"]
        assert container["command"] == ["sh", "/workspace/.argosy/start", "python", "train.py", "--lr", "1"]
        assert loading["image"] == container["image"]
        assert (
            loading["resources"]
            == container["resources"]
            == {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}
        )
        assert template["metadata"]["annotations"] == {"argosy.dev/requirements": "numpy\n"}


def test_code_travels_in_pieces_that_a_config_map_holds() -> None:
    sent = shipment(2_000_000)
    pieces = sent.config_maps("ns")
    assert [len(base64.b64decode(next(iter(piece["binaryData"].values())))) for piece in pieces] == [
        900_000,
        900_000,
        200_000,
    ]
    assert ["data" in piece for piece in pieces] == [True, False, False]
    volumes = pod_template(TrainingRun("t", ("python", "a.py"), claim="c"), sent, "main")["spec"]["volumes"]
    assert volumes[0]["projected"]["sources"] == [{"configMap": {"name": name}} for name in sent.names()]
    assert volumes[2] == {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}


def test_several_processes_a_pod_are_torchrun_s() -> None:
    job = training_job(TrainingRun("t", ("python", "a.py", "1"), processes=4, image="pytorch"), shipment(), "ns")
    container = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
    assert job["spec"]["nprocPerNode"] == "4"
    assert container["command"][2:] == ["python", "-m", "torch.distributed.run", "a.py", "1"]
    assert container["image"] == "pytorch/pytorch:latest"


@pytest.mark.parametrize(
    ("script", "name"), [("a/My_Train.py", "my-train"), ("train.py", "train"), ("_.py", "train"), ("1b.py", "run-1b")]
)
def test_names_come_from_scripts(script: str, name: str) -> None:
    assert name_from(script) == name


def test_pairs() -> None:
    assert parse_pairs(["A=1", "B=x=y"], "--env") == {"A": "1", "B": "x=y"}
    with pytest.raises(UserError, match="--env 'A' is not NAME=VALUE"):
        parse_pairs(["A"], "--env")


def test_resources_are_quantities() -> None:
    assert resources_of("500m", "", 2) == {"cpu": "500m", "nvidia.com/gpu": "2"}
    with pytest.raises(UserError, match="--memory 'lots' is not a quantity; write for example: --memory 2Gi"):
        resources_of("1", "lots", 0)


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
