"""Sessions over a WebSocket: exec and attach in channel frames, port-forward in channel frames or as an SPDY tunnel.

The edge calls `serve` for a GET that asks for an upgrade. kubectl speaks channel frames to exec and attach from 1.30 on and
the tunnel from 1.31 on; the Python clients speak channel frames to everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from aiohttp import WSMsgType, web

from argosy.engine.apiserver.streams import channels, ports, relay, sessions
from argosy.engine.apiserver.streams.channels import Channel, Subprotocol
from argosy.engine.apiserver.streams.departure import heartbeat
from argosy.engine.apiserver.streams.link import Link
from argosy.errors import BadRequest
from argosy.meta.json import Obj, encode

TUNNEL = "SPDY/3.1+portforward.k8s.io"
_MESSAGE_MAX = 16 << 20
_CLOSE_SECONDS = 2.0
_CHANNELS = {"stdout": Channel.STDOUT, "stderr": Channel.STDERR}
_INPUTS = {Channel.STDIN: "stdin", Channel.RESIZE: "resize"}


async def serve(raw: web.BaseRequest, session: sessions.Session) -> web.StreamResponse:
    """Join the session to the client. Raises BadRequest for subprotocols that are not known, ConnectionError."""
    offered = [name.strip() for line in raw.headers.getall("Sec-WebSocket-Protocol", ()) for name in line.split(",")]
    forwards = isinstance(session, sessions.Forwarding)
    known: Mapping[str, Subprotocol] = channels.FOR_PORTS if forwards else channels.FOR_COMMANDS
    tunnels = forwards and TUNNEL in offered
    protocol = channels.choose(offered, known)
    if protocol is None and not tunnels:
        choices = ", ".join(filter(None, [TUNNEL if forwards else "", *known]))
        raise BadRequest(f"unable to upgrade: none of the subprotocols {', '.join(offered)} is known; offer {choices}")
    name = TUNNEL if tunnels or protocol is None else protocol.name
    socket = web.WebSocketResponse(
        protocols=[name] if name else [], compress=False, max_msg_size=_MESSAGE_MAX, timeout=_CLOSE_SECONDS
    )
    await socket.prepare(raw)
    async with heartbeat(socket.ping):
        if isinstance(session, sessions.Joining):
            assert protocol is not None, "only port-forward is tunnelled"
            await relay.run(session, ChannelClient(socket, protocol))
        elif tunnels or protocol is None:
            await ports.over_link(session, Link(MessagePipe(socket)))
        else:
            await ports.over_channels(session, ChannelMessages(socket, protocol))
    await socket.close()
    return socket


class ChannelMessages:
    """Channel frames over a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, protocol: Subprotocol) -> None:
        self._socket = socket
        self.protocol = protocol

    async def send(self, channel: int, data: bytes) -> None:
        """One message. Raises ConnectionError."""
        raw = channels.encode(self.protocol, channel, data)
        if self.protocol.text:
            await self._socket.send_str(raw.decode("ascii"))
        else:
            await self._socket.send_bytes(raw)

    async def messages(self) -> AsyncGenerator[channels.Message, None]:
        """Yield what comes until the client has closed, or said what is no channel message."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                raw = message.data.encode()
            elif message.type is WSMsgType.BINARY:
                raw = message.data
            else:
                return
            try:
                yield channels.decode(self.protocol, raw)
            except ValueError as error:
                await self._socket.close(code=1002, message=str(error).encode())
                return


class ChannelClient:
    """The client of exec and attach (`relay.Client`)."""

    def __init__(self, socket: web.WebSocketResponse, protocol: Subprotocol) -> None:
        self._messages = ChannelMessages(socket, protocol)

    async def input(self) -> AsyncGenerator[tuple[str, bytes | None], None]:
        """Yield what the client types and how large its window is."""
        async for message in self._messages.messages():
            name = _INPUTS.get(Channel(message.channel)) if message.channel in _INPUTS else None
            if name:
                yield name, message.data

    async def send(self, stream: str, data: bytes) -> None:
        """Show something."""
        await self._messages.send(_CHANNELS[stream], data)

    async def finish(self, status: Obj) -> None:
        """The end; the socket is closed by `serve`."""
        data = encode(status) if self._messages.protocol.tells_status else sessions.in_words(status).encode()
        if data:
            await self._messages.send(Channel.ERROR, data)


class MessagePipe:
    """A WebSocket as a stream of bytes (`link.Pipe`)."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """What comes next; empty at the end."""
        while True:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError."""
        await self._socket.send_bytes(data)
