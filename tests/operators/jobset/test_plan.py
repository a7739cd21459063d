"""The JobSet operator over its whole life, in a small world that carries its plans out."""

from __future__ import annotations

import pytest
from operator_world import World

from argosy.clock import rfc3339
from argosy.kinds import CONFIG_MAP, JOB, PERSISTENT_VOLUME_CLAIM, POD, SERVICE
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.jobset.operator import operator
from argosy.operators.jobset.plan import plan
from argosy.operators.watching import keeping

KEY = "jobset.sigs.k8s.io/"


def replicated(name: str, replicas: int = 1, pods: int = 1, **more: object) -> Obj:
    pod = {"spec": {"containers": [{"name": "main", "image": "bash"}]}}
    return {
        "name": name,
        "groupName": "default",
        "replicas": replicas,
        "template": {"spec": {"parallelism": pods, "completions": pods, "template": pod}},
        **more,
    }


def world(*jobs: Obj, annotations: Obj | None = None, **spec: object) -> World:
    return World(
        operator(),
        {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": {"name": "js", "annotations": annotations or {}},
            "spec": {"replicatedJobs": list(jobs or (replicated("leader"), replicated("workers", 2, 3))), **spec},
        },
    )


def started(*jobs: Obj, **spec: object) -> World:
    w = world(*jobs, **spec)
    w.settle()
    return w


def put(w: World, name: str, **status: object) -> None:
    w.change(JOB, name, {"status": status})


def end(w: World, name: str, type: str = "Complete", reason: str = "", message: str = "") -> None:
    at = rfc3339(w.now)
    condition = {"type": type, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
    put(w, name, conditions=[condition], active=0, ready=0)
    w.wait(1)


def fail(w: World, name: str, reason: str = "BackoffLimitExceeded", message: str = "") -> None:
    end(w, name, "Failed", reason, message)


def reasons(w: World) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in w.status.get("conditions") or ()]


def test_jobs_carry_upstreams_names_labels_and_annotations():
    w = started(coordinator={"replicatedJob": "leader"})
    assert w.names(JOB) == ["js-leader-0", "js-workers-0", "js-workers-1"]
    job = w.get(JOB, "js-workers-1")
    marks = {
        f"{KEY}jobset-name": "js",
        f"{KEY}jobset-uid": "subject-uid",
        f"{KEY}replicatedjob-name": "workers",
        f"{KEY}restart-attempt": "0",
        f"{KEY}replicatedjob-replicas": "2",
        f"{KEY}global-replicas": "3",
        f"{KEY}job-index": "1",
        f"{KEY}job-global-index": "2",
        f"{KEY}group-name": "default",
        f"{KEY}group-replicas": "3",
        f"{KEY}job-group-index": "2",
        f"{KEY}coordinator": "js-leader-0-0.js",
    }
    template = job["spec"]["template"]
    for metadata in (job["metadata"], template["metadata"]):
        metadata["labels"][f"{KEY}job-key"] = marks[f"{KEY}job-key"] = sha1("default/js-workers-1")
        assert metadata["labels"] == marks
        assert metadata["annotations"] == marks
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["suspend"] is False
    assert template["spec"]["subdomain"] == "js"
    assert template["spec"]["restartPolicy"] == "OnFailure"


def sha1(text: str) -> str:
    import hashlib

    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def test_a_group_counts_its_own_jobs():
    w = started(
        replicated("a", 2, groupName="one"), replicated("b", 1, groupName="two"), replicated("c", 1, groupName="one")
    )
    labels = w.get(JOB, "js-c-0")["metadata"]["labels"]
    assert (labels[f"{KEY}group-replicas"], labels[f"{KEY}job-group-index"]) == ("3", "2")
    assert (labels[f"{KEY}job-global-index"], labels[f"{KEY}global-replicas"]) == ("3", "4")


def test_the_headless_service_names_every_pod():
    w = started(network={"enableDNSHostnames": True, "subdomain": "nets", "publishNotReadyAddresses": False})
    assert w.get(SERVICE, "nets")["spec"] == {
        "clusterIP": "None",
        "selector": {f"{KEY}jobset-name": "js"},
        "publishNotReadyAddresses": False,
    }
    assert w.get(JOB, "js-leader-0")["spec"]["template"]["spec"]["subdomain"] == "nets"
    without = started(network={"enableDNSHostnames": False})
    assert without.names(SERVICE) == []
    assert "subdomain" not in without.get(JOB, "js-leader-0")["spec"]["template"]["spec"]


