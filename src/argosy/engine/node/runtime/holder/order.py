"""What the engine orders from the holder: plain dicts on the wire, typed here.

At run time these names are just `dict`, because the holder imports as little as it can.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class PodOrder(TypedDict):
        """`pod`: make a sandbox."""

        op: str
        uid: str
        hostname: str
        address: str

    class StartOrder(TypedDict):
        """`start`: run a container. Every path is absolute and the host's."""

        op: str
        id: str
        pod: str
        container: str
        attempt: int
        argv: list[str]
        env: dict[str, str]
        cwd: str
        hostname: str
        log: str
        log_max: int
        state: str
        root: str
        binds: list[tuple[str, str, bool]]
        optional_targets: list[str]
        uid: int | None
        gid: int | None
        ro_root: bool
        capabilities: list[str]
        tty: bool
        stdin: str
        cgroups: list[str]
        cgroup_oom: str
        memory_bytes: int
        cpus: list[int]

    class ExecOrder(TypedDict):
        """`exec`: run a command in a container; descriptors 0, 1 and 2 of the command come with the request."""

        op: str
        pid: int
        start_time: int
        argv: list[str]
        env: dict[str, str]
        cwd: str
        uid: int | None
        gid: int | None
        capabilities: list[str]
        tty: bool
        timeout: float | None
        cgroups: list[str]
        root: str

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
        exec: dict[str, Any]

else:
    PodOrder = StartOrder = ExecOrder = State = dict
