"""Data sets of the v1 kinds: from an annotation to init containers, mounts and variables; what came is written down."""

from __future__ import annotations

import pytest
from operator_world import World
from training_jobs import job

from argosy import kinds
from argosy.meta.json import Obj, encode
from argosy.operators.gang.operator import operator
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.settings import OperatorSettings

ASKED = "argosy.dev/datasets"


def world(annotations: Obj, **spec: object) -> World:
    subject = job(PYTORCH, {"Master": 1, "Worker": 1})
    subject["metadata"]["annotations"] = annotations
    template = subject["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    template["containers"][0] |= spec
    made = World(operator(PYTORCH, OperatorSettings(data_loader=b"zip")), subject)
    made.settle()
    return made


def test_each_pod_fetches_for_itself_where_no_cache_is_named() -> None:
    w = world({ASKED: "corpus=s3://bucket/c\nweb-text=https://example.org/a.txt", "argosy.dev/datasets-secret": "keys"})
    spec = w.get(kinds.POD, "job-worker-0")["spec"]
    first = spec["initContainers"][0]
    assert (first["name"], first["image"], first["envFrom"]) == ("datasets", "x", [{"secretRef": {"name": "keys"}}])
    assert {e["name"]: e["value"] for e in first["env"]} == {
        "DATASETS": "corpus=s3://bucket/c\nweb-text=https://example.org/a.txt", "DATASETS_PLACE": "/datasets",
    }  # fmt: skip
    assert [c["name"] for c in spec["initContainers"]] == ["datasets", "init-pytorch"], "before all others"
    main = spec["containers"][0]
    assert {"name": "datasets", "mountPath": "/datasets", "readOnly": True} in main["volumeMounts"]
    env = {e["name"]: e["value"] for e in main["env"]}
    assert (env["DATASET_CORPUS"], env["DATASET_WEB_TEXT"]) == ("/datasets/corpus", "/datasets/web-text")
    (loader,) = w.of(kinds.CONFIG_MAP)
    assert loader["metadata"]["name"] == "job-datasets-subject-"
    assert loader["binaryData"] == {"datasets.pyz": "emlw"}


def test_a_cache_is_shared_and_held() -> None:
    asked = {ASKED: "c=hf://o/n", "argosy.dev/datasets-cache": "shared", "argosy.dev/datasets-cache-size": "1Gi"}
    spec = world(asked).get(kinds.POD, "job-master-0")["spec"]
    fetch, hold = spec["initContainers"]
    assert (hold["name"], hold["restartPolicy"]) == ("datasets-in-use", "Always")
    assert {"name": "DATASETS_CACHE_BYTES", "value": str(1 << 30)} in fetch["env"]
    assert {"name": "datasets-cache", "persistentVolumeClaim": {"claimName": "shared"}} in spec["volumes"]
    cache = next(m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "datasets-cache")
    assert cache == {"name": "datasets-cache", "mountPath": "/argosy/datasets-cache", "readOnly": True}


def test_a_claim_is_mounted_and_nothing_is_fetched() -> None:
    w = world({ASKED: "c=pvc://claim/deep/er"})
    spec = w.get(kinds.POD, "job-master-0")["spec"]
    assert "initContainers" not in spec
    assert w.of(kinds.CONFIG_MAP) == []
    mount = {"name": "dataset-c", "mountPath": "/datasets/c", "subPath": "deep/er", "readOnly": True}
    assert spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "claim", "readOnly": True}


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({ASKED: "Corpus=s3://b/c"}, "'Corpus' is no name for a data set"),
        ({ASKED: "c=ftp://b/c"}, "c=ftp://b/c is none of pvc://, s3://"),
        ({ASKED: "c"}, "c= is none of"),
        ({ASKED: "c=s3://b", "argosy.dev/datasets-cache-size": "much"}, "'much' is no quantity"),
    ],
)
def test_what_cannot_be_read_fails_the_job_with_a_sentence(annotations: Obj, said: str) -> None:
    w = world(annotations)
    assert w.conditions()[-1] == ("Failed", "True")
    assert said in w.status["conditions"][-1]["message"]
    assert w.of(kinds.POD) == []


def test_a_place_that_is_taken_is_told() -> None:
    w = world({ASKED: "c=s3://b"}, volumeMounts=[{"name": "v", "mountPath": "/datasets"}])
    assert "mounts something at /datasets already" in w.status["conditions"][-1]["message"]


def ended(w: World, name: str, code: int, message: str) -> None:
    state = {"terminated": {"exitCode": code, "message": message}}
    status: Obj = {"initContainerStatuses": [{"name": "datasets", "state": state}]}
    w.change(kinds.POD, name, {"status": status | ({"phase": "Failed"} if code else {"phase": "Running"})})


def test_the_versions_that_came_are_written_down_once() -> None:
    w = world({ASKED: "c=s3://b"})
    for name in w.names(kinds.POD):
        ended(w, name, 0, encode({"datasets": {"c": "listing:1"}}).decode())
    w.settle()
    assert w.subject is not None
    assert w.subject["metadata"]["annotations"]["argosy.dev/dataset-versions"] == "c=listing:1"
    (said,) = w.told("DataSetsReady")
    assert said == "PyTorchJob job reads c=listing:1, fetched by each pod for itself, as no cache is named."


@pytest.mark.parametrize(("code", "end"), [(3, "Failed"), (1, "Restarting")])
def test_what_is_gone_ends_the_job_and_what_is_away_is_tried_again(code: int, end: str) -> None:
    w = world({ASKED: "c=s3://b"})
    ended(w, "job-master-0", code, "the data set c (s3://b) cannot be had: the server answered 403 Forbidden")
    w.settle()
    condition = next(c for c in w.status["conditions"] if c["type"] == end)
    assert "the data set c (s3://b) cannot be had: the server answered 403 Forbidden" in condition["message"]
