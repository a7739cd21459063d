"""Kill anything at any time: the state converges to the spec, nothing leaks, no acknowledged write is lost.

The blows are drawn by lot from a seed, which a failure names together with the whole story: `ARGOSY_KILL_SEED=7` replays
it, as far as the machine's own timing can be replayed.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from engine_home import EngineHome
from upheaval import Upheaval

from argosy.cli.connection import connect
from argosy.engine.node.runtime.spec import Level

ROUNDS = 100
ROUNDS_SLOW = 500


async def _rounds(home: EngineHome, seed: int, rounds: int) -> None:
    state = home.up()
    world: Upheaval | None = None
    done = 0
    while done < rounds:
        async with connect(path=Path(state["kubeconfig"])) as connection:
            if world is None:
                world = Upheaval(home, connection.client, seed)
                await world.begin()
            world.client, world.engine = connection.client, int(state["pid"])
            alive = True
            while alive and done < rounds:
                complaints = await world.calm()
                assert not complaints, f"seed {seed}, round {done}, after {world.story[-8:]}: {complaints}"
                await world.renew()
                await world.write()
                alive = await world.shake()
                done += 1
        if not alive:
            state = await asyncio.to_thread(home.up)
    async with connect(path=Path(state["kubeconfig"])) as connection:
        assert world is not None
        world.client = connection.client
        complaints = await world.calm()
        assert not complaints, f"seed {seed}, at the end, after {world.story[-8:]}: {complaints}"


def _survives(home: EngineHome, seed: int, rounds: int) -> None:
    asyncio.run(_rounds(home, seed, rounds))
    assert "everything has ended" in home.argosy("down")
    assert home.leftovers() == []


@pytest.mark.parametrize("home", [Level.L2], ids=str, indirect=True)
def test_whatever_is_killed_the_world_comes_back(home: EngineHome) -> None:
    _survives(home, 1, ROUNDS)


@pytest.mark.slow
def test_whatever_is_killed_at_every_level(home: EngineHome) -> None:
    _survives(home, int(os.environ.get("ARGOSY_KILL_SEED") or random.SystemRandom().randrange(10**6)), ROUNDS_SLOW)
