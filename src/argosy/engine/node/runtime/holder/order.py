"""What the engine orders from the holder: plain dicts on the wire, typed here.

At run time these names are just `dict`, because the holder imports as little as it can.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from argosy.meta.json import Obj

    Request = Obj  # any request, before its `op` is looked at

    class Confinement(TypedDict):
        """How a process in a container lives: the same for its first process and for what is executed in it later."""

        env: dict[str, str]
        cwd: str
        uid: int | None
        gid: int | None
        groups: list[int]
        capabilities: list[str]
        cgroups: list[str]
        """Files to write oneself into."""
        cpus: list[int]
        rules: list[tuple[str, bool]] | None
        """Landlock: paths and whether they may be written; None leaves the file system alone."""
        scope: int
        host_pids: bool
        """No pid namespace stands between it and the host."""
        layer: str
        """The image's root file system, below the container's own; nothing: the holder's skeleton and the host's /usr."""
        places: dict[str, str]
        """L0: where the container's paths lead; for the engine, which translates commands with it."""

    class StartOrder(TypedDict):
        """`start`: run a container. Every path is absolute and the host's."""

        op: str
        id: str
        pod: str
        container: str
        attempt: int
        argv: list[str]
        confinement: Confinement
        log: str
        log_max: int
        state: str
        root: str
        binds: list[tuple[str, str, bool]]
        ro_root: bool
        tty: bool
        stdin: str
        """A FIFO to read standard input from, or nothing."""
        cgroup_oom: str
        memory_bytes: int
        pids: int
        """How many processes and threads there may be, 0 for any number."""
        join: int
        """The host's pid of a process whose pid namespace is entered, 0 for one of the run's own."""
        join_time: int
        """When that process started, in ticks."""
        shim: str
        """The small supervisor's program, or nothing where there is none."""

    class PauseOrder(TypedDict):
        """`pause`: the first process of a pid namespace that a pod's containers share. It does nothing but exist."""

        op: str
        pod: str
        root: str
        record: str
        """A file that tells its pid and start time, for whoever has to end it."""

    class ExecOrder(TypedDict):
        """`exec`: run a command in a container.

        Its descriptors 0, 1 and 2 come with the request, unless it gets a terminal: then the terminal's other side comes
        back with the first answer.
        """

        op: str
        pid: int
        start_time: int
        argv: list[str]
        confinement: Confinement
        tty: bool
        timeout: float | None

    class State(TypedDict, total=False):
        """A run's state file, `<pod directory>/runtime/<container>-<attempt>.json`."""

        id: str
        pod: str
        container: str
        attempt: int
        boot: str
        pid: int
        start_time: int
        command_pid: int
        command_start_time: int
        started_at: float
        finished_at: float
        code: int
        signal: int
        reason: str
        message: str
        confinement: Confinement
        mounts: int
        """The mount namespace, by which its processes are known where it has no pid namespace of its own; else 0."""

else:
    Confinement = StartOrder = ExecOrder = PauseOrder = State = Request = dict
