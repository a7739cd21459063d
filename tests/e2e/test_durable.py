"""A whole engine that is killed while it writes, and one whose disk is full."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from engine_home import EngineHome

from argosy import kinds
from argosy.cli.connection import connect
from argosy.client.client import Client
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ArgosyError, InternalError
from argosy.meta.json import Obj
from argosy.meta.objects import Key

_WRITERS = 8
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("home", [Level.L0], ids=str, indirect=True)]


def _map(name: str, count: int, filler: int = 0) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"count": str(count), "filler": "x" * filler}}


async def _write_until_killed(home: EngineHome, state: Obj, round: int) -> dict[str, tuple[int, int]]:
    """What was acknowledged: name to (count, revision)."""
    acknowledged: dict[str, tuple[int, int]] = {}
    enough = asyncio.Event()

    async def write(client: Client, name: str) -> None:
        for count in range(10_000):
            body = _map(name, round * 10_000 + count, 500)
            try:
                if round or count:
                    found = await client.patch(kinds.CONFIG_MAP, Key("default", name), {"data": body["data"]})
                else:
                    found = await client.create(kinds.CONFIG_MAP, body)
            except (ArgosyError, OSError):
                return
            acknowledged[name] = (round * 10_000 + count, int(found["metadata"]["resourceVersion"]))
            if count > 20:
                enough.set()

    async with connect(path=Path(state["kubeconfig"])) as connection:
        writing = [asyncio.create_task(write(connection.client, f"w{number}")) for number in range(_WRITERS)]
        await asyncio.wait_for(enough.wait(), 60)
        await asyncio.to_thread(home.crash, int(state["pid"]))
        await asyncio.wait_for(asyncio.gather(*writing), 60)
    return acknowledged


async def _holds(state: Obj, acknowledged: dict[str, tuple[int, int]]) -> None:
    async with connect(path=Path(state["kubeconfig"])) as connection:
        for name, (count, revision) in acknowledged.items():
            found = await connection.client.get(kinds.CONFIG_MAP, name, "default")
            assert int(found["data"]["count"]) >= count
            assert int(found["metadata"]["resourceVersion"]) >= revision
            assert len(found["data"]["filler"]) == 500


def test_an_engine_killed_while_it_writes_keeps_what_it_acknowledged(home: EngineHome) -> None:
    state = home.up()
    for round in range(3):
        acknowledged = asyncio.run(_write_until_killed(home, state, round))
        assert len(acknowledged) == _WRITERS
        state = home.up()
        assert any("recovered from the log" in note for note in state["notes"]), state
        asyncio.run(_holds(state, acknowledged))
    home.argosy("down")


async def _fill(state: Obj, home: Path) -> None:
    async with connect(path=Path(state["kubeconfig"])) as connection:
        client = connection.client
        await client.create(kinds.CONFIG_MAP, _map("before", 1))
        ballast = home / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass
        refused = 0
        for count in range(200):
            try:
                await client.create(kinds.CONFIG_MAP, _map(f"full-{count}", count, 20_000))
            except InternalError as error:
                refused += "is full" in error.message
        assert refused
        assert (await client.get(kinds.CONFIG_MAP, "before", "default"))["data"]["count"] == "1"
        ballast.unlink()
        await client.create(kinds.CONFIG_MAP, _map("after", 1))
        await client.delete(kinds.CONFIG_MAP, Key("default", "before"))


def test_a_full_disk_is_told_and_goes_on_when_there_is_room_again(home: EngineHome) -> None:
    mounting = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(home.path)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk")
    try:
        (home.path / "tmp").mkdir()
        state = home.up()
        asyncio.run(_fill(state, home.path))
        home.crash(int(state["pid"]))
        home.up()
        home.argosy("down")
    finally:
        home.argosy("down")
        subprocess.run(["umount", "-l", str(home.path)], check=True)
