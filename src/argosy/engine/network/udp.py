"""One UDP port of a Service: a client's datagrams go to one backend and the answers back, until it falls silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from argosy.engine.network.balance import Balancer
from argosy.engine.network.proxy import OpenSocket, OpenUpstream, bind
from argosy.engine.network.services import Backend, Frontend, Listen

_IDLE_SECONDS = 60.0
_FLOWS_MAX = 4096


class UdpPort(asyncio.DatagramProtocol):
    """Holds the port as long as it lives; datagrams without a backend are dropped, as UDP is entitled to."""

    def __init__(
        self,
        listen: Listen,
        open_listener: OpenSocket,
        open_upstream: OpenUpstream,
        node_of: Callable[[str], str] = lambda client: "",
    ) -> None:
        """`node_of` tells the node that a client's address is on; empty: on none."""
        self._listen = listen
        self._node_of = node_of
        self._near: Callable[[str], Sequence[Backend]] | None = None
        self._open_listener = open_listener
        self._upstream = open_upstream
        self._balancer = Balancer()
        self._lets_in: Callable[[str], bool] = lambda client: True
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[tuple[str, int], Flow] = {}

    async def update(self, frontend: Frontend) -> None:
        """From now on these backends answer. Raises OSError when the port cannot be had."""
        self._balancer.update(frontend.backends, frontend.affinity_seconds)
        self._lets_in = frontend.lets_in
        self._near = frontend.on_node if frontend.near is not None else None
        for client, flow in list(self._flows.items()):
            if flow.backend not in frontend.backends or not frontend.lets_in(client[0]):
                self._drop(client)
        if self._transport is None:
            held = bind(self._listen, self._open_listener, socket.SOCK_DGRAM)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=held)

    def close(self) -> None:
        """Give the port up."""
        for client in list(self._flows):
            self._drop(client)
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the port is open."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Called by asyncio: a client speaks."""
        flow = self._flows.get(addr)
        if flow is None:
            flow = self._open(addr)
            if flow is None:
                return
        flow.send(data)

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """A backend's answer, for its client."""
        if self._transport is not None:
            self._transport.sendto(data, client)

    def _open(self, client: tuple[str, int]) -> Flow | None:
        now = asyncio.get_running_loop().time()
        candidates = self._balancer.candidates(client[0], now) if self._lets_in(client[0]) else []
        if self._near is not None:
            near = self._near(self._node_of(client[0]))
            candidates = [each for each in candidates if each in near]
        if not candidates:
            return None
        if len(self._flows) >= _FLOWS_MAX:
            self._drop(next(iter(self._flows)))
        try:
            upstream = self._upstream(candidates[0].address, socket.SOCK_DGRAM)
            flow = Flow(self, client, candidates[0], upstream)
        except OSError:
            return None
        self._balancer.chosen(client[0], candidates[0], now)
        self._flows[client] = flow
        return flow

    def _drop(self, client: tuple[str, int]) -> None:
        flow = self._flows.pop(client, None)
        if flow is not None:
            flow.close()

    def idle(self, client: tuple[str, int]) -> None:
        """Nothing was said for a while."""
        self._drop(client)


class Door(Protocol):
    """Where clients' datagrams arrive."""

    def answer(self, data: bytes, client: tuple[str, int]) -> None:
        """A client is answered."""

    def idle(self, client: tuple[str, int]) -> None:
        """A client's conversation has fallen silent."""


class Flow:
    """One client's conversation, over a socket of its own; it is `idle` after some seconds of silence."""

    def __init__(
        self,
        port: Door,
        client: tuple[str, int],
        backend: tuple[str, int],
        upstream: socket.socket,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        """Raises OSError."""
        self.backend = backend
        self._idle_seconds = idle_seconds
        self._port, self._client, self._socket = port, client, upstream
        self._loop = asyncio.get_running_loop()
        upstream.setblocking(False)
        upstream.connect(backend)
        self._loop.add_reader(upstream.fileno(), self._readable)
        self._last = self._loop.time()
        self._timer = self._loop.call_later(idle_seconds, self._check)

    def send(self, data: bytes) -> None:
        """The client speaks."""
        self._last = self._loop.time()
        try:
            self._socket.send(data)
        except OSError:
            return  # full or refused: a lost datagram either way

    def close(self) -> None:
        """It is over."""
        self._timer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65_535)
        except OSError:
            return
        self._last = self._loop.time()
        self._port.answer(data, self._client)

    def _check(self) -> None:
        quiet = self._loop.time() - self._last
        if quiet >= self._idle_seconds:
            self._port.idle(self._client)
        else:
            self._timer = self._loop.call_later(self._idle_seconds - quiet, self._check)
