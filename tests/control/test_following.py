"""Streams in place of questions: one a subject, begun again when it breaks, ended when nobody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from argosy.control.following import Following
from argosy.meta.json import Obj
from argosy.meta.objects import Key

KEY = Key("ns", "a")


class World:
    """Sources whose news the test gives."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Obj | Exception | None] = asyncio.Queue()
        self.told: asyncio.Queue[Key] = asyncio.Queue()
        self.open: list[object] = []
        self.begun: list[object] = []
        self.following = Following(None, self.follow, self.told.put_nowait)  # type: ignore[arg-type]

    async def follow(self, fetch: object, source: object) -> AsyncGenerator[Obj, None]:
        self.begun.append(source)
        self.open.append(source)
        try:
            while (news := await self.news.get()) is not None:
                if isinstance(news, Exception):
                    raise news
                yield news
        finally:
            self.open.remove(source)


def test_news_is_told_once_and_kept():
    async def test() -> None:
        world = World()
        assert world.following.about(KEY, "one") is None
        for news in ({"n": 1}, {"n": 1}, {"n": 2}):
            world.news.put_nowait(news)
        assert [await world.told.get(), await world.told.get()] == [KEY, KEY]
        assert world.told.empty(), "the same again is no news"
        assert world.following.about(KEY, "one") == {"n": 2}
        assert world.begun == ["one"]
        assert world.following.about(KEY, None) == {"n": 2}, "what was heard stays known"
        await asyncio.sleep(0)
        assert world.open == []

    asyncio.run(asyncio.wait_for(test(), 5))


def test_another_source_is_begun_from_the_start():
    async def test() -> None:
        world = World()
        world.following.about(KEY, "one")
        world.news.put_nowait({"n": 1})
        await world.told.get()
        assert world.following.about(KEY, "two") is None
        world.news.put_nowait({"n": 5})
        await world.told.get()
        assert (world.begun, world.open) == (["one", "two"], ["two"])
        world.following.close()
        await asyncio.sleep(0)
        assert world.open == []

    asyncio.run(asyncio.wait_for(test(), 5))


def test_a_stream_that_broke_is_followed_again_and_one_that_ended_is_not():
    async def test() -> None:
        world = World()
        world.following.about(KEY, "one")
        world.news.put_nowait(ConnectionError("gone"))
        world.news.put_nowait({"n": 1})
        await world.told.get()
        assert world.begun == ["one", "one"]
        world.news.put_nowait(None)
        await asyncio.gather(*(t for t in asyncio.all_tasks() if "follows" in t.get_name()))
        assert world.following.about(KEY, "one") == {"n": 1}
        assert world.begun == ["one", "one"]

    asyncio.run(asyncio.wait_for(test(), 5))
