"""Joins a process to a client: what exec and attach do, whatever the client speaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from argosy.engine.apiserver.backends import Process, Streams
from argosy.engine.apiserver.streams import sessions
from argosy.errors import ArgosyError
from argosy.meta.json import Obj, decode


class Client(Protocol):
    """The client's end of the streams."""

    def input(self) -> AsyncGenerator[tuple[str, bytes | None], None]:
        """Yield ("stdin" or "resize", bytes; None when that ends) until the client has gone."""
        ...

    async def send(self, stream: str, data: bytes) -> None:
        """Send to "stdout" or "stderr". Raises ConnectionError."""
        ...

    async def finish(self, status: Obj) -> None:
        """Send the final Status and end every stream. Raises ConnectionError."""
        ...


async def run(joining: sessions.Joining, client: Client) -> None:
    """Until the process has ended or the client has gone, which ends a command. Raises ConnectionError."""
    try:
        process = await joining.open()
    except (ArgosyError, OSError) as error:
        await client.finish(sessions.failed(error))
        return
    feeding = asyncio.create_task(_feed(process, client))
    showing = asyncio.create_task(_show(process, joining.streams, client))
    try:
        await asyncio.wait({feeding, showing}, return_when=asyncio.FIRST_COMPLETED)
        await _end(feeding)
        if showing.done():
            await client.finish(showing.result())
    finally:
        await _end(feeding)
        await _end(showing)
        process.close()


async def _feed(process: Process, client: Client) -> None:
    async with aclosing(client.input()) as parts:
        async for stream, data in parts:
            if stream == "stdin" and data is None:
                process.close_stdin()
            elif stream == "stdin" and data:
                await process.write(data)
            elif stream == "resize" and data and (size := sessions.window(data, decode)):
                process.resize(*size)


async def _show(process: Process, streams: Streams, client: Client) -> Obj:
    """Everything that it writes; the Status of its end."""
    wanted = {"stdout": streams.stdout, "stderr": streams.stderr}
    async with aclosing(process.output()) as parts:
        async for stream, data in parts:
            if wanted.get(stream):
                await client.send(stream, data)
    try:
        return sessions.ended(await process.wait())
    except (ArgosyError, OSError) as error:
        return sessions.failed(error)


async def _end(task: asyncio.Task[object] | asyncio.Task[None] | asyncio.Task[Obj]) -> None:
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task
    elif not task.cancelled():
        task.exception()
