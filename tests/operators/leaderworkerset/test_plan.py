"""The LeaderWorkerSet operator in a small world whose StatefulSets are carried out by the test."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy.clock import rfc3339
from argosy.kinds import CONTROLLER_REVISION, ENDPOINT_SLICE, POD, SERVICE, STATEFUL_SET
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import Key, annotations_of, controller_of, labels_of, name_of, owner_reference
from argosy.operators.leaderworkerset.operator import operator
from argosy.operators.leaderworkerset.rollout import Present, State, Step, next_step
from argosy.operators.leaderworkerset.spec import read

KEY = "leaderworkerset.sigs.k8s.io/"
READY = {"type": "Ready", "status": "True"}


def pod_template(image: str = "a") -> Obj:
    return {
        "spec": {"containers": [{"name": "main", "image": image, "env": [{"name": "X", "value": "$(LWS_GROUP_SIZE)"}]}]}
    }


def lws(*, annotations: Obj | None = None, template: Obj | None = None, **spec: object) -> Obj:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "lws", "namespace": "default", "labels": {"app": "x"}, "annotations": annotations or {}},
        "spec": {
            "replicas": 2,
            "leaderWorkerTemplate": {"size": 3, "workerTemplate": pod_template(), **(template or {})},
            "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxUnavailable": 1}},
            **spec,
        },
    }


class Cluster(World):
    """StatefulSets make their pods, pods take what they own with them, everybody is ready."""

    def run(self, *, ready: bool = True) -> None:
        for _ in range(40):
            if not (self.step() | self._work(ready=ready)):
                return
        raise AssertionError("it never comes to rest")

    def pod(self, name: str) -> Obj:
        return self.get(POD, name)

    def _work(self, *, ready: bool) -> bool:
        before = thaw(list(self.objects.values()))
        self.bury()
        alive = {obj["metadata"]["uid"] for obj in self.objects.values()} | {"subject-uid"}
        for key, obj in list(self.objects.items()):
            owner = controller_of(obj)
            if owner is not None and owner["uid"] not in alive:
                del self.objects[key]
        for stateful_set in self.of(STATEFUL_SET):
            self._pods_of(stateful_set, ready=ready)
        return before != list(self.objects.values())

    def _pods_of(self, stateful_set: Obj, *, ready: bool) -> None:
        spec, template = stateful_set["spec"], stateful_set["spec"]["template"]
        start = spec.get("ordinals", {}).get("start", 0)
        partition = spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
        wanted = {f"{name_of(stateful_set)}-{i}" for i in range(start, start + spec["replicas"])}
        mine = {
            name_of(p): p
            for p in self.of(POD)
            if (controller_of(p) or {}).get("uid") == stateful_set["metadata"]["uid"]
        }
        for name, pod in mine.items():
            new = (
                labels_of(pod)[f"{KEY}template-revision-hash"]
                == labels_of({"metadata": template["metadata"]})[f"{KEY}template-revision-hash"]
            )
            if name not in wanted or (not new and int(name.rpartition("-")[2]) >= partition):
                self.remove(POD, name)
        for name in sorted(wanted - mine.keys()):
            metadata = thaw(template["metadata"]) | {"name": name, "namespace": "default"}
            self.serial += 1
            metadata |= {"uid": f"uid-{self.serial}", "ownerReferences": [owner_reference(stateful_set, STATEFUL_SET)]}
            metadata["labels"]["apps.kubernetes.io/pod-index"] = name.rpartition("-")[2]
            pod = {"metadata": metadata, "spec": thaw(template["spec"]), "status": {"phase": "Pending"}}
            if ready:
                pod["status"] = {"phase": "Running", "podIP": "10.0.0.9", "conditions": [READY]}
            self.objects[POD, Key("default", name)] = pod
        up = sum(name in wanted for name in mine) if ready else 0
        status = {"replicas": len(mine), "availableReplicas": up, "currentRevision": "r", "updateRevision": "r"}
        self.change(STATEFUL_SET, name_of(stateful_set), {"status": status})


def started(**given: object) -> Cluster:
    ready = given.pop("ready", True)
    c = Cluster(operator(), lws(**given))  # type: ignore[arg-type]
    c.run(ready=bool(ready))
    return c


def env(pod: Obj) -> dict[str, object]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in pod["spec"]["containers"][0]["env"]}


def conditions(c: Cluster) -> dict[str, str]:
    return {each["type"]: each["status"] for each in c.status["conditions"]}


def test_a_set_is_a_statefulset_of_leaders_and_one_of_workers_for_each():
    c = started()
    assert c.names(STATEFUL_SET) == ["lws", "lws-0", "lws-1"]
    assert c.names(POD) == ["lws-0", "lws-0-1", "lws-0-2", "lws-1", "lws-1-1", "lws-1-2"]
    leaders, workers = c.get(STATEFUL_SET, "lws"), c.get(STATEFUL_SET, "lws-1")
    assert leaders["spec"]["podManagementPolicy"] == workers["spec"]["podManagementPolicy"] == "Parallel"
    assert leaders["spec"]["selector"]["matchLabels"] == {f"{KEY}name": "lws", f"{KEY}worker-index": "0"}
    assert labels_of(leaders).items() >= {("app", "x"), (f"{KEY}name", "lws")}
    assert annotations_of(leaders)[f"{KEY}replicas"] == "2"
    assert leaders["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "partition": 0}
    assert (workers["spec"]["replicas"], workers["spec"]["ordinals"], workers["spec"]["serviceName"]) == (
        2,
        {"start": 1},
        "lws",
    )
    assert controller_of(workers)["name"] == "lws-1"
    assert controller_of(workers)["kind"] == "Pod"
    service = c.get(SERVICE, "lws")["spec"]
    assert service == {"clusterIP": "None", "selector": {f"{KEY}name": "lws"}, "publishNotReadyAddresses": True}


def test_every_pod_knows_its_leader_its_group_and_its_place():
    c = started()
    leader, worker = c.pod("lws-1"), c.pod("lws-1-2")
    assert env(leader) == {
        "LWS_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "LWS_LEADER_ADDRESS": "$(LWS_POD_NAME).lws.default",
        "LWS_GROUP_SIZE": "3",
        "LWS_WORKER_INDEX": "0",
        "X": "$(LWS_GROUP_SIZE)",
    }
    assert env(worker) == {
        "LWS_LEADER_ADDRESS": "lws-1.lws.default",
        "LWS_GROUP_SIZE": "3",
        "LWS_WORKER_INDEX": {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}},
        "X": "$(LWS_GROUP_SIZE)",
    }
    for pod, index in ((leader, "0"), (worker, "2")):
        labels = labels_of(pod)
        assert (labels[f"{KEY}group-index"], labels[f"{KEY}worker-index"]) == ("1", index)
        assert annotations_of(pod)[f"{KEY}size"] == "3"
    assert labels_of(leader)[f"{KEY}group-key"] == labels_of(worker)[f"{KEY}group-key"]
    assert annotations_of(worker)[f"{KEY}leader-name"] == "lws-1"
    assert f"{KEY}leader-name" not in annotations_of(leader)


def test_leaders_may_have_a_template_of_their_own_and_no_workers():
    c = started(template={"leaderTemplate": pod_template("leader"), "size": 1})
    assert c.names(POD) == ["lws-0", "lws-1"]
    assert c.pod("lws-0")["spec"]["containers"][0]["image"] == "leader"
    assert conditions(c)["Available"] == "True"


def test_the_status_tells_how_many_groups_are_ready():
    c = started(ready=False)
    assert conditions(c) == {"Progressing": "True"}
    assert c.status["conditions"][0]["reason"] == "GroupsProgressing"
    c = started()
    assert {k: v for k, v in c.status.items() if k != "conditions"} == {
        "replicas": 2,
        "readyReplicas": 2,
        "updatedReplicas": 2,
        "hpaPodSelector": f"{KEY}name=lws,{KEY}worker-index=0",
        "observedGeneration": 1,
    }
    assert conditions(c) == {"Progressing": "False", "Available": "True"}
    assert "All replicas are ready, with 2 groups ready of total 2 groups" in c.told("AllGroupsReady")


def test_workers_may_wait_for_their_leader():
    c = started(startupPolicy="LeaderReady", ready=False)
    assert c.names(STATEFUL_SET) == ["lws"]
    c.change(POD, "lws-1", {"status": {"phase": "Running", "conditions": [READY]}})
    c.step()
    assert c.names(STATEFUL_SET) == ["lws", "lws-1"]


@pytest.mark.parametrize("what", ["restart", "delete"])
@pytest.mark.parametrize("policy", ["RecreateGroupOnPodRestart", "None"])
def test_a_group_goes_as_a_whole(what: str, policy: str):
    c = started(template={"restartPolicy": policy})
    before = {name: c.pod(name)["metadata"]["uid"] for name in c.names(POD)}
    if what == "restart":
        c.change(POD, "lws-0-2", {"status": {"containerStatuses": [{"restartCount": 1}]}})
    else:
        c.change(POD, "lws-0-2", {"metadata": {"deletionTimestamp": rfc3339(c.now)}})
    c.run()
    after = {name: c.pod(name)["metadata"]["uid"] for name in c.names(POD)}
    assert after.keys() == before.keys()
    renewed = {name for name in after if after[name] != before[name]}
    whole = {"lws-0", "lws-0-1", "lws-0-2"}
    assert renewed == (whole if policy != "None" else {"lws-0-2"} if what == "delete" else set())
    assert bool(c.told("RecreateGroup")) is (policy != "None")


def test_a_group_that_never_started_may_be_spared():
    c = started(template={"restartPolicy": "RecreateGroupAfterStart"})
    c.change(POD, "lws-0-1", {"status": {"phase": "Pending"}})
    c.change(POD, "lws-0-2", {"status": {"containerStatuses": [{"restartCount": 1}]}})
    c.step()
    assert c.told("RecreateGroup") == []
    c.change(POD, "lws-0-1", {"status": {"phase": "Running"}})
    c.step()
    assert c.told("RecreateGroup") == ["Worker pod lws-0-2 failed, deleted leader pod lws-0 to recreate group 0"]


def test_an_update_replaces_groups_from_the_last_and_forgets_the_old_templates():
    c = started()
    old = c.pod("lws-0")["metadata"]["uid"]
    (first,) = c.names(CONTROLLER_REVISION)
    c.edit({"spec": {"leaderWorkerTemplate": {"workerTemplate": pod_template("b")}}, "metadata": {"generation": 2}})
    partitions = []
    for _ in range(40):
        changed = c.step()
        partitions.append(c.get(STATEFUL_SET, "lws")["spec"]["updateStrategy"]["rollingUpdate"]["partition"])
        if partitions[-1] == 1 and "lws-1" in c.names(STATEFUL_SET):
            assert "lws-0" not in c.names(POD) or c.pod("lws-0")["metadata"]["uid"] == old
        if not (changed | c._work(ready=True)):
            break
    assert sorted(set(partitions), reverse=True) == [2, 1, 0]
    assert {c.pod(name)["spec"]["containers"][0]["image"] for name in c.names(POD)} == {"b"}
    assert len(c.names(CONTROLLER_REVISION)) == 1
    assert c.names(CONTROLLER_REVISION) != [first]
    assert conditions(c)["Available"] == "True"
    assert c.told("GroupsUpdating")


def test_below_the_partition_a_group_comes_back_as_it_was():
    rolling = {"type": "RollingUpdate", "rollingUpdateConfiguration": {"partition": 1, "maxUnavailable": 1}}
    c = started(rolloutStrategy=rolling)
    c.edit({"spec": {"leaderWorkerTemplate": {"workerTemplate": pod_template("b"), "size": 2}}})
    c.run()
    assert c.pod("lws-1-1")["spec"]["containers"][0]["image"] == "b"
    assert c.pod("lws-0")["spec"]["containers"][0]["image"] == "a"
    assert len(c.names(CONTROLLER_REVISION)) == 2
    c.remove(STATEFUL_SET, "lws-0")
    c.step()
    again = c.get(STATEFUL_SET, "lws-0")["spec"]
    assert (again["replicas"], again["template"]["spec"]["containers"][0]["image"]) == (2, "a")


def test_it_scales():
    c = started()
    c.edit({"spec": {"replicas": 3}})
    c.run()
    assert c.status["readyReplicas"] == 3
    c.edit({"spec": {"replicas": 1}})
    c.run()
    assert c.names(POD) == ["lws-0", "lws-0-1", "lws-0-2"]
    assert c.names(STATEFUL_SET) == ["lws", "lws-0"]


def test_each_group_may_have_a_subdomain_of_its_own():
    c = started(networkConfig={"subdomainPolicy": "UniquePerReplica"})
    assert c.names(SERVICE) == ["lws", "lws-0", "lws-1"]
    assert c.get(SERVICE, "lws-1")["spec"]["selector"] == {f"{KEY}name": "lws", f"{KEY}group-index": "1"}
    assert env(c.pod("lws-1"))["LWS_LEADER_ADDRESS"] == "$(LWS_POD_NAME).$(LWS_POD_NAME).default"
    assert env(c.pod("lws-1-1"))["LWS_LEADER_ADDRESS"] == "lws-1.lws-1.default"
    assert c.get(STATEFUL_SET, "lws-1")["spec"]["serviceName"] == "lws-1"
    slice_ = c.get(ENDPOINT_SLICE, "lws-1-leader")
    assert slice_["endpoints"] == [{"addresses": ["10.0.0.9"], "hostname": "lws-1", "conditions": {"ready": True}}]
    assert labels_of(slice_)["kubernetes.io/service-name"] == "lws-1"


@pytest.mark.parametrize(
    ("size", "part", "type", "indexes"),
    [
        (4, 2, "LeaderWorker", ["0", "0", "1", "1"]),
        (5, 2, "LeaderWorker", ["0", "0", "0", "1", "1"]),
        (5, 2, "LeaderExcluded", [None, "0", "0", "1", "1"]),
    ],
)
def test_groups_may_have_parts(size: int, part: int, type: str, indexes: list[str | None]):
    c = started(
        replicas=1, template={"size": size, "subGroupPolicy": {"subGroupSize": part, "subGroupPolicyType": type}}
    )
    assert [labels_of(pod).get(f"{KEY}subgroup-index") for pod in c.of(POD)] == indexes
    keys = {labels_of(pod).get(f"{KEY}subgroup-key") for pod in c.of(POD)} - {None}
    assert len(keys) == 2
    assert annotations_of(c.pod("lws-0"))[f"{KEY}subgroup-size"] == str(part)


def test_each_group_may_have_a_topology_of_its_own():
    c = started(annotations={f"{KEY}exclusive-topology": "rack"})
    apart = c.pod("lws-0")["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart[0]["topologyKey"] == "rack"
    near = c.pod("lws-0-1")["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = near[0]["labelSelector"]["matchExpressions"]
    assert expression["values"] == [labels_of(c.pod("lws-0"))[f"{KEY}group-key"]]
    assert annotations_of(c.pod("lws-0-1"))[f"{KEY}exclusive-topology"] == "rack"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"template": {"size": 0}}, "size 0 is below 1"),
        (
            {"template": {"size": 4, "subGroupPolicy": {"subGroupSize": 7}}},
            "subGroupSize 7 is not between 1 and the size, 4",
        ),
        (
            {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxUnavailable": "x"}}},
            "maxUnavailable and maxSurge are both 0",
        ),
    ],
)
def test_mistakes_are_said_once_and_nothing_is_made(given: Obj, says: str):
    c = started(**given)
    (told,) = set(c.told("FailedValidation"))
    assert says in told
    assert c.names(STATEFUL_SET) == []
    assert c.status["conditions"][0]["message"] == told


OLD, NEW, DOWN = State(True, False), State(True, True), State(False, True)


@pytest.mark.parametrize(
    ("surge", "unavailable", "present", "states", "changed", "step"),
    [
        (0, 1, None, [], False, Step(0, 4)),
        (0, 1, Present(4, 0, 4), [OLD] * 4, True, Step(4, 4)),
        (0, 1, Present(4, 4, 4), [OLD] * 4, False, Step(3, 4)),
        (0, 2, Present(4, 4, 4), [OLD] * 4, False, Step(2, 4)),
        (0, 1, Present(4, 3, 4), [OLD, OLD, OLD, DOWN], False, Step(3, 4)),
        (0, 1, Present(4, 3, 4), [OLD, OLD, OLD, NEW], False, Step(2, 4)),
        (0, 1, Present(4, 4, 4), [State(), OLD, OLD, OLD], False, Step(4, 4)),
        (2, 1, Present(4, 0, 4), [OLD] * 4, True, Step(4, 6)),
        (2, 1, Present(6, 4, 4), [OLD] * 4 + [NEW] * 2, False, Step(1, 6)),
        (2, 1, Present(6, 1, 4), [OLD] + [NEW] * 5, False, Step(0, 4)),
        ("50%", 0, Present(4, 0, 4), [OLD] * 4, True, Step(4, 6)),
        (0, 1, Present(2, 0, 2), [NEW] * 2, False, Step(0, 4)),
    ],
)
def test_a_rollout_goes_as_far_as_it_may(
    surge: object, unavailable: object, present: Present | None, states: list[State], changed: bool, step: Step
):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    asked = read(lws(replicas=4, rolloutStrategy={"rollingUpdateConfiguration": rolling}))
    assert next_step(asked, present, states, changed=changed) == step
