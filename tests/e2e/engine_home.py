"""An engine as a person meets it: a home, the command line, and the question what is left when it has ended."""

from __future__ import annotations

import functools
import ipaddress
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from argosy.cluster.settings import addresses, home_directory
from argosy.engine.node.runtime.probe import best_level
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj, decode


@functools.cache
def _refused() -> dict[Level, str]:
    return best_level()[1]


def unavailable(level: Level) -> str:
    """Why this machine cannot do a level; empty when it can."""
    return _refused().get(level, "")


class EngineHome:
    """One `ARGOSY_HOME`, and the command line in it."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.path = Path(tempfile.mkdtemp(prefix="ag", dir="/tmp"))  # pytest's own are too long for sockets
        self._scratch = self.path / "tmp"
        self._scratch.mkdir()
        self._ports: set[int] = set()

    # -- the command line

    def argosy(self, *arguments: str, timeout: float = 60) -> str:
        """Run a verb; what it printed. Fails with everything it said when it does not succeed."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, env=self.environ, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"argosy {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        """The command line of a verb."""
        return [sys.executable, "-c", "from argosy.cli.main import main; main()", *arguments]

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a verb; temporary files go where nobody else makes any."""
        return {**os.environ, "ARGOSY_HOME": str(self.path), "TMPDIR": str(self._scratch)}

    def up(self, *options: str) -> Obj:
        """Start the engine; its state."""
        state = dict(decode(self.argosy("up", "--isolation", self.level, "-o", "json", *options).encode()))
        assert state["isolation"] == self.level
        self.listens(state["server"], state["ingress"])
        return state

    def listens(self, *urls: str) -> None:
        """Ports of the host that must be free again at the end."""
        self._ports |= {int(url.rpartition(":")[2]) for url in urls}

    def crash(self, pid: int) -> None:
        """Kill the engine as the kernel would, and wait until it is gone."""
        watch = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            assert select.select([watch], [], [], 10)[0], "a killed engine does not end"
        finally:
            os.close(watch)

    def remove(self) -> None:
        """End whatever runs and delete the home."""
        subprocess.run(self.command("down"), env=self.environ, capture_output=True, timeout=60, check=False)
        shutil.rmtree(self.path, ignore_errors=True)

    # -- what there is of it on this machine

    def processes(self) -> dict[int, str]:
        """Processes with the home in their arguments or environment: pid to command line."""
        mark = os.fsencode(self.path)
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if not entry.name.isdigit() or int(entry.name) == os.getpid():
                    continue
                line = (entry / "cmdline").read_bytes()
                if line and (mark in line or mark in (entry / "environ").read_bytes()):
                    found[int(entry.name)] = line.replace(b"\0", b" ").decode(errors="replace")
        return found

    def leftovers(self) -> list[str]:
        """What an ended engine has not cleared away; empty as it should be."""
        return [
            *(f"process {pid}: {line}" for pid, line in self.processes().items()),
            *(f"mount {line}" for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.path) in line),
            *(f"listener {address}" for address in self._listeners()),
            *(f"memory {path}" for path in Path("/dev/shm").glob("argosy-*") if self._is_mine(path)),
            *(f"control group {path}" for path in self._control_groups()),
            *(f"file {path}" for path in self._scratch.iterdir()),
        ]

    def _is_mine(self, memory: Path) -> bool:
        try:
            return (memory / ".home").read_text() == str(self.path)
        except OSError:
            return False

    def _listeners(self) -> Iterator[str]:
        """Host sockets that listen on the engine's ports, or on its addresses where those are the host's."""
        ranges = []
        if self.level is not Level.L2:
            found = addresses(self.level, self.path)
            ranges = [ipaddress.ip_network(found.pod_cidr), ipaddress.ip_network(found.service_cidr)]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            local, _, state = line.split()[1:4]
            if state != "0A":  # LISTEN
                continue
            address = ipaddress.ip_address(bytes.fromhex(local.partition(":")[0])[::-1])
            port = int(local.partition(":")[2], 16)
            if (str(address) == "127.0.0.1" and port in self._ports) or any(address in each for each in ranges):
                yield f"{address}:{port}"

    def _control_groups(self) -> Iterable[Path]:
        name = f"argosy-{zlib.crc32(os.fsencode(self.path.resolve())):08x}"
        return Path("/sys/fs/cgroup").glob(f"**/{name}")


def best_available() -> Level:
    """The highest level that this machine allows."""
    return next(level for level in (Level.L2, Level.L1, Level.L0) if not unavailable(level))


def running_home(level: Level, *options: str) -> Iterator[EngineHome]:
    """For fixtures: a home with an engine, started with options of `argosy up`. Environments that this user has built already are used again."""
    if why := unavailable(level):
        pytest.skip(why)
    made = EngineHome(level)
    built = home_directory() / "images"
    if built.is_dir():
        (made.path / "images").symlink_to(built)
    try:
        made.up(*options)
        yield made
    finally:
        made.remove()


def until_said(home: EngineHome, pod: str, text: str) -> None:
    """Follow a pod's log until it says something."""
    following = home.command("logs", "-f", pod)
    with subprocess.Popen(following, env=home.environ, stdout=subprocess.PIPE, text=True) as logs:
        try:
            assert logs.stdout is not None
            assert any(text in line for line in logs.stdout), f"{pod} ended without saying {text!r}"
        finally:
            logs.kill()
