"""How the watches of one resource are woken, in virtual time."""

import asyncio

import pytest

from argosy.engine.store.watch import Hub
from argosy.testing.simloop import run


class Reader:
    """Stands for a watch: notes when it is woken."""

    def __init__(self):
        self.woken = []

    def wake(self):
        self.woken.append(asyncio.get_running_loop().time())


async def changes(hub, count, every):
    """So many changes, so many seconds apart, and time for all of them to be told."""
    for _ in range(count):
        hub.wake()
        await asyncio.sleep(every)
    await asyncio.sleep(1)


@pytest.mark.parametrize(("watches", "at_most"), [(4, 100), (1000, 24)])
def test_a_thousand_watches_hear_of_changes_together(watches, at_most):
    async def check():
        hub, readers = Hub(), [Reader() for _ in range(watches)]
        hub.watches.update(readers)
        began = asyncio.get_running_loop().time()
        await changes(hub, 100, 0.01)
        for reader in readers:
            assert reader.woken[0] == began, "the first change waits for nothing"
            assert len(reader.woken) <= at_most
            assert reader.woken[-1] >= began + 0.99, "and the last one is told"
        if watches < 16:
            assert {len(reader.woken) for reader in readers} == {100}, "few of them hear of each at once"

    run(check())
