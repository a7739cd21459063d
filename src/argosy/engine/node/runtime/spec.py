"""The interface between the node agent, which knows Kubernetes, and the runtime, which knows Linux.

The agent turns a Pod into these values; the runtime turns them into processes. Nothing here mentions Kubernetes objects,
and nothing above mentions namespaces or mounts. Three levels implement it (`probe.best_level` tells which the machine
allows):

- L2: own user, mount, pid, ipc, uts and network namespaces per pod, routed /32 addresses in one engine-owned network
  namespace; sockets of that network are handed to the engine over SCM_RIGHTS, so the engine itself stays in the host's.
- L1: the same without a network namespace: pods share the host's ports, each has a 127.x.y.z of its own.
- L0: plain supervised processes; no mounts, so no /etc/hosts of a pod's own, and paths of volumes in arguments and
  variables are translated.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from argosy.engine.node.accounts import Accounts
from argosy.errors import ArgosyError


class Level(StrEnum):
    """How strongly a pod is set apart."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"


@dataclass(frozen=True, slots=True)
class Mount:
    """One bind mount (L1, L2) or translated path (L0) in a container."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use; None means unlimited. Enforced as well as the machine can (`Runtime.enforces`)."""

    memory_bytes: int | None = None
    cpu_millis: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod's sandbox: what its containers share."""

    uid: str
    namespace: str
    name: str
    hostname: str
    address: str
    """The pod's IP: in the pod network (L2), or a 127.x.y.z (L0, L1)."""
    directory: Path
    """The pod's own directory; the runtime keeps its state in `<directory>/runtime`."""
    etc_hosts: Path
    """File bound at /etc/hosts (L1, L2); the agent rewrites it in place."""
    resolv_conf: Path
    """File bound at /etc/resolv.conf (L2)."""
    host_network: bool = False
    share_processes: bool = False
    """Its containers see each other's processes (L1, L2): one pid namespace, of which none of them is the first."""
    host_processes: bool = False
    """They see, and are among, the host's."""
    memory_volumes: tuple[tuple[Path, int], ...] = ()
    """Directories that are a file system in memory of that many bytes (L1, L2)."""
    sysctls: tuple[tuple[str, str], ...] = ()
    """Kernel parameters of its own namespaces, `net.core.somaxconn` and the value."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One run of one container. A restart is a new run with the next `attempt`."""

    pod: PodSpec
    name: str
    attempt: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    working_dir: str
    log_path: Path
    """Where the shim writes the log, in the CRI format (`<RFC3339Nano> stdout|stderr F|P <text>`), rotated at
    `log_bytes_max` to `<log_path>.1`."""
    log_bytes_max: int = 10 * 1024 * 1024
    mounts: tuple[Mount, ...] = ()
    read_only_paths: tuple[Path, ...] = ()
    """Host paths that appear at the same place, read-only: the image's environment and the interpreter it needs."""
    own_root: Path | None = None
    """The root file system that the container's is a writable layer over (L1, L2); None: this machine's own tools."""
    limits: Limits = Limits()
    run_as_user: int | None = None
    run_as_group: int | None = None
    groups: tuple[int, ...] = ()
    """Supplementary groups."""
    read_only_root: bool = False
    add_capabilities: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    joins: str = ""
    """The name of the container of this pod among whose processes it lives (L1, L2), if any."""
    termination_message_path: str = "/dev/termination-log"
    """A file in the container; bound from `<pod directory>/runtime/<name>-<attempt>.termination`."""

    @property
    def id(self) -> str:
        """Unique on the machine: `<pod uid>/<container>/<attempt>`."""
        return f"{self.pod.uid}/{self.name}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class Exit:
    """How a run ended. `signal` is 0 unless it was killed; then `code` is 128 + signal."""

    code: int
    signal: int
    started_at: float
    finished_at: float
    """Seconds since the epoch."""
    reason: str = ""
    """`OOMKilled`, `StartError` (argv could not be executed; `message` says why), or empty."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A container run that exists: running (`exit` None) or ended. `pid` is the host's pid of its shim."""

    id: str
    pod_uid: str
    container: str
    attempt: int
    pid: int
    started_at: float
    exit: Exit | None = None


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command run inside a container said."""

    code: int
    output: bytes
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses at a moment."""

    cpu_seconds: float
    memory_bytes: int


