"""The way out of the cluster's network: TCP connections to the outside world, made from the host on a pod's behalf.

The cluster's network has no route to anywhere. The kernel leads every connection to an address outside to one listener here
(`egress_rules`), which asks it where the pod wanted to go, dials there from the host and splices the two. NetworkPolicies are
asked before that, about the address that the pod named. Needs a network that takes rules; without, there is no way out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from typing import NoReturn

from argosy.engine.network.egress_rules import DOOR
from argosy.engine.network.proxy import Downstream, splice
from argosy.engine.network.reach import host_socket
from argosy.engine.node.runtime.spec import Network

_log = logging.getLogger(__name__)

_ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST
_CONNECT_SECONDS = 10.0
_BACKLOG = 512


class Egress:
    """The listener behind the door."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> NoReturn:
        """Serve until cancelled. Raises OSError when the door cannot be opened."""
        listener = self._network.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(DOOR)
        server = await asyncio.get_running_loop().create_server(
            lambda: Downstream(self.accepted), sock=listener, backlog=_BACKLOG
        )
        async with server:
            await server.serve_forever()
        raise AssertionError("it serves until cancelled")

    def accepted(self, downstream: Downstream) -> None:
        """A pod wants to get out."""
        task = asyncio.get_running_loop().create_task(self._connect(downstream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, downstream: Downstream) -> None:
        destination = _destination(downstream)
        if destination is None or destination == DOOR:  # somebody knocked at the door itself
            downstream.abort()
            return
        upstream = host_socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(upstream, destination)
        except (OSError, TimeoutError) as error:
            upstream.close()
            if getattr(error, "errno", 0) in (errno.EMFILE, errno.ENFILE):
                _log.warning("a connection to the outside was lost: %s", error)
            downstream.abort()
        except BaseException:
            upstream.close()
            raise
        else:
            await splice(downstream, upstream)


def _destination(downstream: Downstream) -> tuple[str, int] | None:
    """Where the kernel says that a connection was meant to go."""
    line = downstream.socket()
    if line is None:
        return None
    with contextlib.suppress(OSError):
        _, port, address = struct.unpack_from("!HH4s", line.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16))
        return socket.inet_ntoa(address), port
    return None
