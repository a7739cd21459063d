"""DaemonSet: a pod on every node that lets it in."""

from __future__ import annotations

from controller_world import World

from argosy.engine.controllers import daemonset
from argosy.engine.controllers.daemonset.placement import node_of
from argosy.kinds import DAEMON_SET, NODE, POD
from argosy.meta.json import Obj, dig

D = daemonset.OPERATOR


def make(image: str = "a", template: Obj | None = None, **spec: object) -> Obj:
    containers = [{"name": "m", "image": image}]
    return {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": containers, **(template or {})}},
            **spec,
        },
    }


def world(*nodes: str, **facts: object) -> World:
    made = World()
    for name in nodes:
        made.put(NODE, {"metadata": {"name": name, "labels": {"disk": name}}, "spec": {}})
    made.put(DAEMON_SET, make(**facts))  # type: ignore[arg-type]
    return made


def settle(made: World) -> None:
    def between() -> None:
        for pod in made.all(POD):
            if not dig(pod, "status", "phase"):
                made.run_pod(pod, node=node_of(pod))
        made.finish_deletions()

    made.settle((D, "d"), between=between)


def where(made: World) -> list[str]:
    return sorted(node_of(p) for p in made.all(POD))


def test_one_on_each_and_none_on_what_goes() -> None:
    made = world("a", "b")
    settle(made)
    assert where(made) == ["a", "b"]
    status = made.get(DAEMON_SET, "d")["status"]
    assert (status["desiredNumberScheduled"], status["numberAvailable"], status["updatedNumberScheduled"]) == (2, 2, 2)
    made.put(NODE, {"metadata": {"name": "c"}, "spec": {}})
    settle(made)
    assert where(made) == ["a", "b", "c"]
    del made.objects[NODE][("", "a")]  # type: ignore[arg-type]
    settle(made)
    assert where(made) == ["b", "c"]


def test_selectors_and_taints() -> None:
    made = world("a", "b", "c", template={"nodeSelector": {"disk": "a"}})
    settle(made)
    assert where(made) == ["a"]
    tainted = world("a", "b")
    taint = {"key": "x", "effect": "NoSchedule"}
    tainted.change(NODE, tainted.get(NODE, "a"), {"spec": {"taints": [taint]}})
    settle(tainted)
    assert where(tainted) == ["b"]
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    tainted.change(NODE, tainted.get(NODE, "a"), {"spec": {"taints": [cordoned], "unschedulable": True}})
    settle(tainted)
    assert where(tainted) == ["a", "b"], "daemons run on cordoned nodes"
    tainted.change(NODE, tainted.get(NODE, "b"), {"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}})
    settle(tainted)
    assert where(tainted) == ["a"]


def test_rolling_update_node_by_node() -> None:
    made = world("a", "b", "c")
    settle(made)
    containers = [{"name": "m", "image": "b"}]
    made.change(DAEMON_SET, made.get(DAEMON_SET, "d"), {"spec": {"template": {"spec": {"containers": containers}}}})
    made.step(D, "d")
    assert sum(bool(p["metadata"].get("deletionTimestamp")) for p in made.all(POD)) == 1
    settle(made)
    assert {p["spec"]["containers"][0]["image"] for p in made.all(POD)} == {"b"}
    assert where(made) == ["a", "b", "c"]


def test_surge_puts_the_new_pod_first() -> None:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    made = world("a", "b", updateStrategy=rolling)
    settle(made)
    containers = [{"name": "m", "image": "b"}]
    made.change(DAEMON_SET, made.get(DAEMON_SET, "d"), {"spec": {"template": {"spec": {"containers": containers}}}})
    made.step(D, "d")
    assert len(made.all(POD)) == 3
    assert not any(p["metadata"].get("deletionTimestamp") for p in made.all(POD))
    settle(made)
    assert {p["spec"]["containers"][0]["image"] for p in made.all(POD)} == {"b"}
    assert where(made) == ["a", "b"]


def test_a_failed_pod_is_replaced() -> None:
    made = world("a")
    settle(made)
    made.end_pod(made.all(POD)[0], 1)
    settle(made)
    assert [dig(p, "status", "phase") for p in made.all(POD)] == ["Running"]
