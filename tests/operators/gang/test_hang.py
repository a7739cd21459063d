"""A gang that hangs begins anew, and says which rank held it up."""

from __future__ import annotations

from operator_world import World

from argosy import kinds
from argosy.meta.json import Obj
from argosy.meta.objects import uid_of
from argosy.operators.pytorchjob.operator import operator
from argosy.operators.settings import OperatorSettings

WAITING = 'process 1 S (sleeping): python t.py\nThread 1 (idle): "MainThread"\n    all_reduce (c10d.py:1)\n'
STOPPED = WAITING.replace("S (sleeping)", "T (stopped)")


def job(**policy: object) -> Obj:
    template = {"spec": {"containers": [{"name": "pytorch", "image": "argosy/torch"}]}}
    replicas = {
        "Master": {"restartPolicy": "OnFailure", "template": template},
        "Worker": {"replicas": 2, "restartPolicy": "OnFailure", "template": template},
    }
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "ddp", "annotations": {"argosy.dev/hang-after": "20x"}},
        "spec": {"pytorchReplicaSpecs": replicas, "runPolicy": policy},
    }


def running(subject: Obj) -> World:
    world = World(operator(OperatorSettings()), subject)
    world.settle()
    world.pods("Running")
    world.settle()
    return world


def stall(world: World, stacks: Obj) -> Obj:
    pods = world.of(kinds.POD)
    names = [pod["metadata"]["name"] for pod in pods]
    found = {"seconds": 42.0, "usual": 0.25, "pods": {uid_of(pod): name for pod, name in zip(pods, names, strict=True)}}
    steps = {name: "75" if name == "ddp-master-0" else "" for name in names}
    return {"stall": {**found, "steps": steps, "stacks": dict.fromkeys(names, WAITING) | stacks}}


def test_a_hang_restarts_the_gang_and_names_the_rank() -> None:
    world = running(job())
    world.probed = stall(world, {"ddp-worker-1": STOPPED})
    world.settle()
    restarting = next(c for c in world.status["conditions"] if c["type"] == "Restarting")
    assert restarting["message"] == (
        "PyTorchJob ddp is restarting because pod ddp-worker-1 hung: no progress for 42 s, where 0.25 s are usual; "
        "the last step was 75, and its process is stopped (SIGSTOP) (restart 1)."
    )
    kept = world.get(kinds.CONFIG_MAP, "ddp-stacks-0")["data"]
    assert kept == {"ddp-master-0": WAITING, "ddp-worker-0": WAITING, "ddp-worker-1": STOPPED}
    assert world.told("PyTorchJobHung") == ["The stacks of 3 ranks are in ConfigMap ddp-stacks-0."]
    assert {pod["metadata"]["labels"]["argosy.dev/restart-epoch"] for pod in world.of(kinds.POD)} == {"1"}
    assert len(world.of(kinds.CONFIG_MAP)) == 1, "what was found of the former gang counts no more"


def test_where_no_rank_stands_apart_that_is_said() -> None:
    world = running(job())
    world.probed = stall(world, {})
    world.settle()
    restarting = next(c for c in world.status["conditions"] if c["type"] == "Restarting")
    assert "; no rank stands apart" in restarting["message"]


def test_a_hang_counts_towards_the_limit() -> None:
    world = running(job(backoffLimit=0))
    world.probed = stall(world, {"ddp-worker-0": STOPPED})
    world.settle()
    failed = next(c for c in world.status["conditions"] if c["type"] == "Failed")
    assert "pod ddp-worker-0 hung: no progress for 42 s" in failed["message"]
    assert world.get(kinds.CONFIG_MAP, "ddp-stacks-0")["data"]["ddp-worker-0"] == STOPPED


def test_an_annotation_that_cannot_be_read_fails_the_job_with_a_sentence() -> None:
    subject = job()
    subject["metadata"]["annotations"]["argosy.dev/hang-after"] = "soon"
    world = World(operator(OperatorSettings()), subject)
    world.settle()
    failed = next(c for c in world.status["conditions"] if c["type"] == "Failed")
    assert "write a multiple such as 20x or a time such as 10m" in failed["message"]
    assert world.of(kinds.POD) == []
