"""One TCP port of a Service: connections in, spliced to a backend that answers.

Transports rather than streams: the bytes that one socket gives are handed to the other as they are. A port that nobody
answers for does not listen, so that clients are refused at once, as by kube-proxy, instead of hanging or being reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Sequence
from typing import cast

from argosy.engine.network.balance import Balancer
from argosy.engine.network.services import Backend, Frontend, Listen

_CONNECT_SECONDS = 3.0
_BACKLOG = 512
_BUFFER_BYTES = 1 << 20

OpenSocket = Callable[[int, int], socket.socket]
"""(family, type) -> a new non-blocking socket in the network at hand."""

OpenUpstream = Callable[[str, int], socket.socket]
"""(address, type) -> a new non-blocking socket in the network from which that address can be reached."""


def bind(listen: Listen, open_socket: OpenSocket, type: int) -> socket.socket:
    """A socket bound where a Service listens. Raises OSError."""
    made = open_socket(socket.AF_INET, type)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((listen.address, listen.port))
    except OSError:
        made.close()
        raise
    return made


class TcpPort:
    """Listens while somebody answers; holds the port as long as it lives."""

    def __init__(
        self,
        listen: Listen,
        open_listener: OpenSocket,
        open_upstream: OpenUpstream,
        node_of: Callable[[str], str] = lambda client: "",
    ) -> None:
        """`node_of` tells the node that a client's address is on; empty: on none."""
        self._listen = listen
        self._open_listener = open_listener
        self._node_of = node_of
        self._near: Callable[[str], Sequence[Backend]] | None = None
        self._balancer = Balancer()
        self._upstream = open_upstream
        self._lets_in: Callable[[str], bool] = lambda client: True
        self._held: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def update(self, frontend: Frontend) -> None:
        """From now on these backends answer. Raises OSError when the port cannot be had."""
        self._balancer.update(frontend.backends, frontend.affinity_seconds)
        self._lets_in = frontend.lets_in
        self._near = frontend.on_node if frontend.near is not None else None
        if frontend.backends and self._server is None:
            held = self._held or bind(self._listen, self._open_listener, socket.SOCK_STREAM)
            self._held = None
            try:
                self._server = await asyncio.get_running_loop().create_server(
                    lambda: Downstream(self.accepted), sock=held, backlog=_BACKLOG
                )
            except OSError:
                held.close()
                raise
        elif not frontend.backends:
            self._stop_listening()
            if self._held is None:
                self._held = bind(self._listen, self._open_listener, socket.SOCK_STREAM)

    def close(self) -> None:
        """Give the port up; connections that exist go on."""
        self._stop_listening()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def accepted(self, downstream: Downstream) -> None:
        """Somebody connected: find a backend in the background."""
        task = asyncio.get_running_loop().create_task(self._connect(downstream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, downstream: Downstream) -> None:
        loop = asyncio.get_running_loop()
        client = downstream.client()
        if client and not self._lets_in(client):
            downstream.abort()
            return
        near = self._near(self._node_of(client)) if self._near is not None else self._balancer.backends
        for backend in self._balancer.candidates(client, loop.time()):
            if backend not in near:
                continue
            try:
                upstream = self._upstream(backend.address, socket.SOCK_STREAM)
            except OSError:
                break
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(upstream, backend)
                # Keepalive finds out about peers that vanished without a word.
                upstream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            except (OSError, TimeoutError):
                upstream.close()
                continue
            except BaseException:
                upstream.close()
                raise
            self._balancer.chosen(client, backend, loop.time())
            await splice(downstream, upstream)
            return
        downstream.abort()


class _Half(asyncio.Protocol):
    """One side of a spliced connection."""

    def __init__(self) -> None:
        self.peer: _Half | None = None
        self.transport: asyncio.Transport | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        peer = self.peer
        if peer is not None and peer.transport is not None:
            peer.transport.write(data)

    def eof_received(self) -> bool:
        """Passes the end on; the connection stays open for what the other side still has to say."""
        self._ended = True
        peer = self.peer
        if peer is None or peer.transport is None:
            return False
        if peer._ended:
            peer.transport.close()
            return False
        if not peer.transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        transport, self.transport = self.transport, None
        peer = self.peer
        if transport is not None and peer is not None and peer.transport is not None:
            if exc is None:
                peer.transport.close()
            else:
                peer.transport.abort()

    def pause_writing(self) -> None:
        peer = self.peer
        if peer is not None and peer.transport is not None:
            peer.transport.pause_reading()

    def resume_writing(self) -> None:
        peer = self.peer
        if peer is not None and peer.transport is not None:
            peer.transport.resume_reading()

    def abort(self) -> None:
        """Reset the connection."""
        if self.transport is not None:
            self.transport.abort()


class Downstream(_Half):
    """The client's side, for whoever listens; reads nothing until there is somewhere to put it.

    `accepted` is called with it once a client is there, and may `splice` it.
    """

    def __init__(self, accepted: Callable[[Downstream], None]) -> None:
        super().__init__()
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the client is there."""
        super().connection_made(transport)
        assert self.transport is not None, "just set"
        # Not at once: the first releases of Python 3.11 start to read after this call, whatever is said in it.
        asyncio.get_running_loop().call_soon(self.transport.pause_reading)
        self._accepted(self)

    def client(self) -> str:
        """The client's address."""
        name = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(name[0]) if name else ""

    def socket(self) -> TransportSocket | None:
        """The client's socket; None when it has gone."""
        return self.transport.get_extra_info("socket") if self.transport is not None else None


async def splice(downstream: Downstream, upstream: socket.socket) -> None:
    """From now on the client and a connected socket are one connection."""
    await asyncio.get_running_loop().connect_accepted_socket(lambda: _Upstream(downstream), upstream)


class _Upstream(_Half):
    """The backend's side."""

    def __init__(self, downstream: Downstream) -> None:
        super().__init__()
        self._downstream = downstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        downstream = self._downstream
        if downstream.transport is None:
            self.abort()
            return
        self.peer, downstream.peer = downstream, self
        downstream.transport.resume_reading()
