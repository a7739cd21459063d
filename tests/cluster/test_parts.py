"""Settings, ports, services, the engine as a process: everything of the composition root that needs no engine."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from argosy.cluster import ports, process
from argosy.cluster.services import Ready, Service, running
from argosy.cluster.settings import Layout, Settings, addresses, home_directory, prepare
from argosy.engine.node.runtime.holder.processes import start_time
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ArgosyError, UserError


def test_a_port_asked_for_by_name_must_be_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} for Ingress is in use; free it, or choose another port"):
            ports.listen(port, 0, 0, what="Ingress")
        with ports.listen(0, port, port, what="Ingress") as other:
            assert other.getsockname()[1] != port


def test_the_remembered_port_comes_before_the_usual_one() -> None:
    with ports.listen(0, 0, 0, what="x") as first:
        port = first.getsockname()[1]
    with ports.listen(0, port, 1, what="x") as again:
        assert again.getsockname()[1] == port


def test_addresses_follow_the_level_and_the_home() -> None:
    assert addresses(Level.L2, Path("/a")).api_service == "10.96.0.1"
    assert addresses(Level.L2, Path("/a")).dns == "10.96.0.10"
    below = addresses(Level.L1, Path("/a"))
    assert below.pod_cidr.startswith("127.")
    assert below.service_cidr.startswith("127.")
    assert below == addresses(Level.L0, Path("/a"))


def test_the_home_comes_from_the_environment() -> None:
    assert home_directory({"ARGOSY_HOME": "/x/y"}) == Path("/x/y")
    assert home_directory({}) == Path.home() / ".argosy"


def test_a_home_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set ARGOSY_HOME to a directory"):
        prepare(Settings(tmp_path / "file" / "home"))
    with pytest.raises(UserError, match="too long for Unix sockets"):
        prepare(Settings(tmp_path / ("x" * 100)))


def test_a_recycled_pid_is_not_an_engine(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    own = start_time(os.getpid())
    assert own > 0
    state = process.EngineState(os.getpid(), own, "s", "i", "k", "L2", "v", "t")
    process.write_state(layout, state)
    assert process.find(layout) == state
    process.write_state(layout, process.EngineState(os.getpid(), own + 1, "s", "i", "k", "L2", "v", "t"))
    assert process.find(layout) is None
    assert process.last_state(layout) is not None


def test_a_running_engine_says_what_it_has_otherwise(tmp_path: Path) -> None:
    made = ("http://127.0.0.1:6443", "http://127.0.0.1:8080", "k", "L2", "v", "t")
    state = process.EngineState(1, 2, *made, nodes=2)
    assert state.differs(Settings(tmp_path)) == ""
    assert state.differs(Settings(tmp_path, isolation=Level.L2, nodes=2, api_port=6443, ingress_port=8080)) == ""
    assert state.differs(Settings(tmp_path, nodes=5, api_port=7000)) == "2 nodes and port 6443"
    assert state.differs(Settings(tmp_path, isolation=Level.L1)) == "isolation L2"


def test_one_engine_a_home(tmp_path: Path) -> None:
    held = process.hold_lock(Layout(tmp_path))
    try:
        with pytest.raises(UserError, match="another engine holds"):
            process.hold_lock(Layout(tmp_path))
    finally:
        os.close(held)


def test_services_start_in_order_and_stop_in_reverse() -> None:
    story: list[str] = []

    def service(name: str) -> Service:
        async def run(ready: Ready) -> None:
            story.append(f"{name} starts")
            ready()
            try:
                await asyncio.Event().wait()
            finally:
                story.append(f"{name} stops")

        return Service(name, run)

    async def main() -> None:
        async with running([service("a"), service("b")], lambda *_: None):
            story.append("up")

    asyncio.run(main())
    assert story == ["a starts", "b starts", "up", "b stops", "a stops"]


def test_a_service_that_cannot_start_ends_the_start() -> None:
    async def broken(ready: Ready) -> None:
        raise ArgosyError("no")

    async def main() -> None:
        async with running([Service("broken", broken)], lambda *_: None):
            pass

    with pytest.raises(ArgosyError, match="no"):
        asyncio.run(main())


def test_a_service_that_fails_later_is_started_again_or_reported() -> None:
    async def main() -> tuple[int, list[str]]:
        starts, failed, again = 0, [], asyncio.Event()

        async def flaky(ready: Ready) -> None:
            nonlocal starts
            starts += 1
            ready()
            if starts == 1:
                raise ArgosyError("once")
            again.set()
            await asyncio.Event().wait()

        async def vital(ready: Ready) -> None:
            ready()
            raise ArgosyError("for ever")

        services = [Service("flaky", flaky), Service("vital", vital, restart=False)]
        async with running(services, lambda name, _: failed.append(name)):
            await asyncio.wait_for(again.wait(), 5)
        return starts, failed

    assert asyncio.run(main()) == (2, ["vital"])
