"""Ended runs' layers go, but not while their pod is about to go anyway."""

from __future__ import annotations

import asyncio

from argosy.engine.node.runtime import cleaning


def layer(directory, name):
    root = directory / f"{name}.root"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "file").write_text("x")
    (directory / f"{name}.root.work").mkdir()
    return root


def test_a_layer_goes_after_a_while_with_what_overlayfs_worked_in(tmp_path):
    root = layer(tmp_path, "c-0")

    async def scenario():
        cleaner = cleaning.Cleaner(patience_seconds=0.0)
        cleaner.soon("run", root)
        begun = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, begun.set)
        await begun.wait()
        await cleaner.settled("run")
        await cleaner.close()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_a_layer_is_left_to_whoever_deletes_more(tmp_path):
    root = layer(tmp_path, "c-0")

    async def scenario():
        cleaner = cleaning.Cleaner()
        cleaner.soon("run", root)
        await cleaner.settled("run")
        await cleaner.settled("never heard of")
        cleaner.soon("other", root)
        await cleaner.close()

    asyncio.run(scenario())
    assert root.exists()
