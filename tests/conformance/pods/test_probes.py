"""Startup, readiness and liveness probes, by each of the four ways of asking."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.conditions import is_true
from argosy.meta.json import dig
from conformance import programs
from conformance.manifests import container_of, ending_of, pod_spec, python, sleeper

pytestmark = pytest.mark.needs("pods")

_WAYS = {
    "exec": (programs.WEB, {"exec": {"command": ["sh", "-c", "! [ -e /tmp/unwell ]"]}}),
    "http": (programs.WEB, {"httpGet": {"path": "/health", "port": "web"}}),
    "grpc": (programs.HEALTH, {"grpc": {"port": 5000}}),
}
_PORTS = [{"name": "web", "containerPort": 8080}]


def _asked(way, **fields):
    program, probe = _WAYS[way]
    return python(
        program, ports=_PORTS, **{name: {**probe, "periodSeconds": 1, **times} for name, times in fields.items()}
    )


@pytest.mark.parametrize("way", _WAYS)
async def test_readiness_follows_what_the_probe_says(namespace, way):
    await namespace.pod("asked", pod_spec(_asked(way, readinessProbe={"failureThreshold": 1})))
    await namespace.ready("asked")
    await namespace.says("asked", "touch", "/tmp/unwell")
    pod = await namespace.until(kinds.POD, "asked", lambda pod: not is_true(pod, "Ready"))
    assert not container_of(pod)["ready"]
    await namespace.says("asked", "rm", "/tmp/unwell")
    pod = await namespace.ready("asked")
    assert container_of(pod)["restartCount"] == 0, "readiness restarts nothing"
    assert "Readiness probe failed" in (await namespace.event("asked", "Unhealthy"))["message"]


@pytest.mark.parametrize("way", _WAYS)
async def test_a_container_that_is_no_longer_alive_is_restarted(namespace, way):
    await namespace.pod("asked", pod_spec(_asked(way, livenessProbe={"failureThreshold": 1}, readinessProbe={})))
    await namespace.ready("asked")
    await namespace.says("asked", "touch", "/tmp/unwell")
    pod = await namespace.until(kinds.POD, "asked", lambda pod: container_of(pod)["restartCount"])
    assert ending_of(pod)["exitCode"] in (137, 143)
    await namespace.event("asked", "Unhealthy", "Liveness probe failed")
    assert "failed liveness probe, will be restarted" in (await namespace.event("asked", "Killing"))["message"]


async def test_a_tcp_probe_needs_somebody_who_listens(namespace):
    open_port = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    shut_port = {"tcpSocket": {"port": 8081}, "periodSeconds": 1, "failureThreshold": 1}
    await namespace.pod("open", pod_spec(python(programs.WEB, readinessProbe=open_port)))
    await namespace.pod("shut", pod_spec(python(programs.WEB, readinessProbe=shut_port)))
    await namespace.ready("open")
    await namespace.event("shut", "Unhealthy")
    assert not is_true(await namespace.get(kinds.POD, "shut"), "Ready")


async def test_an_http_probe_sends_its_headers_and_takes_errors_for_failures(namespace):
    headers = [{"name": "X-Asked", "value": "by the kubelet"}]
    good = {"httpGet": {"path": "/well", "port": 8080, "httpHeaders": headers}, "periodSeconds": 1}
    bad = {"httpGet": {"path": "/unwell", "port": 8080}, "periodSeconds": 1}
    await namespace.pod("good", pod_spec(python(programs.WEB, readinessProbe=good)))
    await namespace.pod("bad", pod_spec(python(programs.WEB, readinessProbe=bad)))
    await namespace.ready("good")
    assert "/well" in await namespace.log("good")
    await namespace.until(kinds.POD, "bad", lambda pod: "running" in container_of(pod)["state"])

    def failed_with_404(events):
        return any("statuscode: 404" in each.get("message", "") for each in events.values())

    await namespace.observe(kinds.EVENT, failed_with_404)


async def test_the_other_probes_wait_until_the_startup_probe_has_succeeded(namespace):
    container = sleeper(
        startupProbe={"exec": {"command": ["test", "-e", "/tmp/started"]}, "periodSeconds": 1, "failureThreshold": 100},
        livenessProbe={"exec": {"command": ["test", "-e", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1},
    )
    await namespace.pod("slow", pod_spec(container))
    pod = await namespace.until(kinds.POD, "slow", lambda pod: "running" in container_of(pod)["state"])
    assert container_of(pod)["started"] is False
    assert not is_true(pod, "Ready"), "a container that has not started is not ready"
    assert "Startup probe failed" in (await namespace.event("slow", "Unhealthy"))["message"]
    await namespace.says("slow", "touch", "/tmp/alive", "/tmp/started")
    pod = await namespace.ready("slow")
    assert container_of(pod)["started"] is True
    assert container_of(pod)["restartCount"] == 0, "the liveness probe was not asked before"


async def test_a_container_that_never_starts_up_is_restarted(namespace):
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 2}
    await namespace.pod("never", pod_spec(sleeper(startupProbe=probe)))
    await namespace.until(kinds.POD, "never", lambda pod: container_of(pod)["restartCount"])
    assert "failed startup probe, will be restarted" in (await namespace.event("never", "Killing"))["message"]


async def test_a_probe_that_takes_too_long_has_failed(namespace):
    probe = {"exec": {"command": ["sleep", "10"]}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}
    await namespace.pod("hangs", pod_spec(sleeper(livenessProbe=probe)))
    await namespace.until(kinds.POD, "hangs", lambda pod: container_of(pod)["restartCount"])


async def test_thresholds_are_counted(namespace):
    # The first two answers are bad, and three good ones in a row are wanted.
    script = "n=$(cat /tmp/n 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/n; [ $n -ge 2 ]"
    probe = {"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, "successThreshold": 3}
    await namespace.pod("counts", pod_spec(sleeper(readinessProbe=probe)))
    await namespace.ready("counts")
    assert int(await namespace.says("counts", "cat", "/tmp/n")) >= 5


async def test_a_probe_may_shorten_the_grace_of_what_it_ends(namespace):
    stubborn = python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()")
    stubborn["livenessProbe"] = {
        "exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1, "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    await namespace.pod("stubborn", pod_spec(stubborn, terminationGracePeriodSeconds=3600))
    pod = await namespace.until(kinds.POD, "stubborn", lambda pod: container_of(pod)["restartCount"])
    assert dig(ending_of(pod), "exitCode") == 137
