"""`python -m argosy.programs.rsh.ssh [options] host command …`: runs a command in another pod, as `ssh` would.

MPI's launchers start it once a host. It waits for a host that is not there yet, passes input, output and the exit code
through, and ends the remote command by going away. Few imports and one thread: a job of a thousand workers starts a
thousand of these.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

from argosy.programs.rsh import keyfile, wire, words
from argosy.programs.rsh.wire import Sort

_LOST = 255
"""ssh's own exit code for anything but the command's."""
_PATIENCE_SECONDS = 120.0
"""How long to wait for a worker: it may start after the launcher does."""
_PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_CHUNK_BYTES = 65536


class Failed(Exception):
    """The command could not be run, or was lost sight of."""


def main(arguments: list[str]) -> int:
    """Run it and return its exit code."""
    try:
        call = words.ssh(arguments)
        key = keyfile.secret(call.key)
        with _connected(call) as connection:
            _introduce(connection, key, call.host)
            connection.sendall(wire.frame(Sort.COMMAND, call.command.encode()))
            return _pass_through(connection, call.host)
    except (words.Misused, Failed, OSError, wire.Garbled) as error:
        sys.stderr.write(f"ssh: {error}\n")
        return _LOST


def _connected(call: words.Call) -> socket.socket:
    until = time.monotonic() + _PATIENCE_SECONDS
    pauses = iter(_PAUSES_SECONDS)
    while True:
        try:
            return socket.create_connection((call.host, call.port), timeout=10)
        except OSError as error:
            if time.monotonic() >= until:
                raise Failed(f"{call.host} does not answer at port {call.port}: {error.strerror or error}") from None
        time.sleep(next(pauses, _PAUSES_SECONDS[-1]))


def _introduce(connection: socket.socket, key: bytes, host: str) -> None:
    challenge = _exactly(connection, wire.CHALLENGE_BYTES)
    ours = os.urandom(wire.CHALLENGE_BYTES)
    connection.sendall(ours + wire.proof(key, "ssh", challenge + ours))
    try:
        theirs = _exactly(connection, wire.PROOF_BYTES)
    except Failed:
        raise Failed(f"{host} refused us: its pod has another SSH secret than this one") from None
    if not wire.proves(theirs, key, "sshd", challenge + ours):
        raise Failed(f"{host} is not who it says: its pod has another SSH secret than this one")
    connection.settimeout(None)
    keep_alive(connection)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise Failed("the connection was closed")
        data += more
    return data


def _pass_through(connection: socket.socket, host: str) -> int:
    frames, poll = wire.Frames(), select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(0, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == 0:
                data = _input()
                connection.sendall(wire.frame(Sort.INPUT, data) if data else wire.frame(Sort.END))
                if not data:
                    poll.unregister(0)
                continue
            arrived = connection.recv(_CHUNK_BYTES)
            if not arrived:
                raise Failed(f"the connection to {host} was closed: its pod has ended")
            for sort, content in frames.feed(arrived):
                if sort is Sort.EXIT:
                    return content[0]
                _write(1 if sort is Sort.OUTPUT else 2, content)


def _input() -> bytes:
    try:
        return os.read(0, _CHUNK_BYTES)
    except OSError:
        return b""


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def keep_alive(connection: socket.socket) -> None:
    """Let the kernel notice within half a minute that the other machine is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
