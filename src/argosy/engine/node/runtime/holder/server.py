"""The holder: the small process that outlives the engine and holds the node's namespaces.

Started by `connection` as `python -I -S`, single-threaded, with as few imports as can be, since every container's shim is a
fork of it. At L2 it stands in a user, mount and network namespace of its own: the cluster's network. It makes pod
sandboxes (kept alive by open descriptors, without a process), forks off the launch of containers and the entering of
them, and hands out sockets. It never waits for anyone: work that may take long is done in its children.

Requests (see `wire`): hello, pod, unpod, pause, start, exec, sockets, pod-socket, address, rules, flows, rejoin, end.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys

from argosy.engine.node.runtime.holder import (
    confine,
    enter,
    flows,
    launch,
    netlink,
    pause,
    processes,
    rootfs,
    rules,
    sandbox,
    seccomp,
    syscalls,
    wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from argosy.engine.node.runtime.holder.order import Request, StartOrder

SOCKET_NAME = "holder.sock"
KEY_NAME = "holder.key"
KEY_BYTES = 32
_STRANGERS_MAX = 64
CHECK_SECONDS = 10.0
_PATIENCE_SECONDS = 2.0
_FIRST_FREE = 16
KEPT = (("user", 4), ("net", 5), ("ipc", 6), ("uts", 7), ("mnt", 8))
"""The holder's own namespaces, in the order to enter them, and the descriptor at which every shim keeps each open."""
_POD_NAMESPACES = (("net", syscalls.CLONE_NEWNET), ("ipc", syscalls.CLONE_NEWIPC), ("uts", syscalls.CLONE_NEWUTS))


