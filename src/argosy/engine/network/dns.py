"""The cluster's DNS server: UDP and TCP on the cluster's DNS address, inside the cluster's network.

Names of the cluster are answered from the informers at the moment of the question, so they follow the pods at once; names
that the cluster does not have are refused at once as well. All others go to the host's resolver, with little patience.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from typing import NoReturn, cast

from argosy.engine.network.dns_forward import Forwarder
from argosy.engine.network.dns_wire import (
    ANY,
    CNAME,
    FORMERR,
    IN,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    SRV,
    A,
    Answer,
    Malformed,
    Question,
    Reply,
    build_error,
    build_reply,
    parse_question,
)
from argosy.engine.network.names import Found, Names, Standing
from argosy.engine.node.runtime.spec import Network

_log = logging.getLogger(__name__)

_PORT = 53
_ALIASES_MAX = 8
_TCP_IDLE_SECONDS = 10.0
_TCP_CONNECTIONS_MAX = 256


class DnsServer:
    """Answers questions."""

    def __init__(self, names: Names, forwarder: Forwarder) -> None:
        self._names = names
        self._forwarder = forwarder
        self.listening = asyncio.Event()
        """Set while questions are answered."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def run(self, network: Network, address: str, port: int = _PORT) -> NoReturn:
        """Serve until cancelled. Raises OSError when the address cannot be had."""
        network.add_local_address(address)
        loop = asyncio.get_running_loop()
        datagrams = _bound(network, socket.SOCK_DGRAM, address, port)
        stream = _bound(network, socket.SOCK_STREAM, address, port)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        try:
            async with await asyncio.start_server(self._serve_stream, sock=stream):
                self.listening.set()
                await asyncio.Event().wait()
        finally:
            self.listening.clear()
            transport.close()
            for task in self._tasks:
                task.cancel()
        raise AssertionError("runs until cancelled")

    def answer_now(self, message: bytes, *, udp: bool) -> bytes | None:
        """The answer, when it needs nobody else's; None when it does."""
        try:
            question = parse_question(message)
            reply = self.reply_now(question)
        except Malformed:
            return build_error(message, FORMERR)
        if reply is None:
            return None
        return build_reply(question, reply, bytes_max=question.udp_bytes if udp else 65_535)

    def reply_now(self, question: Question) -> Reply | None:
        """What the cluster itself knows about a question; None when others must be asked."""
        if question.opcode != 0:
            return Reply(NOTIMP)
        if question.class_ != IN:
            return Reply(REFUSED)
        answers: list[Answer] = []
        name = question.name
        for _ in range(_ALIASES_MAX):
            found = self._names.find(name)
            if found.standing is Standing.OUTSIDE:
                return None
            if found.standing is Standing.UNKNOWN:
                return Reply(NXDOMAIN, tuple(answers))
            if not found.alias:
                return _with_records(question, name, found, answers)
            answers.append(Answer(name, CNAME, found.ttl_seconds, found.alias))
            if question.type == CNAME:
                return Reply(answers=tuple(answers))
            name = found.alias
        return Reply(SERVFAIL)

    async def answer(self, message: bytes, *, udp: bool) -> bytes:
        """The answer, asking others where the cluster does not know."""
        now = self.answer_now(message, udp=udp)
        if now is not None:
            return now
        question = parse_question(message)
        aliases, target = self._outside_target(question)
        if not aliases:
            answer = await self._forwarder.forward(message, tcp=not udp)
            return answer if answer is not None else build_reply(question, Reply(SERVFAIL, authoritative=False))
        reply = await self._forwarder.resolve(target, question.type)
        code, more = (reply.code, reply.answers) if reply is not None else (SERVFAIL, ())
        return build_reply(question, Reply(code, (*aliases, *more)), bytes_max=question.udp_bytes if udp else 65_535)

    def datagram(self, message: bytes, client: object, transport: asyncio.DatagramTransport) -> None:
        """A question over UDP."""
        now = self.answer_now(message, udp=True)
        if now is not None:
            transport.sendto(now, client)  # type: ignore[arg-type]
            return

        async def later() -> None:
            transport.sendto(await self.answer(message, udp=True), client)  # type: ignore[arg-type]

        task = asyncio.get_running_loop().create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _outside_target(self, question: Question) -> tuple[list[Answer], str]:
        """Follow ExternalNames until the name is not the cluster's any more."""
        aliases: list[Answer] = []
        name = question.name
        while len(aliases) < _ALIASES_MAX:
            found = self._names.find(name)
            if not found.alias:
                break
            aliases.append(Answer(name, CNAME, found.ttl_seconds, found.alias))
            name = found.alias
        return aliases, name

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            while self._connections <= _TCP_CONNECTIONS_MAX:
                async with asyncio.timeout(_TCP_IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    message = await reader.readexactly(length)
                answer = await self.answer(message, udp=False)
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            return  # the client is done
        finally:
            self._connections -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None, "open before anything is received"
        try:
            self._server.datagram(data, addr, self._transport)
        except Exception:
            _log.exception("a DNS question could not be answered")


def _with_records(question: Question, name: str, found: Found, answers: list[Answer]) -> Reply:
    ttl = found.ttl_seconds
    if question.type in (A, ANY):
        answers += [Answer(name, A, ttl, address) for address in found.addresses]
    if question.type in (SRV, ANY):
        answers += [Answer(name, SRV, ttl, (0, 100, port, target)) for target, port in found.targets]
    # AAAA and everything else: the name is there and has none, so nobody waits and nobody asks on.
    return Reply(answers=tuple(answers))


def _bound(network: Network, type: int, address: str, port: int) -> socket.socket:
    made = network.socket(socket.AF_INET, type)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
