"""Deployment: rollouts, rollbacks, pauses, history, conditions."""

from __future__ import annotations

from controller_world import World

from argosy.engine.controllers import deployment, replicaset
from argosy.intent import Plan
from argosy.kinds import DEPLOYMENT, POD, REPLICA_SET
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, labels_of, name_of

D, RS = deployment.OPERATOR, replicaset.OPERATOR
REVISION = "deployment.kubernetes.io/revision"


def make(replicas: int = 3, image: str = "a", **spec: object) -> Obj:
    return {
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "m", "image": image}]},
            },
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def round_(world: World, *, ready: bool = True) -> Plan:
    """Everybody looks once; pods start, and those that were to end have ended."""
    plan = world.step(D, "web")
    for replica_set in world.all(REPLICA_SET):
        world.step(RS, name_of(replica_set))
        world.step(RS, name_of(replica_set))
    for pod in world.all(POD):
        if ready and not dig(pod, "status", "phase"):
            world.run_pod(pod)
    world.finish_deletions()
    for replica_set in world.all(REPLICA_SET):
        world.step(RS, name_of(replica_set))
    return plan


def settle(world: World, *, ready: bool = True) -> None:
    for _ in range(40):
        before = str(world.objects)
        round_(world, ready=ready)
        if str(world.objects) == before:
            return
    raise AssertionError("the rollout does not end")


def sizes(world: World) -> dict[str, int]:
    """Image -> replicas."""
    return {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
        for rs in world.all(REPLICA_SET)
    }


def set_image(world: World, image: str) -> None:
    template = {"spec": {"containers": [{"name": "m", "image": image}]}}
    world.change(DEPLOYMENT, world.get(DEPLOYMENT, "web"), {"spec": {"template": template}})


def reason(world: World, type: str) -> str:
    return str((find(world.get(DEPLOYMENT, "web"), type) or {}).get("reason"))


def test_first_rollout() -> None:
    world = World()
    world.put(DEPLOYMENT, make())
    plan = world.step(D, "web")
    (rs,) = world.all(REPLICA_SET)
    digest = labels_of(rs)["pod-template-hash"]
    assert name_of(rs) == f"web-{digest}"
    assert rs["spec"]["replicas"] == 3
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert annotations_of(rs)[REVISION] == "1"
    assert annotations_of(world.get(DEPLOYMENT, "web"))[REVISION] == "1"
    assert [r.message for r in plan.reasons] == [f"Scaled up replica set web-{digest} from 0 to 3"]
    assert reason(world, "Progressing") == "NewReplicaSetCreated"
    assert reason(world, "Available") == "MinimumReplicasUnavailable"
    settle(world)
    assert reason(world, "Progressing") == "NewReplicaSetAvailable"
    assert reason(world, "Available") == "MinimumReplicasAvailable"
    status = world.get(DEPLOYMENT, "web")["status"]
    assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (3, 3, 3)
    assert status["observedGeneration"] == 1
    assert "unavailableReplicas" not in status
    assert world.step(D, "web").actions == ()


def test_rolling_update_keeps_its_laws() -> None:
    world = World()
    world.put(DEPLOYMENT, make(4))
    settle(world)
    set_image(world, "b")
    for _ in range(30):
        plan = round_(world)
        active = [p for p in world.all(POD) if not p["metadata"].get("deletionTimestamp")]
        assert len(active) <= 5
        assert sum(dig(p, "status", "phase") == "Running" for p in active) >= 3
        if not plan.actions and reason(world, "Progressing") == "NewReplicaSetAvailable":
            break
    assert sizes(world) == {"a": 0, "b": 4}
    assert annotations_of(world.get(DEPLOYMENT, "web"))[REVISION] == "2"


def test_recreate_waits_for_the_old_pods() -> None:
    world = World()
    world.put(DEPLOYMENT, make(2, strategy={"type": "Recreate"}))
    settle(world)
    set_image(world, "b")
    world.step(D, "web")
    assert sizes(world) == {"a": 0}
    (old,) = world.all(REPLICA_SET)
    world.step(RS, name_of(old))
    world.step(RS, name_of(old))
    world.step(D, "web")
    assert sizes(world) == {"a": 0}, "pods of the old template still terminate"
    settle(world)
    assert sizes(world) == {"a": 0, "b": 2}


def test_a_rollback_takes_the_old_set_back() -> None:
    world = World()
    world.put(DEPLOYMENT, make(2))
    settle(world)
    set_image(world, "b")
    settle(world)
    set_image(world, "a")
    settle(world)
    assert sizes(world) == {"a": 2, "b": 0}
    first = next(rs for rs in world.all(REPLICA_SET) if rs["spec"]["replicas"])
    assert annotations_of(first)[REVISION] == "3"
    assert annotations_of(first)["deployment.kubernetes.io/revision-history"] == "1"
    assert annotations_of(world.get(DEPLOYMENT, "web"))[REVISION] == "3"


def test_pause_holds_the_rollout_but_not_the_scale() -> None:
    world = World()
    world.put(DEPLOYMENT, make(2))
    settle(world)
    world.change(DEPLOYMENT, world.get(DEPLOYMENT, "web"), {"spec": {"paused": True}})
    set_image(world, "b")
    settle(world)
    assert sizes(world) == {"a": 2}
    assert reason(world, "Progressing") == "DeploymentPaused"
    world.change(DEPLOYMENT, world.get(DEPLOYMENT, "web"), {"spec": {"replicas": 5}})
    settle(world)
    assert sizes(world) == {"a": 5}
    world.change(DEPLOYMENT, world.get(DEPLOYMENT, "web"), {"spec": {"paused": None}})
    settle(world)
    assert sizes(world) == {"a": 0, "b": 5}
    assert reason(world, "Progressing") == "NewReplicaSetAvailable"


def test_a_rollout_that_is_stuck_says_so() -> None:
    world = World()
    world.put(DEPLOYMENT, make(1))
    plan = world.step(D, "web")
    assert plan.again_in_seconds == 600
    settle(world, ready=False)
    world.later(601)
    world.step(D, "web")
    assert reason(world, "Progressing") == "ProgressDeadlineExceeded"
    assert world.step(D, "web").actions == ()


def test_a_pod_that_fails_later_is_no_rollout() -> None:
    world = World()
    world.put(DEPLOYMENT, make(2))
    settle(world)
    world.run_pod(world.all(POD)[0], ready=False)
    settle(world)
    assert reason(world, "Available") == "MinimumReplicasAvailable" or reason(world, "Available")
    assert reason(world, "Progressing") == "NewReplicaSetAvailable"
    world.later(10_000)
    world.step(D, "web")
    assert reason(world, "Progressing") == "NewReplicaSetAvailable"


def test_history_is_kept_to_its_limit() -> None:
    world = World()
    world.put(DEPLOYMENT, make(1, revisionHistoryLimit=2))
    for image in "abcde":
        set_image(world, image)
        settle(world)
        world.later(1)
    assert set(sizes(world)) == {"c", "d", "e"}


def test_scaling_to_zero_and_back() -> None:
    world = World()
    world.put(DEPLOYMENT, make(2))
    settle(world)
    for replicas in (0, 3):
        world.change(DEPLOYMENT, world.get(DEPLOYMENT, "web"), {"spec": {"replicas": replicas}})
        settle(world)
        assert sizes(world) == {"a": replicas}
        assert len(world.all(POD)) == replicas