def test_the_status_counts_jobs_by_how_they_are():
    w = started()
    put(w, "js-workers-0", active=3, ready=3)
    put(w, "js-workers-1", active=3, ready=2)
    end(w, "js-leader-0")
    w.settle()
    zero = {"ready": 0, "succeeded": 0, "failed": 0, "active": 0, "suspended": 0}
    assert w.status == {
        "restarts": 0,
        "replicatedJobsStatus": [
            {"name": "workers", **zero, "ready": 1, "active": 2},
            {"name": "leader", **zero, "succeeded": 1},
        ],
    }


def test_it_is_complete_when_all_jobs_are():
    w = started()
    for name in w.names(JOB):
        assert "terminalState" not in w.status
        end(w, name)
        w.settle()
    assert reasons(w) == [("Completed", "True", "AllJobsCompleted")]
    assert w.status["terminalState"] == "Completed"
    assert w.told("AllJobsCompleted") == ["jobset completed successfully"]


@pytest.mark.parametrize(("operator_", "ends"), [("Any", ["js-workers-1"]), ("All", ["js-workers-0", "js-workers-1"])])
def test_a_success_policy_asks_for_some_jobs_only(operator_: str, ends: list[str]):
    w = started(successPolicy={"operator": operator_, "targetReplicatedJobs": ["workers"]})
    end(w, "js-leader-0") if operator_ == "Any" else None
    w.settle()
    for name in ends:
        assert reasons(w) == []
        end(w, name)
        w.settle()
    assert reasons(w) == [("Completed", "True", "AllJobsCompleted")]
    assert not set(w.names(JOB)) - set(ends) - {"js-leader-0"}
    assert ("js-leader-0" in w.names(JOB)) is (operator_ == "Any"), "what still runs is ended"


def test_without_a_policy_one_failed_job_fails_the_set():
    w = started()
    fail(w, "js-workers-1")
    w.settle()
    message = "jobset failed due to one or more job failures (first failed job: js-workers-1)"
    assert reasons(w) == [("Failed", "True", "FailedJobs")]
    assert w.told("FailedJobs") == [message]
    assert w.status["terminalState"] == "Failed"
    assert w.names(JOB) == ["js-workers-1"]


def test_a_set_restarts_as_a_whole_until_it_may_no_more():
    w = started(failurePolicy={"maxRestarts": 1})
    before = {job["metadata"]["uid"] for job in w.of(JOB)}
    fail(w, "js-workers-1")
    w.settle()
    assert (w.status["restarts"], w.status["restartsCountTowardsMax"]) == (1, 1)
    assert reasons(w) == [("RestartingJobSet", "True", "DefaultFailurePolicy")]
    assert w.names(JOB) == ["js-leader-0", "js-workers-0", "js-workers-1"]
    assert not before & {job["metadata"]["uid"] for job in w.of(JOB)}
    assert {job["metadata"]["labels"][f"{KEY}restart-attempt"] for job in w.of(JOB)} == {"1"}
    for name in w.names(JOB):
        put(w, name, ready=3, active=3)
    w.settle()
    assert reasons(w) == [("RestartingJobSet", "False", "JobsReady")]
    fail(w, "js-leader-0")
    w.settle()
    assert reasons(w) == [("RestartingJobSet", "False", "JobSetFailed"), ("Failed", "True", "ReachedMaxRestarts")]


