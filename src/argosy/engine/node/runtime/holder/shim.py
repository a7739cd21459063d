"""The supervisor of one container run: pid 1 of its pid namespace (L1, L2) or a child subreaper (L0).

Forked by `launch`; needs neither the holder nor the engine afterwards. It reaps orphans, passes signals on to the command,
writes the log, keeps the run's state file, and ends with the command, taking everything else in the container with it.
"""

from __future__ import annotations

import os
import select
import signal
import time

from argosy.engine.node.runtime.holder import processes, statefile, syscalls
from argosy.engine.node.runtime.holder.crilog import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argosy.engine.node.runtime.holder.order import StartOrder, State

WATCH_SECONDS = 0.5
_FORWARDED = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH,
)  # fmt: skip
STDIN_ENDS = signal.SIGIO
"""How the engine says that nobody will feed the command any more."""
_CHUNK = 1 << 16


class Shim:
    """Supervises one command, a child of this process, until it ends."""

    def __init__(self, order: StartOrder, state: State, keep: list[int]) -> None:
        self.order = order
        self.keep = keep  # descriptors that stay open as long as this process lives
        self.state = state
        self.command = 0
        self.streams: dict[int, bytes] = {}  # descriptor -> b"stdout" or b"stderr"
        self.terminal = -1
        self.typed = -1
        self.kept = -1
        self.log = Log(order["log"], order["log_max"])
        self.status: int | None = None
        self.out_of_memory = False
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def attach(self, fd: int, stream: bytes) -> None:
        """Log what comes from a descriptor."""
        self.streams[fd] = stream

    def attach_terminal(self, fd: int) -> None:
        """The command has a terminal: log what it shows, and type into it what comes through the run's FIFO."""
        if fd < 0:
            return
        self.terminal = fd
        self.attach(fd, b"stdout")
        if self.order["stdin"]:
            self.typed = os.open(self.order["stdin"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def keep_stdin_open(self) -> None:
        """The command reads a FIFO: without a writer it would read the end whenever nobody is attached."""
        if self.order["stdin"] and not self.order["tty"]:
            self.kept = os.open(self.order["stdin"], os.O_RDWR | os.O_CLOEXEC)

    def listen(self, command: int) -> None:
        """From now on supervise this child; signals wake the loop up instead of ending this process."""
        self.command = command
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        for number in (*_FORWARDED, signal.SIGCHLD, STDIN_ENDS):
            signal.signal(number, _noted)

    def run(self) -> None:
        """Supervise until the command has ended and everything is written down."""
        self._shrink()
        poll = select.poll()
        poll.register(self._wake[0], select.POLLIN)
        for fd in self.streams:
            poll.register(fd, select.POLLIN)
        if self.typed >= 0:
            poll.register(self.typed, select.POLLIN)
        watch = self.order["memory_bytes"]
        self._reap()  # it may have ended before we listened
        while self.status is None:
            for fd, _ in poll.poll(WATCH_SECONDS * 1000 if watch else None):
                if fd == self._wake[0]:
                    self._signals()
                elif fd == self.typed:
                    self._type()
                elif not self._read(fd):
                    poll.unregister(fd)
            if watch and self.status is None:
                self._watch_memory(watch)
        self._end_the_rest()
        for fd in list(self.streams):
            os.set_blocking(fd, False)
            while self._read(fd):
                pass
        self.log.finish()
        self._record()

    def _shrink(self) -> None:
        """Become the small supervisor, `shim.c`, where there is one and it does for this run; otherwise go on."""
        own_namespace = os.getpid() == 1
        if not self.order["shim"] or not own_namespace or self.order["memory_bytes"] or self.state.get("mounts"):
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_FORWARDED, signal.SIGCHLD, STDIN_ENDS))
        try:
            self._signals()  # those that have come before the program could take them
        except BlockingIOError:
            pass
        self._reap()
        if self.status is None:
            out = next((fd for fd, name in self.streams.items() if name == b"stdout" and fd != self.terminal), -1)
            err = next((fd for fd, name in self.streams.items() if name == b"stderr"), -1)
            ends = (out, err, self.terminal, self.typed, self.kept)
            for fd in (*ends, *self.keep):
                if fd >= 0:
                    os.set_inheritable(fd, True)
            order = self.order
            first = (order["state"], order["log"], order["log_max"], order["cgroup_oom"], self.command)
            try:
                os.execv(
                    order["shim"],
                    ["argosy-shim", *map(str, (*first, *ends, int(bool(order["stdin"] or order["tty"]))))],
                )
            except OSError:  # whatever has become of it
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _read(self, fd: int) -> bool:
        try:
            chunk = os.read(fd, _CHUNK)
        except OSError:  # EAGAIN at the end, EIO of a terminal whose other side has closed
            chunk = b""
        if chunk:
            # Who is spoken to must see a question that has no newline.
            self.log.feed(self.streams[fd], chunk, at_once=fd == self.terminal or bool(self.order["stdin"]))
        return bool(chunk)

    def _type(self) -> None:
        try:
            os.write(self.terminal, os.read(self.typed, 4096))
        except OSError:  # nobody reads the terminal any more
            pass

    def _signals(self) -> None:
        for number in os.read(self._wake[0], 256):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == STDIN_ENDS:
                if self.kept >= 0:
                    os.close(self.kept)
                    self.kept = -1
            elif self.status is None:
                try:
                    os.kill(self.command, number)
                except ProcessLookupError:
                    pass

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.command:
                self.status = status

    def _watch_memory(self, limit: int) -> None:
        """Stand in for the kernel where it enforces no memory limit."""
        own_pids = os.getpid() == 1
        pid, command, mounts = self.state["pid"], self.state["command_pid"], self.state.get("mounts", 0)
        proc, pids = processes.members(pid, command, own_pids=own_pids, mounts=mounts)
        if sum(processes.resident_bytes(proc, pid) for pid in pids) > limit:
            self.out_of_memory = True
            os.kill(self.command, signal.SIGKILL)

    def _end_the_rest(self) -> None:
        if os.getpid() == 1:  # only in a pid namespace of our own does -1 mean "everything in the container"
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            _reap_all()
            return None
        mounts = self.state.get("mounts", 0)
        if mounts:
            return processes.end_in_mounts(mounts)
        while True:
            rest = processes.descendants(os.getpid())
            if not rest:
                return None
            for pid in rest:
                try:
                    os.kill(pid, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    pass
            os.waitpid(-1, 0)

    def _record(self) -> None:
        status = self.status or 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        killed_for_memory = self.out_of_memory or (number == signal.SIGKILL and self._oom_seen())
        code = 128 + number if number else os.WEXITSTATUS(status)
        statefile.append(self.order["state"], ending(code, number, "OOMKilled" if killed_for_memory else ""))

    def _oom_seen(self) -> bool:
        """Whether the kernel's own limit has killed something in the container's cgroup."""
        path = self.order["cgroup_oom"]
        if not path:
            return False
        try:
            with open(path, encoding="ascii") as file:
                counters = dict(line.split() for line in file)
        except (OSError, ValueError):
            return False
        return int(counters.get("oom_kill", 0)) > 0


def ending(code: int, number: int, reason: str = "", message: str = "") -> State:
    """What a state file says of a run's end."""
    return {"code": code, "signal": number, "finished_at": time.time(), "reason": reason, "message": message}


def _noted(number: int, frame: object) -> None:
    """The wake-up descriptor has carried the signal's number; nothing is left to do here."""


def _reap_all() -> None:
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def rename() -> None:
    """Let `ps` say what this process is."""
    syscalls.set_name("argosy-shim")
