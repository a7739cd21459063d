"""kubectl exec, cp, attach, run -i and port-forward with real clients: SPDY of 1.27, WebSocket of 1.30, tunnel of 1.33."""

from __future__ import annotations

import hashlib
import itertools
import os
import pty
import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from engine_home import EngineHome, unavailable

from argosy.engine.node.runtime.probe import best_level
from argosy.engine.node.runtime.spec import Level
from kubectls import USUAL, installed

_KUBECTLS = {name: path for name, path in installed().items() if name in (*USUAL, "kubectl")}
pytestmark = pytest.mark.skipif(not _KUBECTLS, reason="kubectl is not installed")

_MEGABYTES = os.urandom(3_000_000)
_POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: argosy/runtime
    command: [python, -c]
    args:
    - |
      import os, socketserver

      class Echo(socketserver.BaseRequestHandler):
          def handle(self):
              while data := self.request.recv(65536):
                  self.request.sendall(data)

      socketserver.ThreadingTCPServer.daemon_threads = True
      with socketserver.ThreadingTCPServer((os.environ["POD_IP"], 7000), Echo) as server:
          open("/tmp/ready", "w").close()
          server.serve_forever()
    env:
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}
"""


class Cluster:
    """An engine with one pod."""

    def __init__(self, home: EngineHome) -> None:
        state = home.up()
        self.engine = int(state["pid"])
        self.path = home.path
        self.level = home.level
        self.environ = {**home.environ, "KUBECONFIG": str(home.path / "kubeconfig"), "HOME": str(home.path)}
        kubectl = next(iter(_KUBECTLS.values()))
        self.run(kubectl, "apply", "-f", "-", input=_POD.encode())
        self.run(kubectl, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")

    def run(self, kubectl: str, *arguments: str, input: bytes = b"", expect: int = 0) -> bytes:
        """What it printed; fails with everything it said when it does not end as expected."""
        done = subprocess.run(
            [kubectl, *arguments], input=input, capture_output=True, timeout=60, env=self.environ, check=False
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode} {done.stdout!r} {done.stderr.decode()}"
        return done.stdout

    def start(self, kubectl: str, *arguments: str, **streams: int) -> subprocess.Popen[bytes]:
        """In the background."""
        return subprocess.Popen([kubectl, *arguments], env=self.environ, **streams)  # type: ignore[call-overload]

    def descriptors(self) -> int:
        """How many the engine has open."""
        return len(list(Path(f"/proc/{self.engine}/fd").iterdir()))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(level, id=str(level), marks=() if level is best_level()[0] else pytest.mark.slow)
        for level in (Level.L2, Level.L1, Level.L0)
    ],
)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if unavailable(request.param):
        pytest.skip(unavailable(request.param))
    home = EngineHome(request.param)
    try:
        yield Cluster(home)
    finally:
        home.remove()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if "1.30" in name else ()) for name in _KUBECTLS])
def kubectl(request: pytest.FixtureRequest) -> str:
    return _KUBECTLS[request.param]


def test_exec_carries_streams_and_exit_codes(cluster: Cluster, kubectl: str) -> None:
    digest = hashlib.sha256(_MEGABYTES).hexdigest().encode()
    said = cluster.run(kubectl, "exec", "-i", "p", "--", "sh", "-c", "sha256sum; exit 3", input=_MEGABYTES, expect=3)
    assert said.split()[0] == digest
    done = subprocess.run(
        [kubectl, "exec", "p", "--", "sh", "-c", "echo out; echo err >&2"],
        capture_output=True, timeout=60, env=cluster.environ, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_a_terminal(cluster: Cluster, kubectl: str) -> None:
    outer, inner = pty.openpty()
    program = "read line; test -t 0 && echo got $line; exit 4"
    with closing(os.fdopen(outer, "r+b", buffering=0)) as terminal:
        process = cluster.start(
            kubectl, "exec", "-it", "p", "--", "sh", "-c", program, stdin=inner, stdout=inner, stderr=inner
        )
        os.close(inner)
        terminal.write(b"typed\n")
        shown = b""
        try:
            while chunk := terminal.read(4096):
                shown += chunk
        except OSError:  # how a terminal says that nobody is there any more
            pass
        assert process.wait(30) == 4
    assert b"got typed" in shown


def test_files_are_copied_both_ways(cluster: Cluster, kubectl: str, tmp_path: Path) -> None:
    (tmp_path / "sent" / "deep").mkdir(parents=True)
    (tmp_path / "sent" / "deep" / "file").write_bytes(_MEGABYTES)
    place = cluster.run(kubectl, "exec", "p", "--", "mktemp", "-d").decode().strip()
    cluster.run(kubectl, "cp", str(tmp_path / "sent"), f"p:{place}/there")
    cluster.run(kubectl, "cp", f"p:{place}/there", str(tmp_path / "back"))
    cluster.run(kubectl, "exec", "p", "--", "rm", "-r", place)
    assert (tmp_path / "back" / "deep" / "file").read_bytes() == _MEGABYTES


def test_run_with_input_ends_with_it(cluster: Cluster, kubectl: str) -> None:
    name = "r" + Path(kubectl).name.replace(".", "")
    arguments = ("run", name, "-i", "--rm", "-q", "--image=busybox", "--restart=Never", "--grace-period=1", "--")
    said = cluster.run(kubectl, *arguments, "sh", "-c", "echo early; cat; exit 5", input=b"one\ntwo\n", expect=5)
    assert said.startswith(b"early\none\ntwo\n")


@contextmanager
def forwarded(cluster: Cluster, kubectl: str) -> Iterator[int]:
    process = cluster.start(kubectl, "port-forward", "pod/p", ":7000", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> 7000", line)
        assert found, line
        yield int(found[1])
    finally:
        process.kill()
        process.communicate()


def test_ports_are_forwarded(cluster: Cluster, kubectl: str) -> None:
    def echo(port: int, results: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            sending = threading.Thread(target=connection.sendall, args=(_MEGABYTES,))
            sending.start()
            got = bytearray()
            while len(got) < len(_MEGABYTES) and (data := connection.recv(1 << 16)):
                got += data
            sending.join()
            results.append(bytes(got))

    with forwarded(cluster, kubectl) as port:
        results: list[bytes] = []
        threads = [threading.Thread(target=echo, args=(port, results)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [each == _MEGABYTES for each in results] == [True] * 3


def test_twenty_at_once(cluster: Cluster) -> None:
    kubectl = list(_KUBECTLS.values())[-1]
    running = [
        cluster.start(
            kubectl, "exec", "-i", "p", "--", "sh", "-c", f"cat; exit {number}",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for number in range(20)
    ]  # fmt: skip
    said = [process.communicate(b"%d" % number, timeout=60)[0] for number, process in enumerate(running)]
    assert said == [b"%d" % number for number in range(20)]
    assert [process.returncode for process in running] == list(range(20))


@pytest.mark.parametrize("mode", [("-i",), ()], ids=["blocked", "silent"])
def test_a_killed_client_leaves_no_process(cluster: Cluster, kubectl: str, mode: tuple[str, ...]) -> None:
    """The command hangs; with input on its way, too, that it never reads."""
    before = cluster.descriptors()
    mark = str(100_000 + next(_NUMBERS))
    with Path("/dev/zero").open("rb") as endless:
        client = cluster.start(
            kubectl, "exec", *mode, "p", "--", "sh", "-c", f"sleep {mark} & echo up; wait",
            stdin=endless.fileno(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        watches = [os.pidfd_open(pid) for pid in _processes(mark, but=client.pid)]
        assert watches
    finally:
        client.kill()
        client.communicate()
    for watch in watches:
        assert select.select([watch], [], [], 15)[0], "the command lives on"
        os.close(watch)
    assert cluster.descriptors() <= before + 8


_NUMBERS = itertools.count(os.getpid())


def _processes(mark: str, but: int) -> list[int]:
    """Those with the mark in their arguments, by pid."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != but and mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found
