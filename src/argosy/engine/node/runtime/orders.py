"""From the agent's values to the holder's orders: pure.

`local` adds what only the machine knows (cgroups, free CPUs). Paths: everything of a run lies in
`<pod directory>/runtime`, named `<container>-<attempt>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from argosy.engine.node.runtime.holder import landlock
from argosy.engine.node.runtime.holder.order import Confinement, StartOrder
from argosy.engine.node.runtime.paths import places, translate
from argosy.engine.node.runtime.spec import ContainerSpec, Level, PodSpec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def runtime_directory(pod: PodSpec) -> Path:
    """Where the runtime keeps a pod's state."""
    return pod.directory / "runtime"


def run_paths(spec: ContainerSpec) -> tuple[Path, Path, Path]:
    """State file, root directory and termination file of a run."""
    directory = runtime_directory(spec.pod)
    stem = f"{spec.name}-{spec.attempt}"
    return directory / f"{stem}.json", directory / f"{stem}.root", directory / f"{stem}.termination"


def environment(spec: ContainerSpec, level: Level, root: Path, table: Mapping[str, str]) -> dict[str, str]:
    """The container's variables, with those that every process expects filled in."""
    env = {name: translate(value, table) for name, value in spec.env.items()}
    env.setdefault("PATH", DEFAULT_PATH)
    env.setdefault("HOSTNAME", spec.pod.hostname)
    if level is Level.L0:
        env.setdefault("HOME", str(root))
        env.setdefault("TMPDIR", str(root / "tmp"))
        env.setdefault("ARGOSY_ROOT", str(root))
    else:
        env.setdefault("HOME", "/" if spec.run_as_user else "/root")
    if spec.tty:
        env.setdefault("TERM", "xterm")
    return env


def working_directory(spec: ContainerSpec, level: Level, root: Path, table: Mapping[str, str]) -> str:
    """At L0 the host's / is nobody's working directory: a relative or absent one lies in the run's own root."""
    wanted = translate(spec.working_dir, table) or "/"
    if level is Level.L0 and (wanted == "/" or not Path(wanted).is_dir()):
        return str(root) + wanted.rstrip("/")
    return wanted


def confinement(spec: ContainerSpec, level: Level, cgroups: Sequence[str], cpus: Sequence[int]) -> Confinement:
    """How the container's processes live."""
    _, root, termination = run_paths(spec)
    rules: list[tuple[str, bool]] | None = None
    table: dict[str, str] = {}
    scope = 0
    if level is Level.L0:
        table = places(spec, root, termination)
        rules = landlock.host_rules()
        rules += [(str(path), False) for path in spec.read_only_paths]
        rules += [(str(mount.source), not mount.read_only) for mount in spec.mounts]
        rules += [(str(root), True), (str(termination), True)]
        scope = landlock.SCOPE_SIGNALS | landlock.SCOPE_ABSTRACT_SOCKETS
    elif level is Level.L1:
        scope = landlock.SCOPE_ABSTRACT_SOCKETS
    return {
        "env": environment(spec, level, root, table),
        "cwd": working_directory(spec, level, root, table),
        "uid": spec.run_as_user,
        "gid": spec.run_as_group,
        "groups": list(spec.groups),
        "capabilities": list(spec.add_capabilities),
        "cgroups": list(cgroups),
        "cpus": list(cpus),
        "rules": rules,
        "scope": scope,
        "host_pids": spec.pod.host_processes and level is not Level.L0,
        "layer": str(spec.own_root or ""),
        "places": table,
    }


def start_order(spec: ContainerSpec, level: Level, how: Confinement, cgroup_oom: str, watch: int) -> StartOrder:
    """The order for one run. `watch` is the memory limit the shim watches over, 0 for none."""
    state, root, termination = run_paths(spec)
    pod = spec.pod
    binds = [(str(path), str(path), True) for path in spec.read_only_paths]
    binds.append((str(pod.etc_hosts), "/etc/hosts", False))
    binds.append((_resolv_conf(spec, level), "/etc/resolv.conf", True))
    binds += [(str(mount.source), mount.target, mount.read_only) for mount in spec.mounts]
    binds.append((str(termination), spec.termination_message_path, False))
    binds = [bind for bind in binds if bind[0]]
    return {
        "op": "start",
        "id": spec.id,
        "pod": pod.uid,
        "container": spec.name,
        "attempt": spec.attempt,
        "argv": [translate(word, how["places"]) for word in spec.argv],
        "confinement": how,
        "log": str(spec.log_path),
        "log_max": spec.log_bytes_max,
        "state": str(state),
        "root": str(root),
        "binds": binds,
        "ro_root": spec.read_only_root,
        "tty": spec.tty,
        "stdin": str(stdin_path(spec)) if spec.stdin else "",
        "cgroup_oom": cgroup_oom,
        "memory_bytes": watch,
        "pids": spec.limits.pids or 0,
        "join": 0,
        "join_time": 0,
        "shim": "",
    }


def stdin_path(spec: ContainerSpec) -> Path:
    """The FIFO that feeds the container's standard input, if it has one."""
    return runtime_directory(spec.pod) / f"{spec.name}-{spec.attempt}.stdin"


def _resolv_conf(spec: ContainerSpec, level: Level) -> str:
    if level is Level.L2 and not spec.pod.host_network:
        return str(spec.pod.resolv_conf)
    real = Path("/etc/resolv.conf").resolve()
    return str(real) if real.is_file() else ""
