"""Asking the host's resolver about names that are not the cluster's, with little patience.

A pod asks the cluster's DNS for everything. When the host has no resolver that answers, the pod must learn that at once,
not after every library's own timeout; so servers that stay silent are left alone for a while.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from argosy.engine.network.dns_wire import Malformed, Reply, build_question, is_truncated, parse_reply

_ANSWER_SECONDS = 1.5
_SILENT_SECONDS = 15.0
_SERVERS_MAX = 3


class Forwarder:
    """Passes questions to the nameservers of a resolv.conf, over the host's network."""

    def __init__(self, resolv_conf: Path, *, port: int = 53) -> None:
        self._path = resolv_conf
        self._port = port
        self._servers: Sequence[str] = ()
        self._stamp: tuple[int, int] | None = None
        self._silent_until: dict[str, float] = {}

    async def forward(self, message: bytes, *, tcp: bool) -> bytes | None:
        """The first server's answer to a question as it is; None when nobody answers."""
        loop = asyncio.get_running_loop()
        for server in self._current():
            if self._silent_until.get(server, 0.0) > loop.time():
                continue
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await (self._over_tcp if tcp else self._over_udp)(server, message)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._silent_until[server] = loop.time() + _SILENT_SECONDS
        return None

    async def resolve(self, name: str, type: int) -> Reply | None:
        """Ask about a name; None when nobody answers."""
        question = build_question(random.randrange(0x10000), name, type, udp_bytes=1232)
        answer = await self.forward(question, tcp=False)
        if answer is not None and is_truncated(answer):
            answer = await self.forward(question, tcp=True) or answer
        try:
            return parse_reply(answer) if answer is not None else None
        except Malformed:
            return None

    def _current(self) -> Sequence[str]:
        """The nameservers, read again when the file has changed."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._servers = nameservers(self._path.read_text(errors="replace"))
                self._stamp = stamp
        except OSError:
            self._servers, self._stamp = (), None
        return self._servers

    async def _over_udp(self, server: str, message: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        # A socket of its own for each question has a port of its own: answers cannot be forged blindly.
        with socket.socket(family, socket.SOCK_DGRAM) as upstream:
            upstream.setblocking(False)
            upstream.connect((server, self._port))
            await loop.sock_sendall(upstream, message)
            while True:
                answer = await loop.sock_recv(upstream, 65_535)
                if answer[:2] == message[:2]:
                    return answer

    async def _over_tcp(self, server: str, message: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(server, self._port)
        try:
            writer.write(struct.pack("!H", len(message)) + message)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            return await reader.readexactly(length)
        finally:
            writer.close()


def nameservers(resolv_conf: str) -> list[str]:
    """The servers that a resolv.conf names, at most three, as resolvers do."""
    found: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) >= 2 and words[0] == "nameserver":
            found.append(words[1])
    return found[:_SERVERS_MAX]
