"""ssh and sshd with each other, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


class Pair:
    """A worker that serves, and callers."""

    def __init__(self, home: Path) -> None:
        self.environ = {**os.environ, "HOME": str(home), "POD_IP": "127.0.0.1"}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.server = subprocess.Popen(
            [sys.executable, "-m", "argosy.programs.rsh.sshd", "-De", "-p", self.port], env=self.environ
        )

    def call(self, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.words(command), input=stdin, capture_output=True, env=self.environ, timeout=30, check=False
        )

    def words(self, command: str) -> list[str]:
        return [sys.executable, "-m", "argosy.programs.rsh.ssh", "-x", "-p", self.port, "127.0.0.1", command]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    home = tmp_path_factory.mktemp("home")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_rsa").write_text("a key")
    made = Pair(home)
    try:
        yield made
    finally:
        made.server.terminate()
        assert made.server.wait(10) == 0


def test_output_errors_and_exit_code(pair: Pair) -> None:
    done = pair.call("echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")


def test_input_reaches_the_command(pair: Pair) -> None:
    assert pair.call("tr a-z A-Z", b"hello" * 50_000).stdout == b"HELLO" * 50_000


def test_much_output(pair: Pair) -> None:
    assert len(pair.call("head -c 5000000 /dev/zero").stdout) == 5_000_000


def test_a_signal_is_told(pair: Pair) -> None:
    assert pair.call("kill -9 $$").returncode == 137


def test_a_daemon_may_stay(pair: Pair, tmp_path: Path) -> None:
    began = time.monotonic()
    assert pair.call(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' & sleep 0.2").returncode == 0
    assert time.monotonic() - began < 20
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_the_command_ends_with_its_caller(pair: Pair, tmp_path: Path) -> None:
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    caller = subprocess.Popen(pair.words(f"exec 9>{pipe}; sleep 60"), env=pair.environ, stdin=subprocess.DEVNULL)
    with pipe.open("rb") as alive:  # opens once the command has it open, ends when the command has ended
        caller.kill()
        caller.wait()
        assert alive.read() == b""


def test_strangers_are_refused(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("another key")
    words = pair.words("echo no")
    done = subprocess.run(
        [*words[:3], "-i", str(tmp_path / "id_rsa"), *words[3:]], capture_output=True, env=pair.environ, timeout=30,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 255
    assert b"has another SSH secret" in done.stderr
    assert done.stdout == b""


def test_without_a_key_it_says_where_it_looked(pair: Pair, tmp_path: Path) -> None:
    done = subprocess.run(
        pair.words("true"), capture_output=True, env={**pair.environ, "HOME": str(tmp_path)}, timeout=30, check=False
    )
    assert done.returncode == 255
    assert b"no id_rsa in" in done.stderr
