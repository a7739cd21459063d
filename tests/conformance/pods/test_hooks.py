"""postStart and preStop, and the grace that a container is given to end."""

from __future__ import annotations

import pytest

from argosy import kinds
from conformance import programs
from conformance.manifests import container_of, ending_of, pod_spec, python, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_SHARED = [{"name": "shared", "emptyDir": {}}]
_MOUNTS = [{"name": "shared", "mountPath": "/shared"}]


def _exec(script):
    return {"exec": {"command": ["sh", "-c", script]}}


async def _last_word(namespace, name):
    """How a pod's containers had ended when it was last seen."""
    states = []

    def gone(found):
        states.extend(found.values())
        return not found

    await namespace.observe(kinds.POD, gone)
    ended = [each for each in states if each["metadata"]["name"] == name and ending_of(each)]
    assert ended, "the end was never reported"
    return ended[-1]


async def test_post_start_ends_before_the_container_counts_as_running(namespace):
    lifecycle = {"postStart": _exec("sleep 1; echo post >> /shared/log")}
    first = sleeper("first", lifecycle=lifecycle, volumeMounts=_MOUNTS)
    second = shell("cat /shared/log; trap 'exit 0' TERM; sleep 100 & wait", "second", volumeMounts=_MOUNTS)
    await namespace.pod("hooked", pod_spec(first, second, volumes=_SHARED))
    await namespace.ready("hooked")
    assert await namespace.says("hooked", "cat", "/shared/log", container="first") == "post\n"


async def test_a_post_start_that_fails_ends_the_container(namespace):
    await namespace.pod("hooked", pod_spec(sleeper(lifecycle={"postStart": _exec("exit 3")})))
    await namespace.event("hooked", "FailedPostStartHook")
    pod = await namespace.until(kinds.POD, "hooked", lambda pod: container_of(pod)["restartCount"] or ending_of(pod))
    assert ending_of(pod)


async def test_post_start_may_ask_by_http(namespace):
    server = python(programs.WEB, "server", readinessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1})
    await namespace.pod("server", pod_spec(server))
    address = (await namespace.ready("server"))["status"]["podIP"]
    hook = {"httpGet": {"host": address, "port": 8080, "path": "/started"}}
    await namespace.pod("asks", pod_spec(sleeper(lifecycle={"postStart": hook})))
    await namespace.ready("asks")
    assert "/started" in await namespace.log("server")


async def test_pre_stop_ends_before_the_container_is_asked_to(namespace):
    script = "trap 'echo asked >> /shared/log; cat /shared/log > /dev/termination-log; exit 5' TERM; while true; do sleep 0.1; done"
    lifecycle = {"preStop": _exec("sleep 1; echo pre >> /shared/log")}
    await namespace.pod(
        "hooked",
        pod_spec(
            shell(script, lifecycle=lifecycle, volumeMounts=_MOUNTS), volumes=_SHARED, terminationGracePeriodSeconds=30
        ),
    )
    await namespace.ready("hooked")
    await namespace.remove(kinds.POD, "hooked")
    ended = ending_of(await _last_word(namespace, "hooked"))
    assert ended["exitCode"] == 5
    assert ended["message"] == "pre\nasked\n"


_DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("/tmp/deaf", "w").close()
while True:
    signal.pause()
"""


def _deaf():
    """A container that is ready once it hears no request to end."""
    return python(_DEAF, readinessProbe={"exec": {"command": ["test", "-e", "/tmp/deaf"]}, "periodSeconds": 1})


async def test_a_container_that_does_not_end_is_killed_when_its_grace_is_over(namespace):
    await namespace.pod("stubborn", pod_spec(_deaf(), terminationGracePeriodSeconds=2))
    await namespace.ready("stubborn")
    await namespace.remove(kinds.POD, "stubborn")
    ended = ending_of(await _last_word(namespace, "stubborn"))
    assert ended["exitCode"] == 137


async def test_who_deletes_may_give_another_grace(namespace):
    await namespace.pod("stubborn", pod_spec(_deaf(), terminationGracePeriodSeconds=3600))
    await namespace.ready("stubborn")
    await namespace.remove(kinds.POD, "stubborn", grace_seconds=1)
    await namespace.until_gone(kinds.POD, "stubborn", seconds=60)


async def test_deletion_without_grace_is_at_once(namespace):
    await namespace.pod(
        "now", pod_spec(shell("trap '' TERM; while true; do sleep 1; done"), terminationGracePeriodSeconds=3600)
    )
    await namespace.ready("now")
    await namespace.remove(kinds.POD, "now", grace_seconds=0)
    await namespace.until_gone(kinds.POD, "now", seconds=30)


async def test_pre_stop_may_simply_sleep(namespace):
    script = "trap 'date +%s > /dev/termination-log; exit 0' TERM; while true; do sleep 0.1; done"
    await namespace.pod(
        "sleeps",
        pod_spec(shell(script, lifecycle={"preStop": {"sleep": {"seconds": 2}}}), terminationGracePeriodSeconds=30),
    )
    await namespace.ready("sleeps")
    before = int(await namespace.says("sleeps", "date", "+%s"))
    await namespace.remove(kinds.POD, "sleeps")
    ended = ending_of(await _last_word(namespace, "sleeps"))
    assert int(ended["message"]) - before >= 2
