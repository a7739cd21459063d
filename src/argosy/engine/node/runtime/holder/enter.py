"""From an exec order to a command inside a running container.

Forked off the holder per request. The child enters the container's namespaces, its own child confines itself exactly as
the container's first process did and executes; the former waits, on the engine's own connection: it answers the exit
code, and kills the command when the time is up or the engine hangs up.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from argosy.engine.node.runtime.holder import confine, launch, processes, rootfs, syscalls, terminal, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import ExecOrder, Request

_NAMESPACES = ("ipc", "uts", "net", "pid", "mnt")


def run(level: str, order: ExecOrder, line: socket.socket, descriptors: list[int]) -> NoReturn:
    """In the child. Never returns. `descriptors` are the command's stdin, stdout and stderr, or none with a terminal."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _run(level, order, line, descriptors)
    except BaseException as error:
        launch.answer_failure(line, error)
        os._exit(1)
    os._exit(0)


def socket_in(namespaces: list[int], request: Request, line: socket.socket) -> NoReturn:
    """In the child: make a socket in a pod's own network and hand it over. Never returns."""
    try:
        for fd in namespaces:
            syscalls.setns(fd)
        made = socket.socket(request["family"], request["type"] | socket.SOCK_NONBLOCK)
        wire.send(line, {}, [made.fileno()])
    except BaseException as error:
        launch.answer_failure(line, error)
    os._exit(0)


def _run(level: str, order: ExecOrder, line: socket.socket, descriptors: list[int]) -> None:
    os.setsid()
    syscalls.set_name("argosy-exec")
    many_ids = os.geteuid() == 0 and rootfs.maps_many_ids()
    target = order["pid"]
    confine.limit(order["confinement"])  # while the control groups can still be seen; this process waits, it is small
    if level != "L0":
        left_out = {"net" if level != "L2" else "", "pid" if order["confinement"].get("host_pids") else ""}
        names = [name for name in _NAMESPACES if name not in left_out]
        namespaces = [os.open(f"/proc/{target}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names]
        if not processes.is_alive(target, order["start_time"]):
            raise ProcessLookupError("the container has ended")
        for fd in namespaces:
            syscalls.setns(fd)
    launch.close_others([line.fileno(), *descriptors])
    report = os.pipe()
    ours, theirs = socket.socketpair()
    command = os.fork()
    if not command:
        _become_command(level, order, descriptors, (report[1], theirs), many_ids=many_ids)
    for fd in (report[1], *descriptors):
        os.close(fd)
    theirs.close()
    watch = os.pidfd_open(command)
    master = terminal.receive(ours) if order["tty"] else -1
    with open(report[0], "rb") as reading:
        failure = reading.read()
    if failure:
        os.waitpid(command, 0)
        wire.send(line, {"code": 126, "failure": failure.decode(errors="replace"), "timed_out": False})
        return
    if master >= 0:
        wire.send(line, {"terminal": True}, [master])
        os.close(master)
    timed_out = _await(command, watch, line, order["timeout"])
    _, result = os.waitpid(command, 0)
    code = 128 + os.WTERMSIG(result) if os.WIFSIGNALED(result) else os.WEXITSTATUS(result)
    wire.send(line, {"code": code, "timed_out": timed_out})


def _await(command: int, watch: int, line: socket.socket, timeout: float | None) -> bool:
    """Wait for the command; True when it had to be killed for want of time."""
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    poll.register(line, select.POLLRDHUP | select.POLLHUP)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        remaining = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
        events = poll.poll(remaining)
        if any(fd == watch for fd, _ in events):
            return False
        _kill(command)
        if not events:
            return True
        poll.unregister(line)


def _kill(command: int) -> None:
    for target in (os.killpg, os.kill):
        try:
            target(command, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def _become_command(
    level: str, order: ExecOrder, descriptors: list[int], up: tuple[int, socket.socket], *, many_ids: bool
) -> NoReturn:
    report, carrier = up
    try:
        os.setsid()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        confine.reset_signals()
        if order["tty"]:
            terminal.take(carrier)
        for number, fd in enumerate(descriptors):
            os.dup2(fd, number)
        how = order["confinement"]
        confine.become_command(
            order["argv"], how, many_ids=many_ids, processes_are_apart=level != "L0" and not how.get("host_pids")
        )
    except BaseException as error:
        os.write(report, confine.explain(error))
    os._exit(126)
