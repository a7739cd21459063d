"""Commands over a WebSocket in Kubernetes' channel frames: the HTTP transport's half of `commands`.

Every message begins with the number of its channel; the last one, on the error channel, is a Status that says how the
command ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from argosy.client.commands import Running
from argosy.errors import InternalError, from_status
from argosy.meta.json import Obj, decode

_STREAMS = {1: "stdout", 2: "stderr"}
_ERROR = 3


class SocketSession:
    """A command at the other end of a WebSocket; it runs already."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._status: Obj | None = None

    async def open(self) -> Running:
        """Itself."""
        return self

    async def output(self) -> AsyncGenerator[tuple[str, bytes], None]:
        """Yield what it says, until the server has told its end or the connection is gone; abandoned, it hangs up."""
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                    continue
                channel, data = message.data[0], message.data[1:]
                if channel == _ERROR:
                    self._status = decode(data)
                    return
                if channel in _STREAMS and data:
                    yield _STREAMS[channel], data
        finally:
            await self._socket.close()

    async def wait(self) -> int:
        """The exit code. Raises ConnectionError when the connection broke before it was told, ApiError for a command that
        could not be run.
        """
        if self._status is None:
            raise ConnectionError("the connection broke while a command ran")
        return exit_code(self._status)

    def close(self) -> None:
        """Nothing is left to let go of once `output` has ended."""


def exit_code(status: Obj) -> int:
    """What the Status at a command's end says. Raises ApiError for a command that could not be run."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    code = next((str(cause.get("message")) for cause in causes if cause.get("reason") == "ExitCode"), "")
    if code.isdigit():
        return int(code)
    raise from_status(int(status.get("code") or InternalError.code), status)
