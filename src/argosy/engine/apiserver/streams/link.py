"""One SPDY/3.1 connection over a pipe of bytes: its streams as things to read from and write to.

`ports` and `upgrade` use it, over a WebSocket or a raw connection. Windows: kubectl's SPDY library neither heeds nor
announces them, so what is sent is held back by the connection alone; what is received is announced as it is consumed, for
clients that do count, and the connection is not read while too much of it waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from argosy.engine.apiserver.streams import spdy

_WAITING_MAX = 4 << 20
"""Received bytes that nobody has taken yet, of all streams together, before reading stops."""
_STREAMS_MAX = 2048
_REPLIES_MAX = 4096
"""Frames that are to be sent to a client that takes none, before reading stops."""
_ANNOUNCE = 1 << 15
_PIECE = 1 << 15
"""Written at once: others get their turn in between."""


class Pipe(Protocol):
    """A connection."""

    async def read(self) -> bytes:
        """What comes next; empty at the end. Raises ConnectionError."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting for room. Raises ConnectionError."""
        ...


class Stream:
    """One stream of a link, opened by the client."""

    def __init__(self, link: Link, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._link = link
        self._parts: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._accepted = asyncio.Event()
        self._consumed = 0
        self.received_end = False
        self.sent_end = False
        self.was_reset = False

    async def read(self) -> bytes:
        """What comes next; empty once the client has ended it. Raises ConnectionResetError when it has given it up."""
        while not self._parts:
            if self.was_reset:
                raise ConnectionResetError("the client has given up the stream")
            if self.received_end:
                return b""
            self._news.clear()
            await self._news.wait()
        part = self._parts.popleft()
        self._link.taken(len(part))
        self._consumed += len(part)
        if self._consumed >= _ANNOUNCE and not self.received_end:
            self._link.post(spdy.WindowUpdate(self.number, self._consumed))
            self._consumed = 0
        return part

    async def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError."""
        await self._accepted.wait()
        for start in range(0, len(data), _PIECE):
            if self.was_reset:
                raise ConnectionResetError("the client has given up the stream")
            await self._link.send(spdy.Data(self.number, data[start : start + _PIECE]))

    async def end(self) -> None:
        """Send that nothing more follows. Idempotent. Raises ConnectionError."""
        await self._accepted.wait()
        if not self.sent_end and not self.was_reset:
            self.sent_end = True
            await self._link.send(spdy.Data(self.number, fin=True))
            self._link.settle(self)

    # -- called by the link

    def accepted(self) -> None:
        """The client knows that it may be used."""
        self._accepted.set()

    def arrived(self, data: bytes, *, fin: bool) -> None:
        """Something came."""
        if data:
            self._parts.append(data)
        self.received_end |= fin
        self._news.set()

    def drop(self) -> int:
        """It was given up: how many bytes nobody will take."""
        self.was_reset = True
        lost = sum(map(len, self._parts))
        self._parts.clear()
        self._news.set()
        return lost


class Link:
    """The streams of one connection."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._framer = spdy.Framer()
        self._streams: dict[int, Stream] = {}
        self._order = asyncio.Lock()
        self._outbox: asyncio.Queue[spdy.Frame] = asyncio.Queue()
        self._waiting = 0
        self._pings = 0
        self._room = asyncio.Event()
        self._room.set()

    async def run(self, opened: Callable[[Stream], None]) -> None:
        """Serve until the client has closed. `opened` is called for every new stream, in order."""
        replying = asyncio.create_task(self._reply())
        try:
            while data := await self._pipe.read():
                for frame in self._framer.feed(data):
                    self._handle(frame, opened)
                await self._room.wait()
                if self._outbox.qsize() > _REPLIES_MAX:
                    await asyncio.wait(
                        {replying, sent := asyncio.ensure_future(self._outbox.join())}, return_when="FIRST_COMPLETED"
                    )
                    sent.cancel()
        except (spdy.ProtocolError, ConnectionError):
            return
        finally:
            replying.cancel()
            await asyncio.gather(replying, return_exceptions=True)
            for stream in list(self._streams.values()):
                stream.drop()

    async def send(self, frame: spdy.Frame) -> None:
        """Send one frame; in order, since headers share one compression. Raises ConnectionError."""
        async with self._order:
            await self._pipe.write(self._framer.encode(frame))

    def post(self, frame: spdy.Frame) -> None:
        """Have a frame sent without waiting for it."""
        self._outbox.put_nowait(frame)

    async def ping(self) -> None:
        """Send a ping of this side's own; nobody waits for the answer. Raises ConnectionError."""
        self._pings += 2
        await self.send(spdy.Ping(self._pings & 0x7FFFFFFF))

    def taken(self, size: int) -> None:
        """Received bytes were consumed."""
        self._waiting -= size
        if self._waiting < _WAITING_MAX:
            self._room.set()

    def settle(self, stream: Stream) -> None:
        """Forget a stream that both sides have ended; what has come can still be read."""
        if stream.received_end and stream.sent_end:
            self._streams.pop(stream.number, None)

    async def _reply(self) -> None:
        while True:
            frame = await self._outbox.get()
            await self.send(frame)
            self._outbox.task_done()
            if isinstance(frame, spdy.SynReply) and (stream := self._streams.get(frame.stream)):
                stream.accepted()

    def _handle(self, frame: spdy.Frame, opened: Callable[[Stream], None]) -> None:
        match frame:
            case spdy.SynStream(number, headers, fin):
                if len(self._streams) >= _STREAMS_MAX or number in self._streams:
                    self.post(spdy.Reset(number, spdy.REFUSED_STREAM))
                    return
                stream = self._streams[number] = Stream(self, number, headers)
                stream.received_end = fin
                self.post(spdy.SynReply(number))
                opened(stream)
            case spdy.Data(number, data, fin):
                known = self._streams.get(number)
                if known is None or known.received_end:
                    return
                self._waiting += len(data)
                if self._waiting >= _WAITING_MAX:
                    self._room.clear()
                known.arrived(data, fin=fin)
                self.settle(known)
            case spdy.Reset(number, _):
                known = self._streams.pop(number, None)
                if known is not None:
                    self.taken(known.drop())
            case spdy.Ping(number):
                if number % 2:  # the client's own; an even one would be an answer
                    self.post(frame)
            case _:
                pass
