"""What ssh, sshd and kubectl are told."""

from __future__ import annotations

import pytest

from argosy.programs.rsh import words
from argosy.programs.rsh.words import Call, Exec, Misused, Service


def test_ssh_as_open_mpi_calls_it() -> None:
    call = words.ssh(
        ["-o", "ConnectionAttempts=10", "-x", "pi-worker-0.pi.default.svc", "prted", "--prtemca", "a", '"b"']
    )
    assert call == Call("pi-worker-0.pi.default.svc", 'prted --prtemca a "b"')


def test_ssh_as_hydra_calls_it() -> None:
    call = words.ssh(["-x", "-q", "root@host", "/usr/bin/hydra_pmi_proxy", "--control-port", "a:1"])
    assert call == Call("host", "/usr/bin/hydra_pmi_proxy --control-port a:1")


@pytest.mark.parametrize("port", [["-p", "22"], ["-p22"], ["-o", "Port=22"], ["-oPort=22"], ["-xp", "22"]])
def test_ports(port: list[str]) -> None:
    assert words.ssh([*port, "host", "true"]).port == 22


def test_a_key_is_named() -> None:
    assert words.ssh(["-i", "/keys/id_rsa", "host", "true"]).key == "/keys/id_rsa"


@pytest.mark.parametrize("given", [[], ["host"], ["-p", "many", "host", "true"], ["-p", "0", "host", "true"]])
def test_ssh_misused(given: list[str]) -> None:
    with pytest.raises(Misused):
        words.ssh(given)


def test_sshd() -> None:
    assert words.sshd(["-De"]) == Service()
    assert words.sshd(["-De", "-f", "/home/mpiuser/.sshd_config", "-p", "2200"]) == Service(2200)


def test_kubectl() -> None:
    assert words.kubectl(["exec", "pod-0", "--", "/bin/sh", "-c", "a -- b"]) == Exec(
        "pod-0", ("/bin/sh", "-c", "a -- b")
    )
    told = words.kubectl(["exec", "-i", "-n", "ns", "pod/pod-0", "--container=main", "--", "true"])
    assert told == Exec("pod-0", ("true",), "main", "ns")
    for given in ([], ["get", "pods"], ["exec", "pod-0"], ["exec", "--", "true"]):
        with pytest.raises(Misused):
            words.kubectl(given)
