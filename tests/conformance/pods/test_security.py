"""The fields of securityContext, seen from inside of the container."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.json import dig
from conformance.cluster import refused
from conformance.manifests import container_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")

_VOLUME = [{"name": "v", "emptyDir": {}}]
_MOUNT = [{"name": "v", "mountPath": "/v"}]


def _status(text):
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


async def test_a_container_runs_as_the_user_and_groups_it_names(namespace):
    pod_wide = {"runAsUser": 1000, "runAsGroup": 3000}
    plain = sleeper("plain")
    own = sleeper("own", securityContext={"runAsUser": 2000})
    await namespace.pod("users", pod_spec(plain, own, securityContext=pod_wide))
    await namespace.ready("users")
    assert await namespace.says("users", "sh", "-c", "id -u; id -g", container="plain") == "1000\n3000\n"
    assert await namespace.says("users", "id", "-u", container="own") == "2000\n", "the container's own goes first"


@pytest.mark.needs("users")
async def test_a_container_is_in_the_further_groups_too(namespace):
    context = {"runAsUser": 1000, "runAsGroup": 3000, "supplementalGroups": [4000]}
    await namespace.pod("groups", pod_spec(sleeper(), securityContext=context))
    await namespace.ready("groups")
    assert "4000" in (await namespace.says("groups", "id", "-G")).split()


async def test_a_container_that_must_not_be_root_is_not_started_as_root(namespace):
    await namespace.pod("root", pod_spec(sleeper(securityContext={"runAsNonRoot": True, "runAsUser": 0})))
    await namespace.pod("other", pod_spec(sleeper(securityContext={"runAsNonRoot": True, "runAsUser": 1000})))

    def not_started(pod):
        return dig(container_of(pod), "state", "waiting", "reason") == "CreateContainerConfigError"

    pod = await namespace.until(kinds.POD, "root", not_started)
    assert "container's runAsUser breaks non-root policy" in container_of(pod)["state"]["waiting"]["message"]
    await namespace.ready("other")


@pytest.mark.needs("users")
async def test_volumes_belong_to_the_group_of_the_file_system(namespace):
    context = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 5000}
    await namespace.pod("group", pod_spec(sleeper(volumeMounts=_MOUNT), volumes=_VOLUME, securityContext=context))
    await namespace.ready("group")
    assert "5000" in (await namespace.says("group", "id", "-G")).split()
    assert await namespace.says("group", "stat", "-c", "%g", "/v") == "5000\n"
    assert await namespace.says("group", "sh", "-c", "touch /v/f; stat -c %u:%g /v/f") == "1000:5000\n"


async def test_a_read_only_root_leaves_only_volumes_to_write_to(namespace):
    context = {"readOnlyRootFilesystem": True}
    await namespace.pod("fixed", pod_spec(sleeper(securityContext=context, volumeMounts=_MOUNT), volumes=_VOLUME))
    await namespace.ready("fixed")
    assert (await namespace.execute("fixed", "touch", "/etc/x")).code
    assert (await namespace.execute("fixed", "touch", "/x")).code
    assert not (await namespace.execute("fixed", "touch", "/v/x")).code


async def test_privileges_cannot_be_gained_where_that_is_forbidden(namespace):
    await namespace.pod("fixed", pod_spec(sleeper(securityContext={"allowPrivilegeEscalation": False})))
    await namespace.ready("fixed")
    assert _status(await namespace.says("fixed", "cat", "/proc/self/status"))["NoNewPrivs"] == "1"


async def test_capabilities_are_dropped_and_added(namespace):
    drops = {"capabilities": {"drop": ["ALL"]}}
    keeps = {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    await namespace.pod(
        "caps", pod_spec(sleeper("none", securityContext=drops), sleeper("bind", securityContext=keeps))
    )
    await namespace.ready("caps")
    none = _status(await namespace.says("caps", "cat", "/proc/self/status", container="none"))
    bind = _status(await namespace.says("caps", "cat", "/proc/self/status", container="bind"))
    assert int(none["CapEff"], 16) == int(none["CapBnd"], 16) == 0
    assert int(bind["CapEff"], 16) == 1 << 10, "CAP_NET_BIND_SERVICE alone"


async def test_the_runtimes_filter_of_system_calls_is_in_force(namespace):
    context = {"seccompProfile": {"type": "RuntimeDefault"}}
    await namespace.pod("filtered", pod_spec(sleeper(securityContext=context)))
    await namespace.ready("filtered")
    assert _status(await namespace.says("filtered", "cat", "/proc/self/status"))["Seccomp"] == "2"


async def test_a_pod_sees_neither_processes_nor_files_of_others(namespace):
    await namespace.pod("other", pod_spec(shell("echo secret > /tmp/secret; exec sleep 31337")))
    await namespace.pod("looks", pod_spec(sleeper()))
    await namespace.ready("other")
    await namespace.ready("looks")
    assert "31337" not in await namespace.says("looks", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert (await namespace.execute("looks", "cat", "/tmp/secret")).code


async def test_the_host_name_is_the_pods_or_what_it_says(namespace):
    await namespace.pod("named", pod_spec(sleeper()))
    await namespace.pod(
        "renamed", pod_spec(sleeper(), hostname="other", hostAliases=[{"ip": "203.0.113.7", "hostnames": ["far"]}])
    )
    await namespace.ready("named")
    await namespace.ready("renamed")
    assert await namespace.says("named", "hostname") == "named\n"
    assert await namespace.says("renamed", "hostname") == "other\n"
    assert "203.0.113.7\tfar" in await namespace.says("renamed", "cat", "/etc/hosts")


async def test_standards_are_enforced_by_the_namespace(cluster, namespace):
    """PodSecurity: `restricted` refuses what `privileged` takes."""
    strict = await cluster.namespace(**{"pod-security.kubernetes.io/enforce": "restricted"})
    try:
        await namespace.pod("plain", pod_spec(sleeper()))
        error = await refused(strict.pod("plain", pod_spec(sleeper())))
        assert error.code == 403
        assert 'violates PodSecurity "restricted:latest"' in str(error)
        context = {
            "runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        await strict.pod("modest", pod_spec(sleeper(securityContext=context)))
        await strict.ready("modest")
    finally:
        await strict.delete()
