"""Restart policies, back-off, and how a container's end is told."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest

from argosy import kinds
from argosy.meta.conditions import find
from argosy.meta.json import dig
from conformance.manifests import container_of, ending_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_SHARED = [{"name": "shared", "emptyDir": {}}]
_MOUNTS = [{"name": "shared", "mountPath": "/shared"}]


async def test_on_failure_restarts_what_failed_and_keeps_what_ended_well(namespace):
    fails_once = shell("[ -e /shared/tried ] || { touch /shared/tried; exit 9; }", "fails", volumeMounts=_MOUNTS)
    spec = pod_spec(fails_once, shell("exit 0", "good"), volumes=_SHARED, restartPolicy="OnFailure")
    await namespace.pod("on-failure", spec)
    pod = await namespace.ended("on-failure")
    assert pod["status"]["phase"] == "Succeeded"
    assert container_of(pod, "fails")["restartCount"] == 1
    assert container_of(pod, "fails")["lastState"]["terminated"]["exitCode"] == 9
    assert container_of(pod, "good")["restartCount"] == 0


async def test_always_restarts_also_what_ended_well(namespace):
    script = (
        "[ -e /shared/once ] || { touch /shared/once; exit 0; }; trap 'exit 0' TERM; while true; do sleep 0.1; done"
    )
    await namespace.pod("always", pod_spec(shell(script, volumeMounts=_MOUNTS), volumes=_SHARED))

    def again(pod):
        return container_of(pod)["restartCount"] == 1 and "running" in container_of(pod)["state"]

    pod = await namespace.until(kinds.POD, "always", again)
    last = container_of(pod)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (0, "Completed")
    assert last["containerID"] != container_of(pod)["containerID"]
    assert pod["status"]["phase"] == "Running"


async def test_a_container_that_keeps_failing_backs_off(namespace):
    await namespace.pod("crashes", pod_spec(shell("echo this time; exit 1")))

    def backs_off(pod):
        return dig(container_of(pod), "state", "waiting", "reason") == "CrashLoopBackOff"

    pod = await namespace.until(kinds.POD, "crashes", backs_off)
    message = container_of(pod)["state"]["waiting"]["message"]
    assert message.startswith("back-off ")
    assert "restarting failed container=main pod=crashes_" in message
    assert pod["status"]["phase"] == "Running"
    assert ending_of(pod)["exitCode"] == 1
    assert (await namespace.event("crashes", "BackOff"))["type"] == "Warning"
    assert "this time" in await namespace.log("crashes", previous="true")


@pytest.mark.slow
async def test_the_back_off_grows(namespace):
    await namespace.pod("crashes", pod_spec(shell("exit 1")))
    starts = []

    def four(pod):
        ended = ending_of(pod)
        if ended and (not starts or starts[-1] != ended["startedAt"]):
            starts.append(ended["startedAt"])
        return len(starts) == 4

    await namespace.until(kinds.POD, "crashes", four)
    times = [datetime.fromisoformat(start) for start in starts]
    gaps = [(later - sooner).total_seconds() for sooner, later in itertools.pairwise(times)]
    assert gaps[0] < gaps[1] < gaps[2], gaps
    assert gaps[2] >= 15


def _ends_by(way):
    return way if way.startswith("exit") else f"sleep 60 & {way} $!; wait $!"


async def test_signals_and_exit_codes_are_told_apart(namespace):
    endings = {"code": ("exit 42", 42), "killed": ("kill -9", 137), "asked": ("kill -15", 143)}
    # The shell tells of its child: a container's own first process takes no signals of its namespace.
    containers = [shell(_ends_by(way), name) for name, (way, _) in endings.items()]
    await namespace.pod("codes", pod_spec(*containers, restartPolicy="Never"))
    pod = await namespace.ended("codes")
    for name, (_, code) in endings.items():
        assert ending_of(pod, name)["exitCode"] == code, name
        assert ending_of(pod, name)["reason"] == "Error"


async def test_a_command_that_is_not_there_is_a_start_error(namespace):
    missing = {**sleeper(), "command": ["/no/such/program"]}
    await namespace.pod("missing", pod_spec(missing, restartPolicy="Never"))
    pod = await namespace.until(
        kinds.POD, "missing", lambda pod: ending_of(pod) or pod["status"].get("phase") == "Failed"
    )
    assert ending_of(pod)["reason"] in ("StartError", "ContainerCannotRun"), "the words are the container runtime's"
    assert ending_of(pod)["exitCode"] in (127, 128)
    assert "/no/such/program" in ending_of(pod)["message"]


async def test_a_container_that_uses_more_memory_than_its_limit_is_killed_for_it(namespace):
    hungry = shell("head -c 200m /dev/zero | tail", resources={"limits": {"memory": "50Mi"}})
    # One process, so that it is the container's first that dies whatever the kernel chooses.
    hungry["command"] = ["sh", "-c", "exec tail /dev/zero"]
    await namespace.pod("hungry", pod_spec(hungry, restartPolicy="Never"))
    pod = await namespace.ended("hungry")
    assert ending_of(pod)["reason"] == "OOMKilled"
    assert ending_of(pod)["exitCode"] == 137
    assert pod["status"]["phase"] == "Failed"


async def test_the_termination_message_comes_from_its_file_or_from_the_log(namespace):
    written = shell("echo -n all is well > /dev/termination-log", "written")
    elsewhere = shell("echo -n here > /tmp/said", "elsewhere", terminationMessagePath="/tmp/said")
    fallback = shell("echo the last words; exit 1", "fallback", terminationMessagePolicy="FallbackToLogsOnError")
    unneeded = shell("echo not these", "unneeded", terminationMessagePolicy="FallbackToLogsOnError")
    spec = pod_spec(written, elsewhere, fallback, unneeded, restartPolicy="Never")
    await namespace.pod("told", spec)
    pod = await namespace.ended("told")
    assert ending_of(pod, "written")["message"] == "all is well"
    assert ending_of(pod, "elsewhere")["message"] == "here"
    assert ending_of(pod, "fallback")["message"] == "the last words\n"
    assert "message" not in ending_of(pod, "unneeded")


async def test_a_termination_message_is_cut_at_4096_bytes(namespace):
    await namespace.pod(
        "long", pod_spec(shell("head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log"), restartPolicy="Never")
    )
    pod = await namespace.ended("long")
    assert len(ending_of(pod)["message"]) == 4096


async def test_a_pod_that_is_over_its_deadline_fails(namespace):
    await namespace.pod("late", pod_spec(sleeper(), activeDeadlineSeconds=1))
    pod = await namespace.ended("late")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert "active on the node longer than the specified deadline" in pod["status"]["message"].lower()
    pod = await namespace.until(kinds.POD, "late", ending_of)
    assert find(pod, "Ready")["status"] == "False"