def test_rules_tell_failures_apart():
    rules = [
        {
            "name": "maintenance",
            "action": "RestartJobSetAndIgnoreMaxRestarts",
            "onJobFailureReasons": ["PodFailurePolicy"],
        },
        {"name": "oom", "action": "FailJobSet", "onJobFailureMessagePatterns": ["exit code 137"]},
        {"action": "RestartJobSet", "targetReplicatedJobs": ["leader"]},
    ]
    policy = {"maxRestarts": 0, "rules": rules}
    w = started(failurePolicy=policy)
    for restarts in (1, 2):
        fail(w, "js-workers-0", "PodFailurePolicy")
        w.settle()
        assert w.status["restarts"] == restarts
        assert "restartsCountTowardsMax" not in w.status
    assert reasons(w) == [("RestartingJobSet", "True", "FailurePolicy_maintenance")]
    fail(w, "js-workers-0", message="container main failed with exit code 137")
    w.settle()
    assert reasons(w)[-1] == ("Failed", "True", "FailJobSetFailurePolicyAction")
    limited = started(failurePolicy=policy)
    fail(limited, "js-leader-0")
    limited.settle()
    assert reasons(limited) == [("Failed", "True", "ReachedMaxRestarts")]


def test_one_job_can_restart_by_itself():
    rules = [{"name": "one", "action": "RestartJob"}]
    w = started(failurePolicy={"maxRestarts": 1, "rules": rules})
    leader = w.get(JOB, "js-leader-0")["metadata"]["uid"]
    fail(w, "js-workers-1")
    w.settle()
    assert w.status["restarts"] == 0
    assert w.status["replicatedJobsStatus"][0]["jobRestarts"] == [0, 1]
    assert w.get(JOB, "js-workers-1")["metadata"]["labels"][f"{KEY}job-restart-attempt"] == "1"
    assert w.get(JOB, "js-leader-0")["metadata"]["uid"] == leader
    fail(w, "js-workers-1")
    w.settle()
    assert reasons(w) == [("Failed", "True", "ReachedMaxRestarts")]


def test_a_blocking_restart_waits_for_every_old_job():
    w = started(failurePolicy={"maxRestarts": 1, "restartStrategy": "BlockingRecreate"})
    fail(w, "js-workers-1")
    w.step()
    w.change(JOB, "js-leader-0", {"metadata": {"deletionTimestamp": rfc3339(w.now)}})
    w.settle()
    assert w.names(JOB) == ["js-leader-0"]
    w.bury()
    w.settle()
    assert len(w.names(JOB)) == 3


def test_jobs_start_in_order():
    w = started(startupPolicy={"startupPolicyOrder": "InOrder"})
    assert w.names(JOB) == ["js-leader-0"]
    assert reasons(w) == [("StartupPolicyInProgress", "True", "InOrderStartupPolicyInProgress")]
    put(w, "js-leader-0", active=1, ready=1)
    w.settle()
    assert len(w.names(JOB)) == 3
    for name in ("js-workers-0", "js-workers-1"):
        put(w, name, active=3, ready=3)
    w.settle()
    assert [c[:2] for c in reasons(w)] == [("StartupPolicyInProgress", "False"), ("StartupPolicyCompleted", "True")]


@pytest.mark.parametrize("state", ["Ready", "Complete"])
def test_a_job_waits_for_what_it_depends_on(state: str):
    w = started(replicated("driver"), replicated("worker", dependsOn=[{"name": "driver", "status": state}]))
    assert w.names(JOB) == ["js-driver-0"]
    put(w, "js-driver-0", active=1, ready=1)
    w.settle()
    assert ("js-worker-0" in w.names(JOB)) is (state == "Ready")
    end(w, "js-driver-0")
    w.settle()
    assert "js-worker-0" in w.names(JOB)


