"""A WebSocket through Ingress: two sockets, each message passed on as it is.

The backend is asked first, so that its subprotocol, or its refusal, is what the client gets.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_ABOUT_THE_HANDSHAKE = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)
_MESSAGE_BYTES_MAX = 0  # no limit of ours: the backend has its own


async def splice_websocket(
    session: aiohttp.ClientSession, url: URL, headers: CIMultiDict[str], request: web.BaseRequest
) -> web.WebSocketResponse:
    """Connect the client's WebSocket with one at `url`, until either ends. Raises aiohttp's errors about the backend."""
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if p.strip()]
    passed = CIMultiDict((name, value) for name, value in headers.items() if name not in _ABOUT_THE_HANDSHAKE)
    for name in _ABOUT_THE_HANDSHAKE:
        passed.popall(name, None)
    async with session.ws_connect(
        url, headers=passed, protocols=offered, autoclose=False, max_msg_size=_MESSAGE_BYTES_MAX
    ) as upstream:
        chosen = (upstream.protocol,) if upstream.protocol else ()
        downstream = web.WebSocketResponse(protocols=chosen, autoclose=False, max_msg_size=_MESSAGE_BYTES_MAX)
        await downstream.prepare(request)
        both = [
            asyncio.ensure_future(_pump(downstream, upstream)),
            asyncio.ensure_future(_pump(upstream, downstream)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            with contextlib.suppress(OSError, RuntimeError):
                await downstream.close()
        return downstream


async def _pump(
    source: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
    sink: web.WebSocketResponse | aiohttp.ClientWebSocketResponse,
) -> None:
    with contextlib.suppress(ConnectionResetError):
        while True:
            message = await source.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case aiohttp.WSMsgType.CLOSE:
                    await sink.close(code=message.data or 1000, message=(message.extra or "").encode())
                    return
                case _:
                    return