class Holder:
    """State: the pods' namespaces, the cluster network's routing socket, the open lines."""

    def __init__(self, directory: str, level: str, listener: socket.socket, key: bytes) -> None:
        self.directory = directory
        self.level = level
        self.listener = listener
        self.inode = _inode(f"{directory}/{SOCKET_NAME}")
        self.key = key
        self.strangers: dict[int, socket.socket] = {}
        self.pods: dict[str, list[int]] = {}
        self.lines: dict[int, socket.socket] = {}
        self.place = launch.Place(
            level, rootfs.Host(f"{directory}/skeleton-{os.getpid()}") if level != "L0" else None, processes.boot_id()
        )
        self.own: list[int] = []
        self.routing: netlink.Netlink | None = None
        self.kinds = [kind for kind in _POD_NAMESPACES if level == "L2" or (level == "L1" and kind[0] != "net")]
        if level != "L0":
            self.own = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind, _ in self.kinds]
            self.place.keep = [_keep_open(f"/proc/self/ns/{name}", number) for name, number in KEPT]
        if level == "L2":
            self.routing = bring_up_network()
        seccomp.program(syscalls.MACHINE, processes_are_apart=level != "L0")

    def serve(self) -> None:
        """Answer requests until told to end, or until the way to this process is gone.

        That may be a deleted home, or another holder in this one's place; shims keep their pods' namespaces.
        """
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while True:
            events = poll.poll(CHECK_SECONDS * 1000)
            if not events and _inode(f"{self.directory}/{SOCKET_NAME}") != self.inode:
                return
            for fd, _ in events:
                if fd == self.listener.fileno():
                    line = self._accept()
                    if line:
                        self._greet(line, poll)
                elif fd in self.strangers:
                    poll.unregister(fd)
                    self._greet(self.strangers.pop(fd), poll)
                elif fd in self.lines and not self._answer(self.lines[fd]):
                    poll.unregister(fd)
                    self.lines.pop(fd).close()

    def _accept(self) -> socket.socket | None:
        try:
            line, _ = self.listener.accept()
        except OSError:
            return None
        peer = struct.unpack("=iII", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if peer[1] != os.geteuid():
            line.close()
            return None
        return line

    def _greet(self, line: socket.socket, poll: select.poll) -> None:
        """Hear the key, then the request. Who says neither is waited for without stopping, and not for ever.

        A pod without namespaces (L0) has this user and can reach the socket; what it cannot do is read the key's file.
        """
        try:
            said = line.recv(KEY_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if len(self.strangers) >= _STRANGERS_MAX:
                oldest = next(iter(self.strangers))
                poll.unregister(oldest)
                self.strangers.pop(oldest).close()
            self.strangers[line.fileno()] = line
            poll.register(line, select.POLLIN)
            return
        except OSError:
            said = b""
        if said != self.key:
            line.close()
            return
        line.settimeout(_PATIENCE_SECONDS)
        if self._answer(line):
            self.lines[line.fileno()] = line
            poll.register(line, select.POLLIN)
        else:
            line.close()

    def _answer(self, line: socket.socket) -> bool:
        """Take one request. True to keep the connection open for more."""
        try:
            request, descriptors = wire.receive(line)
        except (OSError, EOFError, ValueError):
            return False
        try:
            return self._carry_out(request, descriptors, line)
        except OSError as error:
            _try_send(line, {"error": f"{type(error).__name__}: {error}", "errno": error.errno or 0})
        except Exception as error:
            sys.excepthook(*sys.exc_info())
            _try_send(line, {"error": f"{type(error).__name__}: {error}"})
        finally:
            for fd in descriptors:
                os.close(fd)
        return False

    def _carry_out(self, request: Request, descriptors: list[int], line: socket.socket) -> bool:
        operation = request["op"]
        if operation == "sockets":
            self._hand_out(request, line)
            return True
        if operation in {"start", "pause", "exec", "pod-socket", "rules", "flows"}:
            if not wire.hung_up(line):
                self._fork(operation, request, descriptors, line)
            return False
        if operation in {"pod", "rejoin"} and wire.hung_up(line):
            return False  # of an engine that is dead: the next one has said hello, and knows nothing of this sandbox
        answer: Request = {}
        if operation == "hello":
            answer = {"protocol": wire.PROTOCOL, "level": self.level, "pid": os.getpid(), "pods": list(self.pods)}
            wire.send(line, answer, self.place.keep)  # the engine keeps the namespaces open, for the holder after this
            return False
        if operation == "pod":
            if request["uid"] not in self.pods:
                made = self.pods[request["uid"]] = self._make_pod(request)
                if made:
                    sandbox.mount_volumes(request["tmpfs"])
        elif operation == "unpod":
            for fd in self.pods.pop(request["uid"], ()):
                os.close(fd)
            sandbox.unmount_volumes(request.get("tmpfs", ()))
        elif operation == "rejoin":
            self._rejoin(request["uid"], request["pid"])
        elif operation == "address" and self.routing:
            self.routing.send(netlink.address(1, socket.inet_aton(request["address"])))
        elif operation == "end":
            wire.send(line, answer)
            os._exit(0)
        wire.send(line, answer)
        return False

    def _hand_out(self, request: Request, line: socket.socket) -> None:
        sockets = [
            socket.socket(request["family"], request["type"] | socket.SOCK_NONBLOCK, request["proto"])
            for _ in range(request["count"])
        ]
        wire.send(line, {}, [each.fileno() for each in sockets])
        for each in sockets:
            each.close()

    def _fork(self, operation: str, request: Request, descriptors: list[int], line: socket.socket) -> None:
        """Requests whose work is done, and answered, by a child."""
        order: Any = request  # a StartOrder or an ExecOrder, as the operation says
        namespaces = self.pods.get(request["pod"], []) if "pod" in request else []
        if operation in {"start", "pause"}:
            if request["pod"] not in self.pods:
                raise LookupError(f"pod {request['pod']} has no sandbox; create it first")
            among_others = self.level == "L0" or (operation == "start" and (order["join"] or _host_pids(order)))
            if not (os.fork() if among_others else syscalls.fork_into(syscalls.CLONE_NEWPID)):
                self.place.namespaces = namespaces
                if operation == "pause":
                    pause.run(self.place, order, line)
                launch.run(self.place, order, line, descriptors)
        elif not os.fork():
            if operation == "exec":
                enter.run(self.level, order, line, descriptors)
            if operation == "rules":
                rules.load(request, line)
            if operation == "flows":
                flows.forget(request, line)
            enter.socket_in(namespaces, request, line)

    def _make_pod(self, request: Request) -> list[int]:
        """Open a pod's namespaces by stepping into new ones and back again."""
        if self.level == "L0":
            return []
        made: list[int] = []
        flags = 0
        for _, flag in self.kinds:
            flags |= flag
        syscalls.unshare(flags)
        try:
            made = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind, _ in self.kinds]
            socket.sethostname(request["hostname"][:64])
            if self.routing:
                sandbox.open_ports()
                netlink.join_pod(self.routing, self.own[0], request["address"])
            sandbox.set_parameters(request["sysctls"])
        except BaseException:
            for fd in made:
                os.close(fd)
            raise
        finally:
            self._step_back()
        return made

    def _step_back(self) -> None:
        try:
            for fd in self.own:
                syscalls.setns(fd)
        except OSError:
            sys.excepthook(*sys.exc_info())
            os._exit(1)  # in a pod's namespaces this process would do harm; the engine starts another

    def _rejoin(self, uid: str, pid: int) -> None:
        """Take over the sandbox of a pod that an earlier holder made, from one of its shims."""
        if uid not in self.pods:
            self.pods[uid] = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind, _ in self.kinds]


def _host_pids(order: StartOrder) -> bool:
    return order["confinement"]["host_pids"]


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _try_send(line: socket.socket, answer: Request) -> None:
    try:
        wire.send(line, answer)
    except OSError:
        pass


