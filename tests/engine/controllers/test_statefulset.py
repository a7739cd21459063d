"""StatefulSet: order, identity, storage, rollouts."""

from __future__ import annotations

from controller_world import World

from argosy.engine.controllers import statefulset
from argosy.kinds import CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from argosy.meta.json import Obj, dig
from argosy.meta.objects import labels_of, name_of

S = statefulset.OPERATOR


def make(replicas: int = 3, image: str = "a", **spec: object) -> Obj:
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "m", "image": image}]},
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **spec,
        },
    }


def world(**facts: object) -> World:
    made = World()
    made.put(STATEFUL_SET, make(**facts))  # type: ignore[arg-type]
    return made


def start(made: World) -> None:
    for pod in made.all(POD):
        if not dig(pod, "status", "phase"):
            made.run_pod(pod)


def settle(made: World) -> None:
    def between() -> None:
        start(made)
        made.finish_deletions()

    made.settle((S, "db"), between=between)


def names(made: World) -> list[str]:
    return [name_of(p) for p in made.all(POD)]


def images(made: World) -> list[str]:
    return [p["spec"]["containers"][0]["image"] for p in made.all(POD)]


def status(made: World) -> Obj:
    return made.get(STATEFUL_SET, "db")["status"]


def set_image(made: World, image: str, **more: object) -> None:
    template = {"spec": {"containers": [{"name": "m", "image": image}]}}
    made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": {"template": template, **more}})


def test_one_after_the_other() -> None:
    made = world()
    made.step(S, "db")
    made.step(S, "db")
    assert names(made) == ["db-0"]
    start(made)
    made.step(S, "db")
    assert names(made) == ["db-0", "db-1"]
    settle(made)
    assert names(made) == ["db-0", "db-1", "db-2"]
    pod = made.get(POD, "db-1")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    (revision,) = made.all(CONTROLLER_REVISION)
    assert labels_of(pod) == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-1",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": name_of(revision),
    }
    assert status(made) == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "currentRevision": name_of(revision),
        "updateRevision": name_of(revision),
        "collisionCount": 0,
    }


def test_all_at_once() -> None:
    made = world(podManagementPolicy="Parallel")
    made.step(S, "db")
    assert len(names(made)) == 3
    settle(made)
    made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": {"replicas": 0}})
    made.step(S, "db")
    made.finish_deletions()
    assert names(made) == []


def test_scaling_down_from_the_end() -> None:
    made = world()
    settle(made)
    made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": {"replicas": 1}})
    made.step(S, "db")
    made.step(S, "db")
    assert [name_of(p) for p in made.all(POD) if p["metadata"].get("deletionTimestamp")] == ["db-2"]
    settle(made)
    assert names(made) == ["db-0"]


def test_rolling_update_from_the_top() -> None:
    made = world()
    settle(made)
    set_image(made, "b")
    made.step(S, "db")
    made.finish_deletions()
    made.step(S, "db")
    assert images(made) == ["a", "a", "b"]
    made.step(S, "db")
    assert len(made.all(POD)) == 3, "the next one waits until this one is ready"
    settle(made)
    assert images(made) == ["b", "b", "b"]
    assert status(made)["currentRevision"] == status(made)["updateRevision"]
    assert len(made.all(CONTROLLER_REVISION)) == 2


def test_partition() -> None:
    made = world()
    settle(made)
    set_image(made, "b", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    settle(made)
    assert images(made) == ["a", "a", "b"]
    assert status(made)["updatedReplicas"] == 1
    assert status(made)["currentReplicas"] == 2
    made.delete(POD, ("default", "db-0"), at_once=True)  # type: ignore[arg-type]
    settle(made)
    assert images(made) == ["a", "a", "b"], "below the partition a pod comes back as it was"


def test_on_delete() -> None:
    made = world(updateStrategy={"type": "OnDelete"})
    settle(made)
    set_image(made, "b")
    settle(made)
    assert images(made) == ["a", "a", "a"]
    made.delete(POD, ("default", "db-1"), at_once=True)  # type: ignore[arg-type]
    settle(made)
    assert images(made) == ["a", "b", "a"]


def test_back_to_an_earlier_template() -> None:
    made = world(replicas=1)
    settle(made)
    set_image(made, "b")
    settle(made)
    set_image(made, "a")
    settle(made)
    assert images(made) == ["a"]
    assert sorted(int(r["revision"]) for r in made.all(CONTROLLER_REVISION)) == [2, 3]


def test_history_limit() -> None:
    made = world(replicas=1, revisionHistoryLimit=1)
    for image in "abcd":
        set_image(made, image)
        settle(made)
    assert len(made.all(CONTROLLER_REVISION)) == 2


CLAIM: Obj = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def test_claims() -> None:
    made = world(replicas=2, volumeClaimTemplates=[CLAIM])
    settle(made)
    assert [name_of(c) for c in made.all(PERSISTENT_VOLUME_CLAIM)] == ["data-db-0", "data-db-1"]
    (volume,) = made.get(POD, "db-0")["spec"]["volumes"]
    assert volume == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": {"replicas": 1}})
    settle(made)
    assert len(made.all(PERSISTENT_VOLUME_CLAIM)) == 2, "claims are kept"


def test_claims_that_go_with_their_pods() -> None:
    policy = {"whenScaled": "Delete", "whenDeleted": "Delete"}
    made = world(replicas=2, volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    settle(made)
    assert made.get(PERSISTENT_VOLUME_CLAIM, "data-db-0")["metadata"]["ownerReferences"]
    made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": {"replicas": 1}})
    settle(made)
    assert [name_of(c) for c in made.all(PERSISTENT_VOLUME_CLAIM)] == ["data-db-0"]


def test_a_pod_that_ended_is_made_anew_under_its_name() -> None:
    made = world(replicas=1)
    settle(made)
    first = made.end_pod(made.get(POD, "db-0"), 1)
    made.step(S, "db")
    made.finish_deletions()
    made.step(S, "db")
    assert made.get(POD, "db-0")["metadata"]["uid"] != first["metadata"]["uid"]


def test_the_retention_policy_may_change_later() -> None:
    template = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    made = world(replicas=1, volumeClaimTemplates=[template])
    settle(made)

    def owners() -> list[str]:
        (claim,) = made.all(PERSISTENT_VOLUME_CLAIM)
        return [each["kind"] for each in claim["metadata"].get("ownerReferences") or ()]

    assert owners() == []
    for policy, expected in (("Delete", ["StatefulSet"]), ("Retain", [])):
        spec = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": policy}}
        made.change(STATEFUL_SET, made.get(STATEFUL_SET, "db"), {"spec": spec})
        settle(made)
        assert owners() == expected
