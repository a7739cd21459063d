"""The environment that containers get: names and values that training code in the wild relies on."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.gang.job import read
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.pytorchjob.rendezvous import environment


def env(type: str, index: int, **spec: object) -> dict[str, str]:
    replicas: Obj = {"Master": {}, "Worker": {"replicas": 2}}
    subject: Obj = {"metadata": {"name": "ddp"}, "spec": {"pytorchReplicaSpecs": replicas, **spec}}
    job = read(PYTORCH, subject)
    replica = job.replica(type)
    assert replica is not None
    return {entry["name"]: entry["value"] for entry in environment(job, replica, index)}


def test_static_rendezvous():
    master = {
        "PYTHONUNBUFFERED": "1",
        "MASTER_PORT": "23456",
        "PET_MASTER_PORT": "23456",
        "MASTER_ADDR": "ddp-master-0",
        "PET_MASTER_ADDR": "ddp-master-0",
        "WORLD_SIZE": "3",
        "RANK": "0",
        "PET_NODE_RANK": "0",
        "PET_NPROC_PER_NODE": "auto",
        "PET_NNODES": "3",
    }
    assert env("Master", 0) == master
    assert env("Worker", 1) == master | {"RANK": "2", "PET_NODE_RANK": "2"}


def test_world_size_counts_processes_only_when_they_are_a_number():
    assert env("Worker", 0, nprocPerNode="4")["WORLD_SIZE"] == "12"
    assert env("Worker", 0, nprocPerNode="gpu")["WORLD_SIZE"] == "3"
    assert env("Worker", 0, nprocPerNode="4")["PET_NPROC_PER_NODE"] == "4"


def test_elastic_rendezvous_without_a_master():
    policy = {
        "minReplicas": 1,
        "maxReplicas": 4,
        "maxRestarts": 3,
        "rdzvId": "x",
        "rdzvConf": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
    }
    assert env("Worker", 0, pytorchReplicaSpecs={"Worker": {"replicas": 2}}, elasticPolicy=policy) == {
        "PYTHONUNBUFFERED": "1",
        "PET_NPROC_PER_NODE": "auto",
        "PET_RDZV_ENDPOINT": "ddp-worker-0:23456",
        "PET_RDZV_BACKEND": "c10d",
        "PET_NNODES": "1:4",
        "PET_MAX_RESTARTS": "3",
        "PET_RDZV_ID": "x",
        "PET_RDZV_CONF": "a=1,b=2",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }


def test_the_masters_own_port_is_used():
    ports = [{"name": "pytorchjob-port", "containerPort": 29500}]
    master = {"template": {"spec": {"containers": [{"name": "pytorch", "image": "x", "ports": ports}]}}}
    assert env("Worker", 0, pytorchReplicaSpecs={"Master": master, "Worker": {}})["MASTER_PORT"] == "29500"


def test_bounds_that_are_not_given_follow_the_ones_that_are():
    def nodes(**policy: int) -> str:
        return env("Worker", 0, pytorchReplicaSpecs={"Worker": {"replicas": 2}}, elasticPolicy=policy)["PET_NNODES"]

    assert [nodes(), nodes(minReplicas=1), nodes(maxReplicas=5)] == ["2:2", "1:1", "5:5"]


def test_the_old_place_of_processes_per_node_and_a_worker_port_are_heeded():
    ports = [{"name": "pytorchjob-port", "containerPort": 1111}]
    worker = {"template": {"spec": {"containers": [{"name": "pytorch", "image": "x", "ports": ports}]}}}
    found = env("Worker", 0, pytorchReplicaSpecs={"Worker": worker}, elasticPolicy={"nProcPerNode": 2})
    assert found["PET_NPROC_PER_NODE"] == "2"
    assert found["PET_RDZV_ENDPOINT"] == "ddp-worker-0:1111"