def _keep_open(path: str, number: int) -> int:
    """Open a namespace at a fixed descriptor, inherited by every shim, for a later holder to come back to."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(fd, number, inheritable=False)
    if fd != number:
        os.close(fd)
    return number


def bring_up_network() -> netlink.Netlink:
    """Make the network namespace that this process has just entered the cluster's."""
    routing = netlink.Netlink()
    routing.send(netlink.link_up(1), netlink.address(1, socket.inet_aton(netlink.GATEWAY)))
    sandbox.open_ports()
    confine.write_text("/proc/sys/net/ipv4/ip_forward", "1")
    return routing


def former_namespaces(paths: str) -> list[int]:
    """Open the namespaces of an earlier holder, out of the way of the descriptors that `keep` pins."""
    found = []
    for path in paths.split(",") if paths else ():
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
        os.close(fd)
    return found


def enter_namespaces(level: str, former: list[int]) -> None:
    """Become the holder's namespaces: new ones, or those of an earlier holder, in the order of `KEPT`."""
    if level == "L0":
        return
    if former:
        for (name, _), fd in zip(KEPT, former, strict=True):
            # Entering one's own user namespace is an error; root may have had to do without one.
            if os.fstat(fd).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
                syscalls.setns(fd)
            os.close(fd)
        return
    flags = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
    flags |= syscalls.CLONE_NEWNET if level == "L2" else 0
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        syscalls.unshare(flags)
        confine.write_id_maps("/proc/self", f"0 {uid} 1", f"0 {gid} 1")
    else:
        _unshare_as_root(flags)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)


def _unshare_as_root(flags: int) -> None:
    """Root keeps every id it has, so that pods may run as any user. Only a process outside may write such a map."""
    gate = os.pipe()
    target = os.getpid()
    outside = os.fork()
    if not outside:
        status = 1
        try:
            os.close(gate[1])  # or the end of the wait would never be seen
            if os.read(gate[0], 1):
                maps = [_identity(f"/proc/self/{name}_map") for name in ("uid", "gid")]
                confine.write_id_maps(f"/proc/{target}", *maps, deny_setgroups=False)
                status = 0
        finally:
            os._exit(status)
    os.close(gate[0])
    try:
        syscalls.unshare(flags)
    except OSError as error:
        os.close(gate[1])
        os.waitpid(outside, 0)
        if error.errno not in {errno.EPERM, errno.ENOSPC, errno.EINVAL, errno.EUSERS}:
            raise
        syscalls.unshare(flags & ~syscalls.CLONE_NEWUSER)  # no user namespaces here, but root can do without
        return
    os.write(gate[1], b"1")
    os.close(gate[1])
    _, status = os.waitpid(outside, 0)
    if status:  # root of a container without the capability to map more than itself
        confine.write_id_maps("/proc/self", "0 0 1", "0 0 1")
        return
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _identity(path: str) -> str:
    with open(path, encoding="ascii") as file:
        extents = [line.split() for line in file]
    return "\n".join(f"{first} {first} {count}" for first, _, count in extents)


def _new_key(directory: str) -> bytes:
    """What the engine has to say before anything else, in a file of its own that nobody but this user opens."""
    key = os.urandom(KEY_BYTES)
    draft = f"{directory}/{KEY_NAME}.tmp"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, key)
    finally:
        os.close(fd)
    os.rename(draft, f"{directory}/{KEY_NAME}")
    return key


def _listen(directory: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd, path = wire.short_path(directory, SOCKET_NAME)
    try:
        os.unlink(f"{directory}/{SOCKET_NAME}")
    except FileNotFoundError:
        pass
    previous = os.umask(0o177)
    listener.bind(path)
    os.umask(previous)
    os.close(fd)
    listener.listen(1024)
    return listener


def main() -> NoReturn:
    """`holder <run directory> <level> <paths of an earlier holder's namespaces, or nothing>`.

    Says `ready` or an error on stdout.
    """
    directory, level, former = sys.argv[1:4]
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        namespaces = former_namespaces(former)
        for fd in range(3, _FIRST_FREE):  # leave the low numbers to what `keep` pins there
            os.dup2(0, fd, inheritable=False)
        enter_namespaces(level, namespaces)
        key = _new_key(directory)  # first: who finds the socket finds its key
        holder = Holder(directory, level, _listen(directory), key)
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        syscalls.set_name("argosy-holder")
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # three descriptors a pod
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.chdir("/")
        started = processes.start_time("self")
        text = f"ready {processes.own_pid()} {started} {level}"
    except BaseException as error:
        sys.excepthook(*sys.exc_info())
        os.write(1, f"error {error}".encode())
        os._exit(1)
    gc.collect()
    gc.disable()
    gc.freeze()
    os.write(1, text.encode())
    os.dup2(2, 1)
    holder.serve()
    os._exit(0)
