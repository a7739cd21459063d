"""Jobs and CronJobs: completions, indexes, what failures mean, and when what is started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from argosy import kinds
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from argosy.meta.objects import annotations_of, controller_of, is_deleting, labels_of
from conformance.manifests import ending_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_INDEX = "batch.kubernetes.io/job-completion-index"


def _job(script, restart="Never", **spec):
    container = script if isinstance(script, dict) else shell(script)
    return {
        "metadata": {"name": "work"},
        "spec": {"template": {"spec": pod_spec(container, restartPolicy=restart)}, **spec},
    }


async def _run(namespace, script, **spec):
    """A job once it is over."""
    await namespace.create(kinds.JOB, _job(script, **spec))
    return await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Complete") or is_true(job, "Failed"))


async def test_a_job_is_complete_when_enough_of_its_pods_have_succeeded(namespace):
    await namespace.create(kinds.JOB, _job("true", completions=3, parallelism=2))
    most = []

    def over(pods):
        most.append(sum(pod["status"].get("phase") in ("Pending", "Running") for pod in pods.values()))
        return sum(pod["status"].get("phase") == "Succeeded" for pod in pods.values()) == 3

    await namespace.observe(kinds.POD, over)
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Complete"))
    assert max(most) <= 2
    assert job["status"]["succeeded"] == 3
    assert job["status"]["startTime"] <= job["status"]["completionTime"]
    for pod in await namespace.list(kinds.POD):
        assert controller_of(pod)["name"] == labels_of(pod)["batch.kubernetes.io/job-name"] == "work"
        assert labels_of(pod)["batch.kubernetes.io/controller-uid"] == job["metadata"]["uid"]
    first = (await namespace.list(kinds.POD))[0]["metadata"]["name"]
    await namespace.remove(kinds.POD, first)
    await namespace.until_gone(kinds.POD, first)
    assert (await namespace.get(kinds.JOB, "work"))["status"]["succeeded"] == 3, "what was counted stays counted"


async def test_a_job_fails_when_its_pods_failed_too_often(namespace):
    job = await _run(namespace, "exit 1", backoffLimit=0)
    assert find(job, "Failed")["reason"] == "BackoffLimitExceeded"
    assert is_true(job, "FailureTarget")
    assert job["status"]["failed"] == 1


@pytest.mark.slow
async def test_a_failed_pod_is_replaced(namespace):
    job = await _run(namespace, "exit 1", backoffLimit=1)
    assert find(job, "Failed")["reason"] == "BackoffLimitExceeded"
    assert job["status"]["failed"] == 2
    assert len(await namespace.list(kinds.POD)) == 2


async def test_a_pod_may_be_restarted_where_it_is(namespace):
    again = shell("[ -e /s/tried ] || { touch /s/tried; exit 1; }", volumeMounts=[{"name": "s", "mountPath": "/s"}])
    made = _job(again, restart="OnFailure")
    made["spec"]["template"]["spec"]["volumes"] = [{"name": "s", "emptyDir": {}}]
    await namespace.create(kinds.JOB, made)
    await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Complete"))
    assert len(await namespace.list(kinds.POD)) == 1


async def test_each_index_is_completed_once(namespace):
    script = "echo $JOB_COMPLETION_INDEX on $(hostname)"
    job = await _run(namespace, script, completionMode="Indexed", completions=3, parallelism=3)
    assert is_true(job, "Complete")
    assert job["status"]["completedIndexes"] == "0-2"
    for pod in await namespace.list(kinds.POD):
        index = annotations_of(pod)[_INDEX]
        assert labels_of(pod)[_INDEX] == index
        assert pod["metadata"]["name"].startswith(f"work-{index}-")
        assert await namespace.log(pod["metadata"]["name"]) == f"{index} on work-{index}\n"


async def test_indexes_have_limits_of_their_own(namespace):
    script = "exit $JOB_COMPLETION_INDEX"
    indexed = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    job = await _run(namespace, script, backoffLimitPerIndex=0, **indexed)
    assert find(job, "Failed")["reason"] == "FailedIndexes"
    assert (job["status"]["completedIndexes"], job["status"]["failedIndexes"]) == ("0", "1")


async def test_enough_failed_indexes_end_the_job(namespace):
    script = "[ $JOB_COMPLETION_INDEX != 0 ] || exit 1; trap 'exit 0' TERM; sleep 600 & wait"
    indexed = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    job = await _run(namespace, script, backoffLimitPerIndex=0, maxFailedIndexes=0, **indexed)
    assert find(job, "Failed")["reason"] == "MaxFailedIndexesExceeded"


async def test_a_policy_decides_by_exit_codes(namespace):
    fatal = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    job = await _run(namespace, "exit 42", backoffLimit=6, podFailurePolicy={"rules": [fatal]})
    assert find(job, "Failed")["reason"] == "PodFailurePolicy"
    assert "exit code 42" in find(job, "Failed")["message"]
    assert job["status"]["failed"] == 1


async def test_a_policy_may_count_nothing_for_what_was_disrupted(namespace):
    ignore = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    script = "trap 'exit 1' TERM; while ! [ -e /tmp/end ]; do sleep 0.1; done"
    await namespace.create(kinds.JOB, _job(script, backoffLimit=0, podFailurePolicy={"rules": [ignore]}))

    def running(pods):
        return [pod for pod in pods.values() if pod["status"].get("phase") == "Running" and not is_deleting(pod)]

    (pod,) = await namespace.observe(kinds.POD, running)
    first = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": namespace.name}}
    await namespace.client.create_subresource(kinds.POD, namespace.key(first), "eviction", eviction)
    second = await namespace.observe(
        kinds.POD, lambda pods: [p for p in running(pods) if p["metadata"]["name"] != first]
    )
    await namespace.says(second[0]["metadata"]["name"], "touch", "/tmp/end")
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Complete"))
    assert not job["status"].get("failed")


async def test_a_success_policy_ends_the_job_early(namespace):
    script = "[ $JOB_COMPLETION_INDEX = 0 ] && exit 0; trap 'exit 0' TERM; sleep 600 & wait"
    rules = {"rules": [{"succeededIndexes": "0"}]}
    job = await _run(namespace, script, completionMode="Indexed", completions=2, parallelism=2, successPolicy=rules)
    assert is_true(job, "Complete")
    assert find(job, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"
    assert job["status"]["completedIndexes"].startswith("0")


async def test_a_suspended_job_has_no_pods_until_it_is_resumed(namespace):
    await namespace.create(kinds.JOB, _job("true", suspend=True))
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Suspended"))
    assert find(job, "Suspended")["reason"] == "JobSuspended"
    assert not dig(job, "status", "startTime")
    assert not await namespace.list(kinds.POD)
    await namespace.patch(kinds.JOB, "work", {"spec": {"suspend": False}})
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Complete"))
    assert (find(job, "Suspended")["status"], find(job, "Suspended")["reason"]) == ("False", "JobResumed")


async def test_a_job_that_is_suspended_loses_its_running_pods(namespace):
    await namespace.create(kinds.JOB, _job(sleeper()))
    await namespace.until(kinds.JOB, "work", lambda job: dig(job, "status", "active") == 1)
    await namespace.patch(kinds.JOB, "work", {"spec": {"suspend": True}})
    await namespace.observe(kinds.POD, lambda pods: not pods)
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Suspended"))
    assert not job["status"].get("failed")


async def test_a_job_over_its_deadline_fails(namespace):
    job = await _run(namespace, sleeper(), activeDeadlineSeconds=1)
    assert find(job, "Failed")["reason"] == "DeadlineExceeded"


@pytest.mark.needs("controllers", only=True)
async def test_a_job_over_its_deadline_fails_though_no_pod_of_it_ever_ran(namespace):
    made = _job("true", activeDeadlineSeconds=1)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"argosy-conformance/no-such": "node"}
    await namespace.create(kinds.JOB, made)
    job = await namespace.until(kinds.JOB, "work", lambda job: is_true(job, "Failed"))
    assert find(job, "Failed")["reason"] == "DeadlineExceeded"
    await namespace.observe(kinds.POD, lambda pods: not pods)


async def test_a_job_is_removed_some_time_after_its_end(namespace):
    await namespace.create(kinds.JOB, _job("true", ttlSecondsAfterFinished=1))
    await namespace.until_gone(kinds.JOB, "work")
    await namespace.observe(kinds.POD, lambda pods: not pods)


async def test_a_replacement_may_have_to_wait_for_the_end_of_the_pod_before(namespace):
    script = "trap 'while ! [ -e /tmp/go ]; do sleep 0.1; done; exit 1' TERM; while true; do sleep 0.1; done"
    made = _job(script, podReplacementPolicy="Failed", backoffLimit=3)
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 5
    await namespace.create(kinds.JOB, made)
    pods = await namespace.observe(
        kinds.POD, lambda pods: [p for p in pods.values() if p["status"].get("phase") == "Running"]
    )
    first = pods[0]["metadata"]["name"]
    await namespace.remove(kinds.POD, first)
    job = await namespace.until(kinds.JOB, "work", lambda job: dig(job, "status", "terminating") == 1)
    assert not job["status"].get("active")
    assert len(await namespace.list(kinds.POD)) == 1
    await namespace.says(first, "touch", "/tmp/go")
    await namespace.observe(kinds.POD, lambda pods: [name for name in pods if name != first])


async def test_a_job_may_be_managed_by_somebody_else(namespace):
    await namespace.create(kinds.JOB, _job("true", managedBy="example.com/nobody"))
    await namespace.create(kinds.JOB, {**_job("true"), "metadata": {"name": "other"}})
    await namespace.until(kinds.JOB, "other", lambda job: is_true(job, "Complete"))
    assert not (await namespace.get(kinds.JOB, "work"))["status"]


# -- CronJobs. They wait for the full minute: all but one are slow.


def _cron(schedule="* * * * *", script="true", **spec):
    job = {"spec": {"template": {"spec": pod_spec(shell(script), restartPolicy="Never")}}}
    return {"metadata": {"name": "clock"}, "spec": {"schedule": schedule, "jobTemplate": job, **spec}}


@pytest.mark.needs("controllers", only=True)
async def test_a_suspended_cron_job_and_one_of_another_time_of_day_start_nothing(namespace):
    """In Kiritimati it is never the hour that it is in UTC."""
    hour = (datetime.now(UTC) + timedelta(hours=12)).hour
    await namespace.create(kinds.CRON_JOB, _cron(f"* {hour} * * *", timeZone="Etc/UTC", suspend=True))
    made = await namespace.get(kinds.CRON_JOB, "clock")
    assert (made["spec"]["concurrencyPolicy"], made["spec"]["timeZone"]) == ("Allow", "Etc/UTC")
    assert not dig(made, "status", "lastScheduleTime")


@pytest.mark.slow
async def test_a_cron_job_starts_a_job_at_the_full_minute_in_its_time_zone(namespace):
    """Kiritimati is 14 hours ahead of UTC, all year round."""
    now = datetime.now(UTC)
    hours = sorted({(now + timedelta(hours=14, minutes=ahead)).hour for ahead in (0, 5)})
    there = ",".join(map(str, hours))
    await namespace.create(kinds.CRON_JOB, _cron(f"* {there} * * *", timeZone="Pacific/Kiritimati"))
    elsewhere = _cron(f"* {there} * * *", timeZone="Etc/UTC")
    await namespace.create(kinds.CRON_JOB, {**elsewhere, "metadata": {"name": "elsewhere"}})

    def started(jobs):
        return [job for job in jobs.values() if dig(controller_of(job), "name") == "clock"]

    (job,) = await namespace.observe(kinds.JOB, started, seconds=200)
    at = datetime.fromisoformat(annotations_of(job)["batch.kubernetes.io/cronjob-scheduled-timestamp"])
    assert (at.second, at.utcoffset()) == (0, timedelta(hours=14))
    minutes = int(at.timestamp()) // 60
    assert job["metadata"]["name"] == f"clock-{minutes}"
    await namespace.until(kinds.JOB, job["metadata"]["name"], lambda job: is_true(job, "Complete"))
    cron = await namespace.until(kinds.CRON_JOB, "clock", lambda cron: cron["status"].get("lastSuccessfulTime"))
    assert cron["status"]["lastScheduleTime"]
    assert len(await namespace.list(kinds.JOB)) == len(
        started({j["metadata"]["name"]: j for j in await namespace.list(kinds.JOB)})
    )


@pytest.mark.slow
async def test_concurrency_policies_decide_what_becomes_of_a_run_that_is_not_over(namespace):
    script = "trap 'exit 0' TERM; sleep 600 & wait"
    for policy in ("Allow", "Forbid", "Replace"):
        made = _cron(script=script, concurrencyPolicy=policy)
        await namespace.create(kinds.CRON_JOB, {**made, "metadata": {"name": policy.lower()}})
    seen = {"allow": set(), "forbid": set(), "replace": set()}

    def twice(jobs):
        now = {name: set() for name in seen}
        for name, job in jobs.items():
            owner = dig(controller_of(job), "name")
            seen[owner].add(name)
            if not is_deleting(job):
                now[owner].add(name)
        return len(now["allow"]) == 2 and len(seen["replace"]) == 2 and len(now["replace"]) == 1

    await namespace.observe(kinds.JOB, twice, seconds=200)
    assert len(seen["forbid"]) == 1
    assert ending_of  # the runs of `Forbid` and `Allow` go with the namespace


@pytest.mark.slow
async def test_a_cron_job_keeps_as_many_finished_jobs_as_it_is_told_to(namespace):
    await namespace.create(kinds.CRON_JOB, _cron(successfulJobsHistoryLimit=1))
    seen = set()

    def trimmed(jobs):
        seen.update(jobs)
        return len(seen) == 2 and len(jobs) == 1

    await namespace.observe(kinds.JOB, trimmed, seconds=200)
