"""Init containers run one after the other; sidecars are those of them that stay."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import find, is_true
from argosy.meta.json import dig
from conformance.manifests import container_of, ending_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_SHARED = [{"name": "shared", "emptyDir": {}}]
_MOUNTS = [{"name": "shared", "mountPath": "/shared"}]


async def test_init_containers_run_in_order_and_to_their_end_before_the_others(namespace):
    first = shell("sleep 1; echo first >> /shared/order", "first", volumeMounts=_MOUNTS)
    second = shell("echo second >> /shared/order", "second", volumeMounts=_MOUNTS)
    main = shell("cat /shared/order", volumeMounts=_MOUNTS)
    spec = pod_spec(main, initContainers=[first, second], volumes=_SHARED, restartPolicy="Never")
    await namespace.pod("ordered", spec)

    states = []

    def ended(pod):
        states.append(pod)
        return pod["status"].get("phase") == "Succeeded"

    pod = await namespace.until(kinds.POD, "ordered", ended)
    assert await namespace.log("ordered") == "first\nsecond\n"
    assert [each["name"] for each in pod["status"]["initContainerStatuses"]] == ["first", "second"]
    assert ending_of(pod, "first")["finishedAt"] <= ending_of(pod, "second")["startedAt"]
    assert container_of(pod, "first")["ready"] is True, "an init container that ended well counts as ready"
    waiting = [state for state in states if "running" in container_of(state, "first")["state"]]
    assert waiting, "the first ran for a second"
    assert find(waiting[-1], "Initialized")["status"] == "False"
    assert find(waiting[-1], "Initialized")["reason"] == "ContainersNotInitialized"
    assert dig(container_of(waiting[-1]), "state", "waiting", "reason") == "PodInitializing"


async def test_an_init_container_that_fails_fails_the_pod_that_never_restarts(namespace):
    spec = pod_spec(shell("echo never"), initContainers=[shell("exit 4", "first")], restartPolicy="Never")
    await namespace.pod("fails", spec)
    pod = await namespace.ended("fails")
    assert pod["status"]["phase"] == "Failed"
    assert ending_of(pod, "first")["exitCode"] == 4
    assert not ending_of(pod), "the container proper never ran"
    assert not is_true(pod, "Initialized")


async def test_an_init_container_that_fails_is_tried_again(namespace):
    again = shell("[ -e /shared/tried ] || { touch /shared/tried; exit 1; }", "first", volumeMounts=_MOUNTS)
    await namespace.pod("again", pod_spec(sleeper(), initContainers=[again], volumes=_SHARED))
    pod = await namespace.ready("again")
    assert container_of(pod, "first")["restartCount"] == 1


async def test_a_sidecar_starts_first_and_ends_last_and_holds_nothing_up(namespace):
    tell = "date +%s%N >> /shared/sidecar"
    sidecar = shell(
        f"trap 'echo ended >> /shared/order; exit 0' TERM; echo started >> /shared/order; {tell}; while true; do sleep 0.1; done",
        "sidecar",
        restartPolicy="Always",
        volumeMounts=_MOUNTS,
    )
    later = shell("grep started /shared/order && echo init >> /shared/order", "later", volumeMounts=_MOUNTS)
    main = shell("echo main >> /shared/order; cat /shared/order", volumeMounts=_MOUNTS)
    spec = pod_spec(main, initContainers=[sidecar, later], volumes=_SHARED, restartPolicy="Never")
    spec["initContainers"][0]["startupProbe"] = {
        "exec": {"command": ["test", "-e", "/shared/sidecar"]},
        "periodSeconds": 1,
    }
    await namespace.pod("with-sidecar", spec)
    pod = await namespace.ended("with-sidecar")
    assert pod["status"]["phase"] == "Succeeded", "a sidecar does not keep a pod from its end"
    assert await namespace.log("with-sidecar") == "started\ninit\nmain\n"
    ended = container_of(pod, "sidecar")["state"]["terminated"]
    assert ended["finishedAt"] >= ending_of(pod)["finishedAt"]


async def test_a_sidecar_that_ends_is_started_again_and_counts_for_readiness(namespace):
    dies = "[ -e /shared/once ] || { touch /shared/once; exit 0; }; trap 'exit 0' TERM; while true; do sleep 0.1; done"
    sidecar = shell(dies, "sidecar", restartPolicy="Always", volumeMounts=_MOUNTS)
    sidecar["readinessProbe"] = {"exec": {"command": ["test", "-e", "/shared/go"]}, "periodSeconds": 1}
    main = sleeper(volumeMounts=_MOUNTS)
    await namespace.pod("restarts", pod_spec(main, initContainers=[sidecar], volumes=_SHARED))
    pod = await namespace.until(kinds.POD, "restarts", lambda pod: container_of(pod, "sidecar")["restartCount"])
    pod = await namespace.until(kinds.POD, "restarts", lambda pod: "running" in container_of(pod)["state"])
    assert not is_true(pod, "Ready"), "its sidecar is not ready"
    await namespace.says("restarts", "touch", "/shared/go")
    await namespace.ready("restarts")
