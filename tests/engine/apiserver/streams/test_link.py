import asyncio

import pytest

from argosy.engine.apiserver.streams import spdy
from argosy.engine.apiserver.streams.link import Link


class Pipe:
    """A client in the test's hand: what it says, what it was told."""

    def __init__(self):
        self.framer = spdy.Framer()
        self._theirs = spdy.Framer()
        self._said = asyncio.Queue()
        self._told = asyncio.Queue()

    def say(self, *frames):
        self._said.put_nowait(b"".join(map(self.framer.encode, frames)))

    def leave(self):
        self._said.put_nowait(b"")

    async def told(self):
        return await asyncio.wait_for(self._told.get(), 5)

    async def read(self):
        return await self._said.get()

    async def write(self, data):
        for frame in self._theirs.feed(data):
            self._told.put_nowait(frame)


def linked(check):
    async def run():
        pipe = Pipe()
        link = Link(pipe)
        opened = asyncio.Queue()
        running = asyncio.create_task(link.run(opened.put_nowait))
        try:
            await asyncio.wait_for(check(pipe, opened), 10)
        finally:
            pipe.leave()
            await asyncio.wait_for(running, 5)

    asyncio.run(run())


def test_streams_are_answered_read_and_ended():
    async def check(pipe, opened):
        pipe.say(spdy.SynStream(1, {"streamtype": "stdin"}), spdy.Data(1, b"one"), spdy.Data(1, b"two", fin=True))
        stream = await opened.get()
        assert stream.headers == {"streamtype": "stdin"}
        assert [await stream.read(), await stream.read(), await stream.read()] == [b"one", b"two", b""]
        await stream.write(b"x" * 40_000)
        await stream.end()
        await stream.end()
        assert await pipe.told() == spdy.SynReply(1)
        sizes = [len((await pipe.told()).data) for _ in range(2)]
        assert (sum(sizes), await pipe.told()) == (40_000, spdy.Data(1, b"", fin=True))

    linked(check)


def test_a_stream_that_is_given_up_breaks_both_ways():
    async def check(pipe, opened):
        pipe.say(spdy.SynStream(1), spdy.SynStream(3))
        stream, _ = await opened.get(), await opened.get()
        await pipe.told()
        await pipe.told()
        pipe.say(spdy.Data(1, b"lost"), spdy.Reset(1), spdy.Ping(7))
        assert await pipe.told() == spdy.Ping(7)
        with pytest.raises(ConnectionResetError):
            await stream.read()
        with pytest.raises(ConnectionResetError):
            await stream.write(b"x")

    linked(check)


def test_what_nobody_takes_stops_the_reading_and_windows_are_announced():
    async def check(pipe, opened):
        pipe.say(spdy.SynStream(1))
        stream = await opened.get()
        assert await pipe.told() == spdy.SynReply(1)
        for _ in range(80):
            pipe.say(spdy.Data(1, bytes(1 << 16)))
        pipe.say(spdy.Ping(1))
        total = 0
        while total < 80 << 16:
            total += len(await stream.read())
        told = [await pipe.told() for _ in range(81)]
        updates = [frame for frame in told if isinstance(frame, spdy.WindowUpdate)]
        assert sum(frame.bytes for frame in updates) == 80 << 16
        # The ping stood behind everything: it was read only when most had been taken.
        assert told.index(spdy.Ping(1)) > 10

    linked(check)


def test_the_end_of_the_connection_is_the_end_of_its_streams():
    async def check(pipe, opened):
        pipe.say(spdy.SynStream(1))
        stream = await opened.get()
        pipe.leave()
        with pytest.raises(ConnectionResetError):
            await stream.read()

    linked(check)


def test_answers_that_nobody_takes_are_not_kept_without_end():
    class Deaf:
        """A client that asks for ever and takes nothing."""

        read_again = 0

        def __init__(self):
            self._pings = spdy.Framer().encode(spdy.Ping(1)) * 5000
            self._taken = asyncio.Event()

        async def read(self):
            self.read_again += 1
            return self._pings if self.read_again < 8 else b""

        async def write(self, data):
            await self._taken.wait()

    async def run():
        pipe = Deaf()
        running = asyncio.create_task(Link(pipe).run(lambda _: None))
        for _ in range(100):
            await asyncio.sleep(0)
        assert pipe.read_again < 3
        pipe._taken.set()
        await asyncio.wait_for(running, 30)
        assert pipe.read_again == 8

    asyncio.run(run())
