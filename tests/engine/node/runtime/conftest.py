"""A bench to run containers on: a runtime per test, always torn down, at every level that this machine allows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from argosy.engine.node.runtime import cgroups
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.limits import NoEnforcer
from argosy.engine.node.runtime.local import LocalRuntime
from argosy.engine.node.runtime.probe import best_level
from argosy.engine.node.runtime.spec import ContainerSpec, Level, PodSpec

T = TypeVar("T")
SECONDS = 20.0
_best: list[tuple[Level, dict[Level, str]]] = []


def unavailable(level: Level) -> str:
    if not _best:
        _best.append(best_level())
    return _best[0][1].get(level, "")


class Bench:
    def __init__(self, home: Path, level: Level, *, shared: bool = False) -> None:
        self.home = home
        self.level = level
        self.shared = shared
        self.enforce = False
        self.small = False
        self.pods = 0

    def pod(self, name: str = "", **changes: object) -> PodSpec:
        self.pods += 1
        name = name or f"pod{self.pods}"
        directory = self.home / "pods" / name
        directory.mkdir(parents=True)
        (directory / "hosts").write_text(f"127.0.0.1 localhost\n10.64.0.{self.pods + 1} {name}\n")
        (directory / "resolv.conf").write_text("nameserver 10.96.0.10\n")
        address = f"10.64.0.{self.pods + 1}" if self.level is Level.L2 else f"127.66.0.{self.pods + 1}"
        values = {
            "uid": f"uid-{name}", "namespace": "default", "name": name, "hostname": name, "address": address,
            "directory": directory, "etc_hosts": directory / "hosts", "resolv_conf": directory / "resolv.conf",
        }  # fmt: skip
        return PodSpec(**{**values, **changes})  # type: ignore[arg-type]

    def container(self, pod: PodSpec, *argv: str, **changes: object) -> ContainerSpec:
        values: dict[str, object] = {"name": "main", "attempt": 0, "env": {}, "working_dir": "/"}
        values |= changes
        values.setdefault("log_path", self.log_path(pod, str(values["name"]), values["attempt"]))
        return ContainerSpec(pod=pod, argv=argv, **values)  # type: ignore[arg-type]

    def python(self, pod: PodSpec, program: str, *arguments: str, **changes: object) -> ContainerSpec:
        """A container that runs a program in the interpreter of the tests."""
        base = Path(sys.base_prefix)
        paths = () if base.is_relative_to("/usr") else (base,)
        changes["read_only_paths"] = (*paths, *changes.get("read_only_paths", ()))  # type: ignore[misc]
        argv = (sys._base_executable, "-I", "-S", "-c", program, *arguments)  # type: ignore[attr-defined]
        return self.container(pod, *argv, **changes)

    def log_path(self, pod: PodSpec, name: str = "main", attempt: object = 0) -> Path:
        return self.home / "logs" / pod.name / name / f"{attempt}.log"

    def output(self, pod: PodSpec, name: str = "main", attempt: int = 0, stream: str = "stdout") -> str:
        text = ""
        for line in self.log_path(pod, name, attempt).read_bytes().decode().split("\n")[:-1]:
            _, of, tag, content = line.split(" ", 3)
            if of == stream:
                text += content + ("\n" if tag == "F" else "")
        return text

    def open(self) -> LocalRuntime:
        return LocalRuntime(self.home, self.level, cgroups.find(self.home) if self.enforce else NoEnforcer())

    def run(self, scenario: Callable[[LocalRuntime], Awaitable[T]]) -> T:
        """Bring a runtime up, play the scenario, tear everything down whatever happens."""

        async def play() -> T:
            runtime = self.open()
            try:
                await runtime.start()
                await self.prepare(runtime)
                return await asyncio.wait_for(scenario(runtime), SECONDS)
            finally:
                if self.shared:
                    await asyncio.gather(*(runtime.remove_pod(uid) for uid in list(runtime._pods)))
                await runtime.close(kill=not self.shared)

        return asyncio.run(play())

    async def prepare(self, runtime: LocalRuntime) -> None:
        """Settle which of the two supervisors runs are given."""
        if self.small:
            await runtime.shrink()
            if not runtime._shim:
                pytest.skip("there is no compiler here")

    async def until_logged(self, pod: PodSpec, text: str, name: str = "main") -> None:
        path = self.log_path(pod, name)
        while not path.exists() or text not in path.read_text():  # noqa: ASYNC110 (a file has no event of its own)
            await asyncio.sleep(0.005)

    async def play(self, runtime: LocalRuntime, spec: ContainerSpec) -> str:
        """Run a container to its end in a pod of its own; what it wrote on stdout."""
        await runtime.create_pod(spec.pod)
        run = await runtime.start_container(spec)
        ended = await runtime.wait(run.id)
        assert ended.reason == "", ended
        return self.output(spec.pod, spec.name, spec.attempt)

    def leftovers(self) -> list[int]:
        """Processes that have something to do with this bench's home."""
        mark = os.fsencode(self.home)
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and int(entry.name) != os.getpid() and mark in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return [pid for pid in found if processes.start_time(pid)]


class Site:
    """One home, and so one holder, per level for all tests of a session: starting one costs more than a container."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.benches: dict[tuple[Level, bool], Bench] = {}

    def bench(self, level: Level, *, small: bool = False) -> Bench:
        require(level)
        if (level, small) not in self.benches:
            made = self.benches[level, small] = Bench(self.root / f"{level}{'-small' * small}", level, shared=True)
            made.small = small
        return self.benches[level, small]

    def close(self) -> None:
        for bench in self.benches.values():
            bench.shared = False
            bench.run(lambda runtime: runtime.adopt())


def require(level: Level) -> None:
    reason = unavailable(level)
    if reason:
        pytest.skip(f"{level} is not available here: {reason}")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(params=[*Level, "L2 small"], ids=str)
def bench(site: Site, request: pytest.FixtureRequest) -> Bench:
    """At every level, and with the small supervisor."""
    if request.param == "L2 small":
        return site.bench(Level.L2, small=True)
    return site.bench(request.param)


@pytest.fixture(params=[Level.L1, Level.L2], ids=str)
def apart(site: Site, request: pytest.FixtureRequest) -> Bench:
    """At the levels with namespaces."""
    return site.bench(request.param)


@pytest.fixture
def plain(site: Site) -> Bench:
    """At L0."""
    return site.bench(Level.L0)


@pytest.fixture
def networked(site: Site) -> Bench:
    """At L2."""
    return site.bench(Level.L2)


@pytest.fixture(params=list(Level), ids=str)
def alone(tmp_path: Path, request: pytest.FixtureRequest) -> Bench:
    """At every level, with a home and a holder of the test's own."""
    require(request.param)
    return Bench(tmp_path / "home", request.param)
