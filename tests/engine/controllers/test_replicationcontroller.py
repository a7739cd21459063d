"""ReplicationController: a ReplicaSet whose selector is the labels themselves."""

from __future__ import annotations

from controller_world import World

from argosy.engine.controllers import replicationcontroller
from argosy.kinds import POD, REPLICATION_CONTROLLER
from argosy.meta.objects import controller_of, labels_of, name_of

RC = replicationcontroller.OPERATOR


def test_it_makes_adopts_counts_and_deletes() -> None:
    world = World()
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main"}]}}
    spec = {"replicas": 3, "selector": {"app": "web"}, "template": template}
    rc = world.put(REPLICATION_CONTROLLER, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    world.put(POD, {"metadata": {"name": "stray", "namespace": "default", "labels": {"app": "web"}}, "spec": {}})
    world.put(POD, {"metadata": {"name": "other", "namespace": "default", "labels": {"app": "db"}}, "spec": {}})
    world.step(RC, "web")
    mine = [pod for pod in world.all(POD) if labels_of(pod).get("app") == "web"]
    assert len(mine) == 3
    assert all((controller_of(pod) or {}).get("kind") == "ReplicationController" for pod in mine)
    assert "stray" in {name_of(pod) for pod in mine}
    for pod in mine:
        world.run_pod(pod)
    world.step(RC, "web")
    status = world.get(REPLICATION_CONTROLLER, "web")["status"]
    assert (status["replicas"], status["readyReplicas"]) == (3, 3)
    world.change(REPLICATION_CONTROLLER, rc, {"spec": {"replicas": 1}})
    plan = world.step(RC, "web")
    assert [r.code for r in plan.reasons] == ["SuccessfulDelete"] * 2
    assert "terminatingReplicas" not in (plan.status or {})
