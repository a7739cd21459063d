"""Job: counting, ends, indexes, policies, suspension."""

from __future__ import annotations

from controller_world import World, merged
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.engine.controllers import job
from argosy.engine.controllers.job import indexes
from argosy.engine.controllers.job.census import RELEASED, TRACKING
from argosy.intent import Create, Delete
from argosy.kinds import JOB, POD
from argosy.meta.conditions import find, is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, annotations_of, is_deleting, labels_of, name_of

J = job.OPERATOR


def make(**spec: object) -> Obj:
    template = {
        "metadata": {"labels": {"app": "j"}},
        "spec": {"containers": [{"name": "main"}], "restartPolicy": "Never"},
    }
    return {
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template, **spec},
    }


def world(**spec: object) -> World:
    made = World()
    made.put(JOB, make(**spec))
    return made


def active(made: World) -> list[Obj]:
    return [p for p in made.all(POD) if dig(p, "status", "phase") not in ("Succeeded", "Failed") and not is_deleting(p)]


def status(made: World) -> Obj:
    return made.get(JOB, "j").get("status") or {}


def reason(made: World, type: str) -> str:
    return str((find(made.get(JOB, "j"), type) or {}).get("reason"))


def test_one_short_pod_costs_one_create_and_one_status() -> None:
    made = world()
    first = made.step(J, "j")
    assert [type(a) for a in first.actions] == [Create]
    assert first.status is None
    assert first.again_in_seconds == 3.0
    (pod,) = made.all(POD)
    assert pod["metadata"]["finalizers"] == [TRACKING]
    uid = made.get(JOB, "j")["metadata"]["uid"]
    assert labels_of(pod) == {
        "app": "j",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": uid,
        "job-name": "j",
    }
    made.run_pod(pod)
    assert made.step(J, "j").status is None
    made.end_pod(made.all(POD)[0])
    last = made.step(J, "j")
    assert last.actions == ()
    said = last.status or {}
    assert (said["succeeded"], said["ready"], said["terminating"]) == (1, 0, 0)
    assert "active" not in said
    assert said["startTime"] <= said["completionTime"]
    assert [c["type"] for c in said["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    assert {c["reason"] for c in said["conditions"]} == {"CompletionsReached"}
    assert [r.code for r in last.reasons] == ["Completed"]
    assert made.step(J, "j").status is None


def test_a_longer_pod_is_told_of() -> None:
    made = world()
    made.step(J, "j")
    made.later(3)
    made.step(J, "j")
    assert status(made)["active"] == 1
    made.run_pod(made.all(POD)[0])
    assert made.step(J, "j").again_in_seconds == 1.0
    made.later(1)
    made.step(J, "j")
    assert status(made)["ready"] == 1
    assert made.step(J, "j").status is None or made.step(J, "j").status == status(made)


def test_parallelism_and_completions() -> None:
    made = world(parallelism=3, completions=5)
    made.step(J, "j")
    assert len(active(made)) == 3
    assert status(made)["active"] == 3
    done = 0
    while not is_true(made.get(JOB, "j"), "Complete"):
        for pod in active(made)[:2]:
            made.end_pod(pod)
            done += 1
        made.step(J, "j")
        assert len(active(made)) <= 3
    assert done == 5
    assert status(made)["succeeded"] == 5


def test_failures_back_off_and_end_the_job() -> None:
    made = world(backoffLimit=2)
    for failures, wait in ((1, 10), (2, 20)):
        made.step(J, "j")
        made.end_pod(active(made)[0], 1)
        plan = made.step(J, "j")
        assert plan.again_in_seconds == wait
        assert status(made)["failed"] == failures
        made.later(wait)
    made.step(J, "j")
    made.end_pod(active(made)[0], 1)
    last = made.step(J, "j")
    assert reason(made, "Failed") == "BackoffLimitExceeded"
    assert [(r.code, r.warning) for r in last.reasons] == [("BackoffLimitExceeded", True)]
    assert "completionTime" not in status(made)


def test_a_failing_job_ends_its_other_pods_first() -> None:
    made = world(parallelism=2, completions=2, backoffLimit=0)
    made.step(J, "j")
    first, second = made.all(POD)
    made.run_pod(second)
    made.end_pod(first, 1)
    made.step(J, "j")
    assert reason(made, "FailureTarget") == "BackoffLimitExceeded"
    assert find(made.get(JOB, "j"), "Failed") is None
    assert is_deleting(made.get(POD, name_of(second)))
    made.end_pod(made.get(POD, name_of(second)), 137)
    made.step(J, "j")
    assert reason(made, "Failed") == "BackoffLimitExceeded"
    made.finish_deletions()
    made.settle((J, "j"))
    assert [name_of(p) for p in made.all(POD)] == [name_of(first)]


def test_deadline() -> None:
    made = world(activeDeadlineSeconds=30)
    plan = made.step(J, "j")
    assert plan.again_in_seconds == 30
    assert status(made)["startTime"]
    made.later(31)
    made.step(J, "j")
    made.settle((J, "j"))
    assert reason(made, "Failed") == "DeadlineExceeded"


def test_what_was_told_of_a_pod_is_not_taken_back_by_how_it_ends() -> None:
    made = world(activeDeadlineSeconds=30)
    made.step(J, "j")
    made.run_pod(made.all(POD)[0])
    made.later(31)
    made.step(J, "j")
    made.step(J, "j")
    assert (status(made)["failed"], status(made)["terminating"]) == (1, 1)
    made.end_pod(made.all(POD)[0])  # it heard SIGTERM and ended well
    made.settle((J, "j"))
    made.finish_deletions()
    made.settle((J, "j"))
    assert reason(made, "Failed") == "DeadlineExceeded"
    assert (status(made)["failed"], status(made).get("succeeded", 0)) == (1, 0)


def test_a_pod_that_somebody_deletes_is_counted_once() -> None:
    made = world(parallelism=1, completions=3)
    made.step(J, "j")
    made.end_pod(active(made)[0])
    made.step(J, "j")
    assert status(made)["succeeded"] == 1
    done = next(p for p in made.all(POD) if dig(p, "status", "phase") == "Succeeded")
    made.delete(POD, Key("default", name_of(done)), at_once=True)
    assert len(made.all(POD)) == 2, "the finalizer holds it until it is written down"
    made.step(J, "j")
    assert RELEASED in annotations_of(made.get(JOB, "j"))
    made.step(J, "j")
    assert len(made.all(POD)) == 1
    made.step(J, "j")
    assert status(made)["succeeded"] == 1
    made.end_pod(active(made)[0])
    made.step(J, "j")
    assert status(made)["succeeded"] == 2
    assert len(active(made)) == 1


def test_a_running_pod_that_somebody_deletes_is_a_failure_and_is_replaced() -> None:
    made = world()
    made.step(J, "j")
    pod = made.run_pod(made.all(POD)[0])
    made.delete(POD, Key("default", name_of(pod)))
    made.settle((J, "j"))
    assert status(made)["failed"] == 1
    assert len(active(made)) == 1
    made.finish_deletions()
    made.settle((J, "j"))
    assert (len(made.all(POD)), status(made)["failed"]) == (1, 1)
    made.end_pod(active(made)[0])
    made.settle((J, "j"))
    assert (status(made)["failed"], status(made)["succeeded"]) == (1, 1)


def test_work_queue() -> None:
    made = world(parallelism=3)
    del made.get(JOB, "j")["spec"]["completions"]
    made.step(J, "j")
    assert len(active(made)) == 3
    made.end_pod(active(made)[0])
    made.step(J, "j")
    assert len(active(made)) == 2, "the queue is empty: nobody new"
    for pod in active(made):
        made.end_pod(pod)
    made.step(J, "j")
    assert is_true(made.get(JOB, "j"), "Complete")


def test_indexed() -> None:
    made = world(parallelism=2, completions=3, completionMode="Indexed")
    made.step(J, "j")
    pods = active(made)
    assert [annotations_of(p)[indexes.INDEX] for p in pods] == ["0", "1"]
    assert [p["spec"]["hostname"] for p in pods] == ["j-0", "j-1"]
    assert all(name_of(p).startswith(f"j-{i}-") for i, p in enumerate(pods))
    env = pods[0]["spec"]["containers"][0]["env"][0]
    assert env["name"] == "JOB_COMPLETION_INDEX"
    assert env["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{indexes.INDEX}']"
    made.end_pod(pods[1])
    made.step(J, "j")
    assert status(made)["completedIndexes"] == "1"
    assert sorted(annotations_of(p)[indexes.INDEX] for p in active(made)) == ["0", "2"]
    for pod in active(made):
        made.end_pod(pod)
    made.step(J, "j")
    assert status(made)["completedIndexes"] == "0-2"
    assert is_true(made.get(JOB, "j"), "Complete")


def test_backoff_limit_per_index() -> None:
    made = world(parallelism=2, completions=2, completionMode="Indexed", backoffLimitPerIndex=1, backoffLimit=None)
    made.step(J, "j")
    for _ in range(2):
        pod = next(p for p in active(made) if annotations_of(p)[indexes.INDEX] == "0")
        made.end_pod(pod, 1)
        made.step(J, "j")
        made.later(400)
        made.step(J, "j")
    assert status(made)["failedIndexes"] == "0"
    assert [annotations_of(p)[indexes.INDEX] for p in active(made)] == ["1"]
    made.end_pod(active(made)[0])
    made.step(J, "j")
    assert reason(made, "Failed") == "FailedIndexes"


def test_pod_failure_policy() -> None:
    rules = [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    ]
    made = world(podFailurePolicy={"rules": rules}, backoffLimit=0)
    made.step(J, "j")
    pod = made.end_pod(active(made)[0], 1)
    made.change(POD, pod, {"status": {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}})
    made.step(J, "j")
    assert len(active(made)) == 1, "a disruption is nobody's fault"
    assert "failed" not in status(made)
    made.end_pod(active(made)[0], 42)
    made.step(J, "j")
    failed = find(made.get(JOB, "j"), "Failed") or {}
    assert failed["reason"] == "PodFailurePolicy"
    assert "failed with exit code 42 matching FailJob rule at index 0" in failed["message"]


def test_success_policy() -> None:
    policy = {"rules": [{"succeededIndexes": "1-2", "succeededCount": 1}]}
    made = world(parallelism=3, completions=3, completionMode="Indexed", successPolicy=policy)
    made.step(J, "j")
    made.end_pod(made.all(POD)[2])
    made.step(J, "j")
    assert reason(made, "SuccessCriteriaMet") == "SuccessPolicy"
    made.finish_deletions()
    made.settle((J, "j"))
    assert reason(made, "Complete") == "SuccessPolicy"
    assert status(made)["succeeded"] == 1


def test_suspend_and_resume() -> None:
    made = world(suspend=True, parallelism=2, completions=2)
    made.step(J, "j")
    assert made.all(POD) == []
    assert reason(made, "Suspended") == "JobSuspended"
    assert "startTime" not in status(made)
    made.change(JOB, made.get(JOB, "j"), {"spec": {"suspend": False}})
    made.step(J, "j")
    assert len(active(made)) == 2
    assert reason(made, "Suspended") == "JobResumed"
    assert status(made)["startTime"]
    made.change(JOB, made.get(JOB, "j"), {"spec": {"suspend": True}})
    made.settle((J, "j"))
    made.finish_deletions()
    assert made.all(POD) == []
    assert "failed" not in status(made)


def test_ttl() -> None:
    made = world(ttlSecondsAfterFinished=5)
    made.step(J, "j")
    made.end_pod(made.all(POD)[0])
    made.step(J, "j")
    assert made.step(J, "j").again_in_seconds == 5
    made.later(5)
    assert [type(a) for a in made.step(J, "j").actions] == [Delete]


def test_managed_by_another() -> None:
    made = world(managedBy="kueue.x-k8s.io/multikueue")
    assert made.step(J, "j").actions == ()


def test_a_deleted_job_frees_its_pods() -> None:
    made = world()
    made.step(J, "j")
    made.run_pod(made.all(POD)[0])
    subject = made.get(JOB, "j")
    stamp = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]}}
    made.objects[JOB][Key("default", "j")] = merged(subject, stamp)
    made.delete(POD, Key("default", name_of(made.all(POD)[0])))
    made.step(J, "j")
    made.finish_deletions()
    assert made.all(POD) == []


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["end", "fail", "delete", "gone", "wait"]), st.integers(0, 4)), max_size=25),
)
def test_every_pod_is_counted_exactly_once(
    parallelism: int, completions: int, indexed: bool, events: list[tuple[str, int]]
) -> None:
    mode = {"completionMode": "Indexed"} if indexed else {}
    made = world(parallelism=parallelism, completions=completions, backoffLimit=1000, **mode)
    succeeded: set[str] = set()
    failed: set[str] = set()
    made.settle((J, "j"))
    for event, number in events:
        pods = made.all(POD)
        if pods and event != "wait":
            pod = pods[number % len(pods)]
            uid, over = pod["metadata"]["uid"], dig(pod, "status", "phase") in ("Succeeded", "Failed")
            if event in ("end", "fail") and not over and not is_deleting(pod):
                made.end_pod(pod, int(event == "fail"))
                (failed if event == "fail" else succeeded).add(uid)
            elif event in ("delete", "gone") and not is_deleting(pod):
                if not over and not is_true(made.get(JOB, "j"), "Complete"):
                    failed.add(uid)
                made.delete(POD, Key("default", name_of(pod)), at_once=event == "gone")
        made.later(400)
        made.settle((J, "j"))
        if event == "gone":
            made.finish_deletions()
            made.settle((J, "j"))
        if is_true(made.get(JOB, "j"), "Complete"):
            break
        assert len(active(made)) <= parallelism
        assert status(made).get("succeeded", 0) == len(succeeded)
        assert status(made).get("failed", 0) == len(failed)


@given(st.sets(st.integers(0, 40)))
def test_indexes_survive_being_written(found: set[int]) -> None:
    assert indexes.parse(indexes.write(found), 41) == found


def test_indexes_as_kubernetes_writes_them() -> None:
    assert indexes.write([0, 1, 3, 5, 6, 7]) == "0,1,3,5-7"
    assert indexes.parse("0,2-4,9,x", 9) == {0, 2, 3, 4}
