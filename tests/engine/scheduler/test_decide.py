"""Decisions: where pods go, and why not."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler_world import info, node, snapshot

from argosy.engine.scheduler.budgets import read_budget
from argosy.engine.scheduler.decide import Decision, Rankings, decide
from argosy.engine.scheduler.podinfo import PodInfo
from argosy.engine.scheduler.snapshot import Snapshot
from argosy.meta.json import Obj
from argosy.meta.objects import Key


def places(decision: Decision) -> dict[str, str]:
    return {b.pod.key.name: b.node for b in decision.bindings}


def why(decision: Decision, pod: PodInfo) -> str:
    return decision.unfit[pod.uid].message


def test_the_emptier_node_wins_and_pods_spread() -> None:
    state = snapshot(node("a"), node("b"))
    state.assume(info("there", "2", "2Gi"), "a")
    assert places(decide(state, [info("p", "1", "1Gi")])) == {"p": "b"}
    pods = [info(f"p{i}", owner="rs") for i in range(4)]
    spread = places(decide(snapshot(node("a"), node("b")), pods))
    assert sorted(spread.values()) == ["a", "a", "b", "b"]


def test_the_words_of_kube_scheduler() -> None:
    state = snapshot(
        node("a", cpu="1"),
        node("b", pods="0"),
        node("c", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
        node("d", unschedulable=True),
        node("e", labels={"zone": "x"}),
    )
    pod = info("p", "2", nodeSelector={"disk": "ssd"})
    said = why(decide(state, [pod]), pod)
    assert said.startswith(
        "0/5 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were unschedulable, "
        "3 node(s) didn't match Pod's node affinity/selector."
    )
    assert said.endswith("preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.")
    free = info("q", "3", tolerations=[{"operator": "Exists"}])
    assert places(decide(state, [free])) == {"q": "c"}


def test_a_pod_that_can_never_fit_says_so() -> None:
    state = snapshot(node("a", cpu="2", memory="4Gi"), node("b", cpu="8", memory="4Gi"))
    pod = info("big", "64", "2Gi", more={"nvidia.com/gpu": "1"})
    decision = decide(state, [pod])
    said = why(decision, pod)
    assert decision.unfit[pod.uid].never
    assert "2 Insufficient cpu, 2 Insufficient nvidia.com/gpu" in said
    assert "it asks for 64 cpu and the largest node has 8; it asks for 1 nvidia.com/gpu and no node has any" in said
    assert said.endswith("lower its requests or add a larger node.")
    waiting = info("later", "8")
    state.assume(info("there", "8"), "b")
    assert not decide(state, [waiting]).unfit[waiting.uid].never


def test_no_nodes() -> None:
    pod = info("p")
    assert why(decide(Snapshot(), [pod]), pod) == "no nodes available to schedule pods"


def test_host_ports_clash() -> None:
    state = snapshot(node("a"))
    ports = [{"containerPort": 80, "hostPort": 80}]
    first, second = info("p1", ports=ports), info("p2", ports=ports)
    decision = decide(state, [first, second])
    assert places(decision) == {"p1": "a"}
    assert "1 node(s) didn't have free ports for the requested pod ports" in why(decision, second)


def anti(app: str, key: str = "kubernetes.io/hostname") -> Obj:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def near(app: str, key: str = "zone") -> Obj:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_anti_affinity_works_both_ways() -> None:
    state = snapshot(node("a"), node("b"))
    shy = [info(f"shy{i}", labels={"app": "shy"}, affinity=anti("shy")) for i in range(3)]
    decision = decide(state, shy)
    assert sorted(places(decision).values()) == ["a", "b"]
    assert "2 node(s) didn't match pod anti-affinity rules" in why(decision, shy[2])
    plain = info("plain", labels={"app": "shy"})
    for binding in decision.bindings:
        state.assume(binding.pod, binding.node)
    assert "2 node(s) didn't satisfy existing pods anti-affinity rules" in why(decide(state, [plain]), plain)
    state.forget(shy[0].uid)
    assert len(places(decide(state, [plain]))) == 1


def test_affinity_follows_and_the_first_may_begin() -> None:
    state = snapshot(
        node("a1", labels={"zone": "a"}), node("a2", labels={"zone": "a"}), node("b1", labels={"zone": "b"})
    )
    group = [info(f"g{i}", "3", labels={"app": "g"}, affinity=near("g")) for i in range(3)]
    decision = decide(state, group)
    zones = {place[0] for place in places(decision).values()}
    assert len(zones) == 1
    assert len(decision.bindings) in (1, 2)
    lonely = info("x", labels={"app": "x"}, affinity=near("nobody"))
    assert "3 node(s) didn't match pod affinity rules" in why(decide(state, [lonely]), lonely)


def test_topology_spread() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "s"}},
    }
    state = snapshot(node("a", labels={"zone": "a"}), node("b", labels={"zone": "b"}, pods="1"), node("c"))
    pods = [info(f"s{i}", labels={"app": "s"}, topologySpreadConstraints=[constraint]) for i in range(4)]
    decision = decide(state, pods)
    assert sorted(places(decision).values()) == ["a", "a", "b"]
    said = why(decision, pods[3])
    assert "1 Too many pods" in said
    assert "1 node(s) didn't match pod topology spread constraints," in said
    assert "(missing required label)" in said


def test_node_affinity_and_preferences() -> None:
    state = snapshot(node("a", labels={"disk": "ssd"}), node("b", labels={"disk": "hdd"}))
    wants = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["hdd"]}]},
                }
            ]
        }
    }
    assert places(decide(state, [info("p", affinity=wants)])) == {"p": "b"}


def test_volumes() -> None:
    state = snapshot(node("a"), node("b"))
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = info("p", volumes=volumes)
    assert 'persistentvolumeclaim "data" not found' in why(decide(state, [pod]), pod)
    claim: Obj = {"metadata": {"name": "data", "namespace": "default"}, "spec": {}, "status": {"phase": "Pending"}}
    state.set_storage(claims=[(("default", "data"), claim)])  # type: ignore[list-item]
    assert "pod has unbound immediate PersistentVolumeClaims" in why(decide(state, [pod]), pod)
    bound = {**claim, "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}
    only_b = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["b"]}]}]
    volume = {"metadata": {"name": "v"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": only_b}}}}
    state.set_storage(claims=[(("default", "data"), bound)], volumes=[("v", volume)])  # type: ignore[list-item]
    assert places(decide(state, [pod])) == {"p": "b"}


def with_claim(name: str, *modes: str) -> tuple[Key, Obj]:
    claim = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"accessModes": list(modes), "volumeName": f"pv-{name}"},
        "status": {"phase": "Bound"},
    }
    return Key("default", name), claim


def mounts(name: str) -> Obj:
    return {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]}


def test_a_volume_that_one_pod_may_use_at_a_time() -> None:
    state = snapshot(node("a"), node("b"))
    state.set_storage(claims=[with_claim("data", "ReadWriteOncePod")])
    first, second = info("first", **mounts("data")), info("second", **mounts("data"))
    made = decide(state, [first, second])
    assert len(made.bindings) == 1
    expected = (
        "0/2 nodes are available: 2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod "
        "access mode"
    )
    assert why(made, second).startswith(expected)
    state.assume(first, "a")
    assert not decide(state, [second]).bindings
    state.forget(first.uid)
    assert len(decide(state, [second]).bindings) == 1
    assert not state.claim_users


def test_a_volume_that_one_node_may_use_at_a_time() -> None:
    state = snapshot(node("a"), node("b", cpu="64"))
    state.set_storage(claims=[with_claim("once", "ReadWriteOnce"), with_claim("many", "ReadWriteMany")])
    state.assume(info("holder", **mounts("once")), "a")
    state.assume(info("reader", **mounts("many")), "a")
    made = decide(state, [info("joins", **mounts("once")), info("roams", "30", **mounts("many"))])
    assert places(made) == {"joins": "a", "roams": "b"}
    pinned = info("pinned", nodeSelector={"kubernetes.io/hostname": "b"}, **mounts("once"))
    assert "where the pod's ReadWriteOnce volume is in use" in why(decide(state, [pinned]), pinned)


def gang(count: int, name: str = "g", cpu: str = "1", **facts: object) -> list[PodInfo]:
    labels = {"scheduling.x-k8s.io/pod-group": name, "argosy.dev/gang-size": str(facts.pop("size", count))}
    return [info(f"{name}{i}", cpu, labels=labels, **facts) for i in range(count)]


def test_a_gang_is_placed_wholly_or_not_at_all() -> None:
    state = snapshot(node("a"), node("b"))
    assert len(decide(state, gang(8)).bindings) == 8
    nine = gang(9)
    decision = decide(state, [*nine, info("single", "1")])
    assert places(decision) == {"single": "a"}
    assert why(decision, nine[0]).startswith("gang g needs 9 pods placed together, 8 fit: 0/2 nodes are available")
    few = gang(3, size=4)
    assert "3 of 4 pods exist" in why(decide(state, few), few[0])


def test_two_gangs_that_each_need_everything() -> None:
    state = snapshot(node("a"), node("b"))
    decision = decide(state, [*gang(8, "x"), *gang(8, "y")])
    assert len({b.pod.gang.name.group for b in decision.bindings if b.pod.gang}) == 1
    assert len(decision.bindings) == 8


def test_a_gang_grows_beyond_its_minimum() -> None:
    state = snapshot(node("a"))
    pods = gang(6, size=3)
    decision = decide(state, pods)
    assert len(decision.bindings) == 4
    for binding in decision.bindings:
        state.assume(binding.pod, binding.node)
    late = gang(1, size=3)
    state.forget(decision.bindings[0].pod.uid)
    assert len(decide(state, late).bindings) == 1


def test_a_native_pod_group_is_awaited() -> None:
    state = snapshot(node("a"))
    pod = info("p", schedulingGroup={"podGroupName": "g"})
    assert places(decide(state, [pod])) == {"p": "a"}, "no such kind is served: an ordinary pod"
    state.set_gangs({}, frozenset({"native"}))
    assert "waiting for PodGroup g" in why(decide(state, [pod]), pod)
    assert pod.gang is not None
    state.set_gangs({pod.gang.name: 1}, frozenset({"native"}))
    assert places(decide(state, [pod])) == {"p": "a"}


def test_priority_goes_first_and_preempts_the_least() -> None:
    state = snapshot(node("a", cpu="2"), node("b", cpu="2"))
    cheap, dear = info("cheap", "2", priority=1), info("dear", "2", priority=5)
    state.assume(cheap, "a")
    state.assume(dear, "b")
    vip = info("vip", "1", priority=10)
    decision = decide(state, [vip, info("low", "1", priority=0)])
    (preemption,) = decision.preemptions
    assert (preemption.node, [v.key.name for v in preemption.victims]) == ("a", ["cheap"])
    assert decision.bindings == []
    polite = info("polite", "1", priority=10, preemptionPolicy="Never")
    assert decide(state, [polite]).preemptions == []
    assert cheap.uid in state.places, "a decision leaves the snapshot as it was"


def test_a_gang_takes_room_for_all_of_it_or_from_nobody() -> None:
    def filled() -> Snapshot:
        state = snapshot(node("a"), node("b"))
        for name in ("a", "b"):
            state.assume(info(f"low-{name}", "3", priority=1), name)
        state.assume(info("equal", "1", priority=9), "a")
        return state

    state = filled()
    decision = decide(state, [*gang(5, priority=9), info("later", "3", priority=5)])
    victims = {v.key.name for p in decision.preemptions for v in p.victims}
    assert victims == {"low-a", "low-b"}
    assert decision.bindings == [], "what is set aside for the gang goes to nobody else"
    assert "2 pod(s) of lower priority leave to make room for the whole gang" in next(
        said.message for said in decision.unfit.values() if "gang g" in said.message
    )
    for victim in (v for p in decision.preemptions for v in p.victims):
        state.forget(victim.uid)
    assert len(decide(state, gang(5, priority=9)).bindings) == 5

    too_many = decide(filled(), gang(8, priority=9))
    assert too_many.preemptions == []
    assert too_many.bindings == []
    assert decide(filled(), gang(5, priority=9, preemptionPolicy="Never")).preemptions == []


def test_preemption_spares_whom_a_budget_protects() -> None:
    state = snapshot(node("a", cpu="2"), node("b", cpu="2"))
    state.assume(info("guarded", "1", priority=1, labels={"app": "db"}), "a")
    state.assume(info("free", "1", priority=2), "a")
    state.assume(info("other", "2", priority=1, labels={"app": "db"}), "b")
    vip = info("vip", "1", priority=9)
    (preemption,) = decide(state, [vip]).preemptions
    assert [v.key.name for v in preemption.victims] == ["guarded"]
    budget = {"metadata": {"name": "db", "namespace": "default"}, "spec": {"selector": {"matchLabels": {"app": "db"}}}}
    state.set_budgets([read_budget(budget)])
    (preemption,) = decide(state, [vip]).preemptions
    assert [v.key.name for v in preemption.victims] == ["free"], "of higher priority, but nobody protects it"
    (preemption,) = decide(state, [info("large", "2", priority=9)]).preemptions
    assert preemption.victims, "a budget does not keep out what fits nowhere else"


def test_preemption_spares_whom_it_can() -> None:
    state = snapshot(node("a", cpu="4"))
    for name, cpu, priority in (("x", "1", 1), ("y", "1", 2), ("z", "2", 3)):
        state.assume(info(name, cpu, priority=priority), "a")
    (preemption,) = decide(state, [info("vip", "2", priority=9)]).preemptions
    assert sorted(v.key.name for v in preemption.victims) == ["x", "y"]


def test_preemption_is_not_helpful() -> None:
    state = snapshot(node("a", cpu="4"), node("b", cpu="1"))
    state.assume(info("low", "1", priority=0), "b")
    state.assume(info("peer", "4", priority=9), "a")
    pod = info("vip", "2", priority=9)
    assert "preemption: 0/2 nodes are available: 2 No preemption victims found" in why(decide(state, [pod]), pod)


sizes = st.integers(1, 4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(sizes, sizes), max_size=4),
    st.lists(st.tuples(sizes, st.integers(0, 3), st.booleans()), max_size=12),
)
def test_no_node_is_ever_over_committed(nodes: list[tuple[int, int]], pods: list[tuple[int, int, bool]]) -> None:
    state = snapshot(*(node(f"n{i}", cpu=str(cpu), pods=str(limit)) for i, (cpu, limit) in enumerate(nodes)))
    rankings = Rankings()
    infos = [
        info(f"p{i}", str(cpu), priority=rank, owner="o" if owned else None)
        for i, (cpu, rank, owned) in enumerate(pods)
    ]
    before = (dict(state.places), {n: dict(i.used) for n, i in state.nodes.items()})
    decision = decide(state, infos, rankings)
    assert decide(state, infos, rankings) == decision, "the same state, the same decision"
    after = (dict(state.places), {n: {r: a for r, a in i.used.items() if a} for n, i in state.nodes.items()})
    assert after == before
    assert {b.pod.uid for b in decision.bindings}.isdisjoint(decision.unfit)
    assert len(decision.bindings) + len(decision.unfit) == len(infos)
    for binding in decision.bindings:
        state.assume(binding.pod, binding.node)
    for each in state.nodes.values():
        assert len(each.pods) <= each.pods_max
        assert each.used.get("cpu", 0) <= each.allocatable["cpu"]
    for pod in infos:
        if pod.uid in decision.unfit and not decision.preemptions:
            room = [n for n in state.nodes.values() if not n.lacks(pod.requests) and not n.is_full()]
            assert not room, "a pod that was refused fits nowhere"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_small_worlds_do_not_depend_on_the_order_of_arrival(order: tuple[int, ...]) -> None:
    pods = [info("a", "2", priority=1), info("b", "1"), info("c", "1")]
    decision = decide(snapshot(node("n", cpu="3")), [pods[i] for i in order])
    assert places(decision) == {"a": "n", "b": "n"}
