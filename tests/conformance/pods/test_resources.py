"""Requests and limits: classes of service, what may be used, and what happens to who uses more."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import find
from conformance.manifests import pause, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_CLASSES = {
    "guaranteed": (
        [{"limits": {"cpu": "10m", "memory": "16Mi"}}, {"limits": {"cpu": "10m", "memory": "16Mi"}}],
        "Guaranteed",
    ),
    "burstable": ([{"requests": {"cpu": "10m"}}, {}], "Burstable"),
    "half": ([{"limits": {"cpu": "10m", "memory": "16Mi"}}, {}], "Burstable"),
    "best-effort": ([{}, {}], "BestEffort"),
}


@pytest.mark.needs("controllers", only=True)
async def test_classes_of_service_follow_from_requests_and_limits(namespace):
    for name, (resources, expected) in _CLASSES.items():
        containers = [pause(f"c{number}", resources=each) for number, each in enumerate(resources)]
        made = await namespace.pod(name, pod_spec(*containers))
        assert made["status"]["qosClass"] == expected, name
    requests = (await namespace.get(kinds.POD, "guaranteed"))["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "10m", "memory": "16Mi"}, "limits are requests where there are no others"


async def test_a_pod_that_asks_for_more_than_any_node_has_stays_pending(namespace):
    await namespace.pod("large", pod_spec(pause(resources={"requests": {"cpu": "100000"}})))
    pod = await namespace.until(kinds.POD, "large", lambda pod: find(pod, "PodScheduled"))
    assert "Insufficient cpu" in find(pod, "PodScheduled")["message"]


@pytest.mark.slow
async def test_a_pod_that_fills_its_ephemeral_storage_is_evicted(namespace):
    greedy = shell("head -c 30m /dev/zero > /tmp/fill; sleep 3600", resources={"limits": {"ephemeral-storage": "10Mi"}})
    await namespace.pod("greedy", pod_spec(greedy))
    pod = await namespace.until(kinds.POD, "greedy", lambda pod: pod["status"].get("phase") == "Failed", seconds=300)
    assert pod["status"]["reason"] == "Evicted"
    assert "ephemeral local storage" in pod["status"]["message"].lower()
    assert find(pod, "DisruptionTarget") is None, "a pod over its own limit was not disrupted by anybody"


@pytest.mark.slow
async def test_a_pod_that_fills_an_empty_directory_beyond_its_size_is_evicted(namespace):
    volumes = [{"name": "small", "emptyDir": {"sizeLimit": "10Mi"}}]
    greedy = shell(
        "head -c 30m /dev/zero > /small/fill; sleep 3600", volumeMounts=[{"name": "small", "mountPath": "/small"}]
    )
    await namespace.pod("greedy", pod_spec(greedy, volumes=volumes))
    pod = await namespace.until(kinds.POD, "greedy", lambda pod: pod["status"].get("phase") == "Failed", seconds=300)
    assert pod["status"]["reason"] == "Evicted"
    assert 'emptydir volume "small" exceeds the limit' in pod["status"]["message"].lower()


async def test_a_container_may_not_use_more_than_its_processor_time(namespace):
    """Told by the kernel's own books where the container can read them."""
    await namespace.pod("slow", pod_spec(sleeper(resources={"limits": {"cpu": "250m"}})))
    await namespace.ready("slow")
    read = await namespace.execute("slow", "cat", "/sys/fs/cgroup/cpu.max")
    if read.code:
        pytest.skip("the container does not see its own control group here")
    quota, period = read.stdout.split()
    assert int(quota) / int(period) == 0.25
