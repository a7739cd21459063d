"""From an order to a running container: holder -> shim -> command.

Forked off the holder per request, so that slow mounts of one pod hold up nobody. The shim is cloned into a new pid
namespace (as its pid 1) and enters the pod's other namespaces; its child builds its root, gives up every privilege and
becomes the command. The shim answers the engine, on the engine's own connection, once the command has been
executed or could not be.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from argosy.engine.node.runtime.holder import (
    confine,
    plain,
    processes,
    rootfs,
    shim,
    statefile,
    syscalls,
    terminal,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import Confinement, StartOrder, State


_MOUNTS = b"mount namespace "
"""Before the number by which a command tells its mount namespace, on the way on which it tells failures."""


class Place:
    """Where a container is to run: what the holder knows and the order does not say."""

    __slots__ = ("boot", "host", "keep", "level", "namespaces")

    def __init__(self, level: str, host: rootfs.Host | None, boot: str) -> None:
        self.level = level
        self.host = host
        self.boot = boot
        self.namespaces: list[int] = []  # the pod's, to enter
        self.keep: list[int] = []  # the holder's, to hold open


def run(place: Place, order: StartOrder, line: socket.socket, descriptors: list[int]) -> NoReturn:
    """In the child that is to be the shim. Never returns."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd in place.namespaces:
            syscalls.setns(fd)
        if order["join"]:
            _join(order["join"], order["join_time"])
        _supervise(place, order, line, descriptors)
    except (
        BaseException
    ) as error:  # whatever it is, the engine must hear of it and the child must not go on as a holder
        answer_failure(line, error)
        os._exit(1)
    os._exit(0)


def _join(pid: int, started: int) -> None:
    """Have the children live among another process's; the shim itself stays out of their sight."""
    fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    if not processes.is_alive(pid, started):
        raise ProcessLookupError("the processes that this container is to live among have ended")
    syscalls.setns(fd)
    os.close(fd)


def answer_failure(line: socket.socket, error: BaseException) -> None:
    """Tell the engine that the runtime itself failed."""
    try:
        wire.send(line, {"error": f"{type(error).__name__}: {error}"})
    except OSError:
        pass


def _supervise(place: Place, order: StartOrder, line: socket.socket, descriptors: list[int]) -> None:
    os.setsid()
    shim.rename()
    state: State = {
        "id": order["id"], "pod": order["pod"], "container": order["container"], "attempt": order["attempt"],
        "boot": place.boot, "pid": processes.own_pid(), "start_time": processes.start_time("self"),
        "started_at": time.time(), "confinement": order["confinement"],
    }  # fmt: skip
    close_others([line.fileno(), *place.keep, *descriptors])
    supervisor = shim.Shim(order, state, place.keep)
    if place.host is None:
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        try:
            plain.place(order)
        except OSError as error:
            _fail(supervisor, line, confine.explain(error))
            return
    failure = _start_command(place, supervisor, line)
    if failure:
        os.waitpid(supervisor.command, 0)
        _fail(supervisor, line, failure)
        return
    try:
        wire.send(line, state)
    except OSError:
        pass  # the engine has just ended: the next one finds the state file
    line.close()
    supervisor.run()


def _fail(supervisor: shim.Shim, line: socket.socket, failure: bytes) -> None:
    supervisor.log.finish()
    supervisor.state |= shim.ending(128, 0, "StartError", failure.decode(errors="replace"))
    statefile.append(supervisor.order["state"], supervisor.state)
    wire.send(line, supervisor.state)


def _start_command(place: Place, supervisor: shim.Shim, line: socket.socket) -> bytes:
    """Fork the command and wait until it has been executed, which closes its pipe, or has said why not.

    As long as nothing is written down, no other engine can know of this run: without the one that ordered it, it must not be.
    """
    order, state = supervisor.order, supervisor.state
    out, err, report = os.pipe(), os.pipe(), os.pipe()
    ours, theirs = socket.socketpair()
    supervisor.keep_stdin_open()
    command = os.fork()
    if not command:
        _become_command(place, order, (out[1], err[1], report[1]), theirs)
    for fd in (out[1], err[1], report[1]):
        os.close(fd)
    theirs.close()
    supervisor.listen(command)
    with open(report[0], "rb") as reading:
        state["command_pid"] = int(reading.readline() or 0)
        state["command_start_time"] = processes.start_time(state["command_pid"])
        if wire.hung_up(line):
            os._exit(1)
        statefile.append(order["state"], state)
        if order["tty"]:
            supervisor.attach_terminal(terminal.receive(ours))
        else:
            supervisor.attach(out[0], b"stdout")
            supervisor.attach(err[0], b"stderr")
        failure = reading.read()
    if failure.startswith(_MOUNTS):
        first, _, failure = failure.partition(b"\n")
        state["mounts"] = int(first.removeprefix(_MOUNTS))
        statefile.append(order["state"], {"mounts": state["mounts"]})
    ours.close()
    return failure


def close_others(keep: list[int]) -> None:
    """Close whatever else was open in the holder: other connections, other pods' namespaces."""
    below = 3
    for fd in sorted(keep):
        if fd > below:
            syscalls.close_range(below, fd - 1)
        below = fd + 1
    syscalls.close_range(below)


def _give_home(how: Confinement) -> None:
    """The home that an image's environment names is its user's, also where a mount below it had it made."""
    home, uid, gid = how["env"].get("HOME", ""), how["uid"], how["gid"]
    if uid and home.startswith("/home/"):
        os.makedirs(home, exist_ok=True)
        try:
            if os.stat(home).st_uid == 0:
                os.chown(home, uid, -1 if gid is None else gid)
        except OSError:  # a namespace may know of one user only, and then everything is that user's
            pass


def _become_command(place: Place, order: StartOrder, pipes: tuple[int, int, int], carrier: socket.socket) -> NoReturn:
    """In the last child: build the root, give everything up, and execute. Never returns."""
    out, err, report = pipes
    try:
        os.write(report, b"%d\n" % processes.own_pid())
        os.setsid()
        syscalls.prctl(
            syscalls.PR_SET_PDEATHSIG, signal.SIGKILL
        )  # matters at L0, where no pid namespace ends with the shim
        confine.reset_signals()
        if order["stdin"] and not order["tty"]:
            os.dup2(os.open(order["stdin"], os.O_RDONLY | os.O_CLOEXEC), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        how = order["confinement"]
        confine.limit(how)
        if place.host is not None:
            layout = rootfs.Layout(order["root"], order["binds"], own_network=place.level == "L2")
            layout.uid, layout.gid, layout.read_only = how["uid"], how["gid"], order["ro_root"]
            layout.pids, layout.image = order["pids"], how["layer"]
            layout.host_pids = how["host_pids"]
            rootfs.enter(place.host, layout)
            if order["join"] or how["host_pids"]:
                os.write(report, _MOUNTS + b"%d\n" % os.stat("/proc/self/ns/mnt").st_ino)
            if not layout.image:
                _give_home(how)
        os.makedirs(how["cwd"], exist_ok=True)
        if order["tty"]:
            terminal.take(carrier)
        many_ids = place.host.many_ids if place.host else os.geteuid() == 0
        apart = place.host is not None and not how["host_pids"]
        confine.become_command(order["argv"], how, many_ids=many_ids, processes_are_apart=apart)
    except BaseException as error:
        os.write(report, confine.explain(error))
    os._exit(128)