class RulesRefused(ArgosyError):
    """The network takes no rules, or not these; the message says why."""


class Network(Protocol):
    """The one primitive of the cluster's network: a socket in it. Works at every level; at L0 and L1 it is the host's.

    The caller binds, listens or connects the socket itself, from the host side: that is what makes Services, DNS, probes,
    Ingress and the API server's address inside the pod network ordinary asyncio code.
    """

    level: Level

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        """A new non-blocking, unbound socket that lives in the cluster's network. Raises OSError."""
        ...

    def add_local_address(self, address: str) -> None:
        """Make an address (a Service's cluster IP, the DNS server's) bindable in the cluster's network."""
        ...

    async def load_rules(self, script: str) -> None:
        """Load an nftables script, as one transaction. Raises RulesRefused; ArgosyError when it may work later."""
        ...

    async def forget_flows(self, services: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """Forget UDP conversations with these addresses that are answered by others than these. Raises ArgosyError."""
        ...


class Runtime(Protocol):
    """What the node agent asks of the machine."""

    level: Level
    enforces: frozenset[str]
    """Of `memory`, `cpu`, `pids`: limits enforced by the kernel. The rest is watched (memory) or approximated (cpu)."""

    @property
    def network(self) -> Network:
        """The cluster's network; usable once started."""
        ...

    async def start(self) -> None:
        """Bring up, or find again, whatever outlives the engine (the holder of the pod network)."""
        ...

    async def close(self, *, kill: bool) -> None:
        """Let go; with `kill` end every pod and the holder as well, leaving no process, mount or namespace."""
        ...

    async def adopt(self) -> Sequence[Run]:
        """Runs that an earlier engine left on this machine, running or ended, from their state files."""
        ...

    async def create_pod(self, spec: PodSpec) -> None:
        """Make the sandbox. Idempotent for the same uid."""
        ...

    async def remove_pod(self, uid: str) -> None:
        """End whatever still runs in the pod and remove its sandbox. Idempotent."""
        ...

    async def start_container(self, spec: ContainerSpec) -> Run:
        """Start a run. Failure to execute argv is not an exception: the run ends at once with reason StartError."""
        ...

    async def wait(self, run_id: str) -> Exit:
        """Wait for a run to end; works for adopted runs too."""
        ...

    async def signal(self, run_id: str, number: int) -> None:
        """Send a signal to the container's first process; SIGKILL ends the whole container. No-op when it has ended."""
        ...

    async def exec(self, run_id: str, argv: Sequence[str], *, timeout_seconds: float | None = None) -> ExecResult:
        """Run a command inside the container's namespaces, for exec probes and hooks; output is capped at 64 KiB."""
        ...

    async def usage(self, run_id: str) -> Usage | None:
        """What the run uses now; None when it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class OwnRoot:
    """What an image that is itself, and no environment of this machine, has besides its command."""

    path: Path
    """Its root file system."""
    accounts: Accounts
    user: str = ""
    """As the image says it: `name`, `uid`, `name:group` …; empty for root."""
    stop_signal: int | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference resolved to an environment on this machine, or to the image itself."""

    reference: str
    digest: str
    """Content address of the environment, `sha256:…`, or an image's own name, `registry/name@sha256:…`."""
    path_entries: tuple[str, ...] = ()
    """Directories to put first on PATH."""
    env: Mapping[str, str] = field(default_factory=dict)
    read_only_paths: tuple[Path, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    """What runs when the pod gives neither command nor args."""
    working_dir: str = "/"
    programs: Mapping[str, str] = field(default_factory=dict)
    """Paths of the real image's programs, and where those lie that stand in for them."""
    own: OwnRoot | None = None
    """Set for an image that is itself."""
