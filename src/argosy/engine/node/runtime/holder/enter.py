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

from argosy.engine.node.runtime.holder import confine, launch, processes, rootfs, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_NAMESPACES = ("ipc", "uts", "net", "pid", "mnt")


def run(level: str, order: Any, line: socket.socket, descriptors: list[int]) -> NoReturn:
    """In the child. Never returns. `descriptors` are the command's stdin, stdout and stderr."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _run(level, order, line, descriptors)
    except BaseException as error:
        launch.answer_failure(line, error)
        os._exit(1)
    os._exit(0)


def _run(level: str, order: Any, line: socket.socket, descriptors: list[int]) -> None:
    os.setsid()
    syscalls.set_name("argosy-exec")
    target = order["pid"]
    many_ids = os.geteuid() == 0 and rootfs.maps_many_ids()
    cgroups = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in order["cgroups"]]
    if level != "L0":
        names = [name for name in _NAMESPACES if level == "L2" or name != "net"]
        namespaces = [os.open(f"/proc/{target}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in names]
        if not processes.is_alive(target, order["start_time"]):
            raise ProcessLookupError("the container has ended")
        for fd in namespaces:
            syscalls.setns(fd)
    launch.close_others([line.fileno(), *descriptors, *cgroups])
    status = os.pipe()
    command = os.fork()
    if not command:
        _become_command(level, order, descriptors, (status[1], cgroups), many_ids=many_ids)
    os.close(status[1])
    for fd in descriptors:
        os.close(fd)
    watch = os.pidfd_open(command)
    with open(status[0], "rb") as report:
        failure = report.read()
    if failure:
        os.waitpid(command, 0)
        wire.send(line, {"code": 126, "failure": failure.decode(errors="replace")})
        return
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
    level: str, order: Any, descriptors: list[int], status: tuple[int, list[int]], *, many_ids: bool
) -> NoReturn:
    try:
        os.setsid()
        confine.reset_signals()
        for number, fd in enumerate(descriptors):
            os.dup2(fd, number)
        if order["tty"]:
            confine.take_terminal()
        for fd in status[1]:
            os.write(fd, b"0")
        confine.limit([])
        confine.become(order["uid"], order["gid"], many_ids=many_ids)
        os.chdir(order["cwd"])
        keep = confine.capability_set(order["capabilities"])
        confine.drop_privileges(keep, processes_are_apart=level != "L0")
        confine.execute(order["argv"], order["env"])
    except BaseException as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        os.write(status[0], text.encode(errors="replace"))
    os._exit(126)
