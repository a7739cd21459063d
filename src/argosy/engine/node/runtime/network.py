"""Sockets in the cluster's network.

At L2 they come from the holder, which stands in that network, over SCM_RIGHTS; a handful is fetched ahead, so that most
calls cost no round trip. At L0 and L1 the host's network is the cluster's and the sockets are ordinary ones. Called by
the Services proxy, DNS, Ingress and probes, from any thread.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Mapping, Sequence

from argosy.engine.node.runtime.connection import Connection, HolderGone, HolderRefused
from argosy.engine.node.runtime.holder import rules, wire
from argosy.engine.node.runtime.spec import Level, RulesRefused

AHEAD = 16
"""How many stream sockets one round trip fetches once they are in demand."""
_PATIENCE_SECONDS = 5.0


class HostNetwork:
    """The cluster's network is the host's (L0, L1)."""

    def __init__(self, level: Level) -> None:
        self.level = level

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        """A new non-blocking socket. Raises OSError."""
        made = socket.socket(family, type, proto)
        made.setblocking(False)
        return made

    def add_local_address(self, address: str) -> None:
        """Nothing to do: every 127.x.y.z is the machine's already."""

    async def load_rules(self, script: str) -> None:
        """The host's network is not ours to rule. Raises RulesRefused."""
        raise RulesRefused(
            f"at isolation {self.level} pods share the host's network; run where isolation L2 is possible"
        )

    async def forget_flows(self, services: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """There are none: without rules nothing is led anywhere."""

    def restore(self) -> None:
        """Nothing is lost with a holder."""

    def close(self) -> None:
        """Nothing is held."""


class HolderNetwork:
    """The cluster's network is a namespace of its own (L2)."""

    level = Level.L2

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._line: socket.socket | None = None
        self._ahead: deque[int] = deque()
        self._asked = 0
        self._local: set[str] = set()

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        """A new non-blocking socket in the cluster's network. Raises OSError."""
        common = (family, type, proto) == (socket.AF_INET, socket.SOCK_STREAM, 0)
        with self._lock:
            if common and self._ahead:
                fd = self._ahead.popleft()
            elif common:
                self._asked = min(self._asked * 2 or 1, AHEAD)
                fd, *more = self._fetch(family, type, proto, self._asked)
                self._ahead.extend(more)
            else:
                (fd,) = self._fetch(family, type, proto, 1)
        made = socket.socket(family, type, proto, fileno=fd)
        made.setblocking(False)
        return made

    def add_local_address(self, address: str) -> None:
        """Put a /32 on the network's loopback. Raises OSError."""
        with self._lock:
            if address in self._local:
                return
            try:
                self._connection.ask_now({"op": "address", "address": address})
            except HolderGone as error:
                raise ConnectionError(str(error)) from None
            self._local.add(address)

    async def load_rules(self, script: str) -> None:
        """Have the holder load an nftables script. Raises RulesRefused, HolderGone."""
        try:
            answer = await self._connection.ask({"op": "rules", "script": script.encode()})
        except HolderRefused as error:
            raise RulesRefused(str(error)) from None
        if answer["code"] == rules.NO_PROGRAM:
            raise RulesRefused("there is no nft on this machine; install the package nftables")
        if answer["code"]:
            raise RulesRefused(f"nft refuses the rules: {answer['said'].strip() or answer['code']}")

    async def forget_flows(self, services: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """Have the holder forget UDP conversations with backends that are gone. Raises HolderGone, HolderRefused."""
        kept = {tuple(place): [tuple(backend) for backend in backends] for place, backends in services.items()}
        await self._connection.ask({"op": "flows", "services": kept})

    def restore(self) -> None:
        """After a new holder: forget what belonged to the old one, and put the local addresses back."""
        self.close()
        with self._lock:
            for address in self._local:
                self._connection.ask_now({"op": "address", "address": address})

    def close(self) -> None:
        """Hang up and drop what was fetched ahead."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        while self._ahead:
            os.close(self._ahead.popleft())

    def _fetch(self, family: int, type: int, proto: int, count: int) -> list[int]:
        request = {"op": "sockets", "family": int(family), "type": int(type), "proto": proto, "count": count}
        try:
            if self._line is None:
                self._line = self._connection.dial()
                self._line.settimeout(_PATIENCE_SECONDS)
            wire.send(self._line, request)
            answer, descriptors = wire.receive(self._line)
        except (EOFError, OSError, HolderGone) as error:
            self._hang_up()
            raise ConnectionError(f"no socket from the cluster's network: {error}") from None
        if "error" in answer:
            self._hang_up()
            raise OSError(answer.get("errno", 0), answer["error"])
        return descriptors
