"""What a pod may demand: met, refused with a reason, or told; never weaker in silence."""

from __future__ import annotations

import pytest

from argosy.engine.node.demands import HOST_IPC, HOST_NETWORK, HOST_PID, PRIVILEGED, Abilities, refusal, shortfalls
from argosy.engine.node.runtime.spec import Level

ABLE = Abilities(Level.L2, many_users=True)


def pod(context: dict | None = None, **spec: object) -> dict:
    return {"spec": {"containers": [{"name": "c", "securityContext": context or {}}], **spec}}


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        (pod({"privileged": True}), "ARGOSY_ALLOW=privileged"),
        (pod(hostNetwork=True), "ARGOSY_ALLOW=hostNetwork"),
        (pod(hostPID=True), "processes"),
        (pod(hostIPC=True), "IPC"),
        (pod(runtimeClassName="kata"), "kata"),
        (pod({"capabilities": {"add": ["SYS_ADMIN", "CAP_SYS_BOOT", "NET_ADMIN"]}}), "SYS_ADMIN, SYS_BOOT, which"),
        (pod({"capabilities": {"add": ["ALL"]}}), "ALL"),
        (pod({"seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}}), "x.json"),
        (pod({"appArmorProfile": {"type": "Localhost", "localhostProfile": "y"}}), "appArmorProfile y"),
        (
            pod(securityContext={"sysctls": [{"name": "vm.swappiness", "value": "1"}]}),
            "vm.swappiness, which is not of a pod's own namespaces",
        ),
        (pod({"procMount": "Unmasked"}), "/proc"),
        (pod(initContainers=[{"name": "i", "securityContext": {"privileged": True}}]), "container i is privileged"),
    ],
)
def test_what_cannot_be_given_is_refused(asked, word):
    assert word in refusal(asked, ABLE)


@pytest.mark.parametrize(
    "asked",
    [
        pod(),
        pod({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}}),
        pod({"seccompProfile": {"type": "RuntimeDefault"}, "allowPrivilegeEscalation": True}),
        pod({"runAsUser": 1000, "readOnlyRootFilesystem": True}, securityContext={"fsGroup": 5}),
    ],
)
def test_what_can_be_given_is_not(asked):
    assert refusal(asked, ABLE) == ""
    assert shortfalls(asked, ABLE) == []


def test_some_demands_can_be_allowed():
    able = Abilities(Level.L2, many_users=True, allowed=frozenset({HOST_NETWORK, PRIVILEGED}))
    assert refusal(pod({"privileged": True}, hostNetwork=True), able) == ""
    assert "without the host's devices" in shortfalls(pod({"privileged": True}), able)[0]


def test_everything_that_would_have_to_be_allowed_is_said_at_once():
    asked = pod(hostPID=True, hostNetwork=True, hostIPC=True)  # as `kubectl debug node/x` makes it
    message = refusal(asked, ABLE)
    assert "ARGOSY_ALLOW=hostIPC,hostNetwork,hostPID" in message
    able = Abilities(Level.L2, many_users=True, allowed=frozenset({HOST_NETWORK, HOST_PID, HOST_IPC}))
    assert refusal(asked, able) == ""
    (told,) = shortfalls(asked, able)
    assert "IPC objects of its own" in told


def test_parameters_of_a_pods_own_namespaces():
    asked = pod(securityContext={"sysctls": [{"name": "net/core/somaxconn", "value": "1"}]})
    of_ipc = pod(securityContext={"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]})
    assert refusal(asked, ABLE) == refusal(of_ipc, ABLE) == ""
    lower = Abilities(Level.L1, many_users=True)
    assert "net.core.somaxconn, which would be this machine's own" in refusal(asked, lower)
    assert refusal(of_ipc, lower) == ""
    assert "L0" in refusal(of_ipc, Abilities(Level.L0, many_users=True))
    climbing = pod(securityContext={"sysctls": [{"name": "net/../vm/swappiness", "value": "1"}]})
    assert refusal(climbing, ABLE)


def test_tracing_within_ones_own_user_is_told():
    asked = pod({"capabilities": {"add": ["SYS_PTRACE"]}}, shareProcessNamespace=True)
    assert refusal(asked, ABLE) == ""
    (told,) = shortfalls(asked, ABLE)
    assert "its own user" in told


def test_the_host_is_shared_anyway_below():
    assert refusal(pod(hostNetwork=True), Abilities(Level.L1, many_users=False)) == ""
    plain = Abilities(Level.L0, many_users=False)
    assert refusal(pod(hostPID=True), plain) == ""
    told = shortfalls(pod({"runAsUser": 7, "readOnlyRootFilesystem": True}), plain)
    assert len(told) == 2
    assert all("L0" in each for each in told)