def test_it_can_be_suspended_and_resumed_elsewhere():
    w = started(suspend=True)
    assert all(job["spec"]["suspend"] for job in w.of(JOB))
    assert w.status["replicatedJobsStatus"][0]["suspended"] == 2
    assert reasons(w) == [("Suspended", "True", "SuspendedJobs")]
    jobs = w.subject["spec"]["replicatedJobs"]
    jobs[0]["template"]["spec"]["template"]["spec"]["nodeSelector"] = {"pool": "spot"}
    w.edit({"spec": {"suspend": False, "replicatedJobs": jobs}})
    w.settle()
    assert not any(job["spec"]["suspend"] for job in w.of(JOB))
    assert w.get(JOB, "js-leader-0")["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "spot"}
    assert reasons(w) == [("Suspended", "False", "ResumeJobs")]
    w.edit({"spec": {"suspend": True}})
    w.settle()
    assert all(job["spec"]["suspend"] for job in w.of(JOB))


def test_it_goes_after_its_time_to_live():
    w = started(replicated("one"), ttlSecondsAfterFinished=60)
    end(w, "js-one-0")
    w.settle()
    assert w.again == 60
    w.wait(60)
    w.step()
    assert w.subject is None


def test_somebody_elses_is_left_alone():
    w = started(managedBy="kueue.x-k8s.io/multikueue")
    assert w.names(JOB) == []
    assert w.status == {}


def test_each_job_has_a_topology_of_its_own():
    name = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    w = started(annotations={name: "rack"})
    job = w.get(JOB, "js-workers-0")
    key = job["metadata"]["labels"][f"{KEY}job-key"]
    assert job["metadata"]["annotations"][name] == "rack"
    affinity = job["spec"]["template"]["spec"]["affinity"]
    ((near,), (apart,)) = (
        affinity[field]["requiredDuringSchedulingIgnoredDuringExecution"]
        for field in ("podAffinity", "podAntiAffinity")
    )
    assert near["topologyKey"] == apart["topologyKey"] == "rack"
    assert near["labelSelector"]["matchExpressions"] == [{"key": f"{KEY}job-key", "operator": "In", "values": [key]}]
    assert apart["labelSelector"]["matchExpressions"][1]["operator"] == "NotIn"
    by_hand = started(annotations={name: "rack", "alpha.jobset.sigs.k8s.io/node-selector": "true"})
    spec = by_hand.get(JOB, "js-workers-0")["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"alpha.jobset.sigs.k8s.io/namespaced-job": "default_js-workers-0"}
    assert spec["tolerations"][0]["key"] == "alpha.jobset.sigs.k8s.io/no-schedule"


def test_claims_are_made_and_mounted():
    mount = {"containers": [{"name": "main", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}
    job = replicated("one")
    job["template"]["spec"]["template"]["spec"] = mount
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    w = started(job, volumeClaimPolicies=[{"templates": [template], "retentionPolicy": {"whenDeleted": "Delete"}}])
    claim = w.get(PERSISTENT_VOLUME_CLAIM, "data-js")
    assert claim["metadata"]["labels"] == {f"{KEY}jobset-name": "js"}
    assert claim["metadata"]["ownerReferences"][0]["name"] == "js"
    volumes = w.get(JOB, "js-one-0")["spec"]["template"]["spec"]["volumes"]
    assert volumes == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-js"}}]
    kept = world(job, volumeClaimPolicies=[{"templates": [template], "retentionPolicy": {"whenDeleted": "Retain"}}])
    (made,) = (a.obj for a in plan(kept.observe()).actions if a.kind == PERSISTENT_VOLUME_CLAIM)
    assert "ownerReferences" not in made["metadata"]


@pytest.mark.parametrize(
    ("jobs", "spec", "says"),
    [
        ([replicated("a", dependsOn=[{"name": "b", "status": "Ready"}])], {}, "cannot depend on another"),
        ([replicated("a"), replicated("b", dependsOn=[{"name": "c", "status": "Ready"}])], {}, "does not come before"),
        ([replicated("a" * 60)], {}, "over 63 characters; shorten metadata.name"),
        (
            [replicated("a")],
            {"successPolicy": {"operator": "All", "targetReplicatedJobs": ["z"]}},
            "successPolicy names z",
        ),
        (
            [replicated("a")],
            {"coordinator": {"replicatedJob": "a", "podIndex": 4}},
            "podIndex 4 is not among the 1 pods",
        ),
        (
            [replicated("a")],
            {"failurePolicy": {"rules": [{"name": "r", "action": "FailJobSet", "onJobFailureReasons": ["Bored"]}]}},
            "names Bored, which no Job fails with",
        ),
    ],
)
def test_mistakes_are_said_once_and_nothing_is_made(jobs: list[Obj], spec: Obj, says: str):
    w = started(*jobs, **spec)
    assert w.names(JOB) == w.names(SERVICE) == []
    assert reasons(w) == [("Failed", "True", "FailedValidation")]
    (told,) = w.told("FailedValidation")
    assert says in told


def give_pods(w: World, *names: str) -> dict[str, str]:
    """Running pods of the Jobs of these names; their uids and names."""
    for name in names:
        job = w.get(JOB, name)
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": name,
            "uid": job["metadata"]["uid"],
            "controller": True,
        }
        meta = {"name": f"{name}-x", "namespace": "default", "uid": f"of-{name}", "ownerReferences": [owner]}
        meta["labels"] = job["spec"]["template"]["metadata"]["labels"]
        w.objects[POD, Key("default", f"{name}-x")] = {"metadata": meta, "status": {"phase": "Running"}}
    return {f"of-{name}": f"{name}-x" for name in names}


def test_a_hang_fails_all_jobs_and_names_the_rank():
    w = started(annotations={"argosy.dev/hang-after": "10m"})
    pods = give_pods(w, *w.names(JOB))
    stacks = dict.fromkeys(pods.values(), "process 1 S (sleeping): python\n")
    stacks["js-workers-1-x"] = "process 1 T (stopped): python\n"
    steps = dict.fromkeys(pods.values(), "7")
    w.probed = {"stall": {"seconds": 601.0, "usual": 2.0, "pods": pods, "steps": steps, "stacks": stacks}}
    w.settle()
    assert w.of(POD) == [], "deleted pods fail their Jobs, or are made again by them"
    assert w.get(CONFIG_MAP, "js-stacks-0")["data"] == stacks
    (said,) = w.told("JobSetHung")
    assert said == (
        "JobSet js begins anew because pod js-workers-1-x hung: no progress for 601 s, where 2 s are usual; "
        "the last step was 7, and its process is stopped (SIGSTOP)."
    )
    assert w.told("JobSetStacks") == ["The stacks of 3 ranks are in ConfigMap js-stacks-0."]


def test_a_watch_that_cannot_be_read_fails_the_set():
    w = started(annotations={"argosy.dev/hang-after": "soon"})
    assert w.of(JOB) == []
    assert "write a multiple such as 20x" in w.status["conditions"][-1]["message"]


def says(w: World, pod: str, error: str, second: str) -> None:
    lines = ("Traceback (most recent call last):", '  File "t.py", line 1', error)
    text = "".join(f"2026-01-01T00:00:{second}{n}Z {line}\n" for n, line in enumerate(lines))
    w.readable[f"/api/v1/namespaces/default/pods/{pod}/log"] = text


@pytest.mark.parametrize("asked", [{}, {"argosy.dev/user-errors": "stop"}])
def test_the_first_error_of_all_pods_is_told_and_a_mistake_ends_a_set_that_asks_for_it(asked: Obj):
    w = started(annotations=asked, failurePolicy={"maxRestarts": 3})
    give_pods(w, *w.names(JOB))
    says(w, "js-workers-0-x", "RuntimeError: Connection closed by peer", "01.1")
    says(w, "js-workers-1-x", "ModuleNotFoundError: No module named 'x'", "01.5")
    for name in ("js-workers-0-x", "js-workers-1-x"):
        w.change(POD, name, {"spec": {"containers": [{"name": "main"}]}})
        w.exit(name, 1, container="main")
    fail(w, "js-workers-0")
    w.settle()
    first = "pod js-workers-1-x exited with code 1: ModuleNotFoundError: No module named 'x'"
    assert w.told("JobSetPodFailed")[0] == first
    assert (reasons(w)[0][::2] == ("Failed", "UserError")) is bool(asked)
    if asked:
        assert first in w.status["conditions"][0]["message"]
    else:
        assert w.status["restarts"] == 1


def test_what_the_pods_of_a_former_attempt_said_is_kept():
    w = started(failurePolicy={"maxRestarts": 3})
    give_pods(w, *w.names(JOB))
    for name in w.names(POD):
        w.change(POD, name, {"spec": {"containers": [{"name": "main"}]}})
    says(w, "js-workers-1-x", "OSError: shard 7", "01.5")
    fail(w, "js-workers-1")
    w.settle()
    assert w.status["restarts"] == 1
    (kept,) = keeping.read(w.of(CONFIG_MAP), {"subject-uid"})
    assert kept.epoch == 0
    assert [text.endswith(b"OSError: shard 7\n") for text in kept.texts.values()] == [True]
