"""nftables rules for the network that the holder stands in, loaded by the machine's own `nft`.

Forked off the holder per request: the child runs the program on the script and answers with what it said. A script is one
transaction of the kernel's: all of it is in force afterwards, or nothing of it.
"""

from __future__ import annotations

import os
import signal
import socket

from argosy.engine.node.runtime.holder import launch, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import Request

PROGRAMS = ("/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft")
"""Where `nft` lies; an ordinary user's PATH leads to none of them."""
NO_PROGRAM = 127
_SAID_MAX = 4096


def load(request: Request, line: socket.socket) -> NoReturn:
    """In the child: load `request["script"]` (bytes). Answers `{code, said}`; code 127 means that there is no `nft`."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        script, said = os.memfd_create("script"), os.memfd_create("said")
        os.write(script, request["script"])
        os.lseek(script, 0, os.SEEK_SET)
        program = os.fork()
        if not program:
            _become_nft(script, said)
        _, result = os.waitpid(program, 0)
        text = os.pread(said, _SAID_MAX, 0).decode(errors="replace")
        wire.send(line, {"code": os.waitstatus_to_exitcode(result), "said": text})
    except BaseException as error:
        launch.answer_failure(line, error)
    os._exit(0)


def _become_nft(script: int, said: int) -> NoReturn:
    try:
        for number, fd in enumerate((script, said, said)):
            os.dup2(fd, number)
        for path in PROGRAMS:
            try:
                os.execve(path, ["nft", "-f", "-"], {})
            except (FileNotFoundError, PermissionError):
                continue
    finally:
        os._exit(NO_PROGRAM)
