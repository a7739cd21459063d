"""From a Pod and an image to the values that the runtime takes. Pure but for the paths it composes.

Everything that Kubernetes says about how a process starts is decided here: argv, user, limits, working directory,
environment. `worker` calls it when a container starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from argosy.engine.node.environment import Sources, environment, expand, replace_names, with_addresses
from argosy.engine.node.etc_files import hostname_of
from argosy.engine.node.runtime.spec import ContainerSpec, Image, Level, Limits, Mount, OwnRoot, PodSpec
from argosy.engine.node.sources import Missing
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of, uid_of
from argosy.meta.quantity import parse

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PIDS_MAX = 4096
"""Processes and threads of a container: Kubernetes leaves it to the node, and one fork bomb must not be everybody's."""
OWN_ROOT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "KILL",
)
"""What root of an image that is itself may do, as CRI-O has it: package managers and servers that change their user need it."""
NON_ROOT_USER = 65532
"""Images have no user of their own here: a container that may not be root gets this one."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a launch depends on besides the pod and the image."""

    sources: Sources
    level: Level
    names: Mapping[str, str]
    """The cluster's host names, where nothing resolves them (L0)."""


def pod_spec(pod: Obj, address: str, directory: Path, memory: Path, node_memory: int = 0) -> PodSpec:
    """The sandbox of a pod; `node_memory` (bytes) bounds what lies in memory and has no bound of its own."""
    return PodSpec(
        uid=uid_of(pod),
        namespace=namespace_of(pod),
        name=name_of(pod),
        hostname=hostname_of(pod),
        address=address,
        directory=directory,
        etc_hosts=memory / "etc-hosts",
        resolv_conf=memory / "resolv.conf",
        host_network=bool(pod["spec"].get("hostNetwork")),
        share_processes=bool(pod["spec"].get("shareProcessNamespace")),
        host_processes=bool(pod["spec"].get("hostPID")),
        memory_volumes=_memory_volumes(pod, memory, node_memory),
        sysctls=tuple(sysctls_of(pod)),
    )


def sysctls_of(pod: Obj) -> list[tuple[str, str]]:
    """The kernel parameters that a pod asks for, their names with dots."""
    asked = dig(pod, "spec", "securityContext", "sysctls", default=())
    return [(str(each.get("name")).replace("/", "."), str(each.get("value"))) for each in asked]


def _memory_volumes(pod: Obj, memory: Path, node_memory: int) -> tuple[tuple[Path, int], ...]:
    """EmptyDirs in memory: as large as they say, no larger than the pod's memory limit, nor than the node's memory."""
    limits = [dig(c, "resources", "limits", "memory") for c in pod["spec"].get("containers") or ()]
    whole = sum(parse(str(limit)).value for limit in limits) if limits and all(limits) else 0
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if dig(volume, "emptyDir", "medium") == "Memory":
            own = parse(str(dig(volume, "emptyDir", "sizeLimit", default="0"))).value
            size = min(filter(None, (own, whole, node_memory)), default=0)
            if size:
                found.append((memory / "volumes" / str(volume["name"]), size))
    return tuple(found)


def container_of(pod: Obj, name: str) -> Obj:
    """The spec of a container, whichever list it stands in."""
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for container in pod["spec"].get(group) or ():
            if container.get("name") == name:
                return dict(container)
    raise Missing(f"the pod has no container {name}")


def groups_of(pod: Obj) -> tuple[int, ...]:
    """The supplementary groups of a pod's processes: those that it names, and the one that owns its volumes."""
    context = pod["spec"].get("securityContext") or {}
    groups = [*(context.get("supplementalGroups") or ()), context.get("fsGroup")]
    return tuple(dict.fromkeys(int(group) for group in groups if group is not None))


def log_path(directory: Path, container: str, attempt: int) -> Path:
    """Where a run's log lies."""
    return directory / f"{container}-{attempt}.log"


def env_of(pod: Obj, container: Obj, image: Image, situation: Situation) -> dict[str, str]:
    """The container's environment. Raises Missing."""
    env = environment(pod, container, situation.sources, image.env)
    if image.path_entries and "PATH" not in env:
        env["PATH"] = ":".join((*image.path_entries, DEFAULT_PATH))
    if situation.level is Level.L0:
        env.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host name resolves to no address that gloo could use
        env = replace_names(env, situation.names)
    return env


def container_spec(
    pod: Obj,
    container: Obj,
    attempt: int,
    image: Image,
    sandbox: PodSpec,
    env: Mapping[str, str],
) -> ContainerSpec:
    """One run of a container, without mounts. Raises Missing when it says nothing to run."""
    argv = _argv(container, image, env)
    if not argv:
        raise Missing(f"no command specified: the image {image.reference} has none, give the container a command")
    if argv[0].startswith("-"):  # options for a program that is the image's own elsewhere
        raise Missing(
            f"no command specified: the image {image.reference} has no program here that would take {argv[0]}, give the"
            " container a command, or the image one in images.yaml"
        )
    context = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    who = _own_user(pod, container, context, image.own) if image.own else _user(pod, container, context)
    if image.own and who.home and "HOME" not in env:
        env = {**env, "HOME": who.home}
    return ContainerSpec(
        pod=sandbox,
        name=str(container["name"]),
        attempt=attempt,
        argv=tuple(argv),
        env=env,
        working_dir=str(container.get("workingDir") or image.working_dir),
        log_path=log_path(sandbox.directory, str(container["name"]), attempt),
        read_only_paths=image.read_only_paths,
        limits=_limits(container),
        own_root=image.own.path if image.own else None,
        run_as_user=who.uid,
        run_as_group=who.gid,
        groups=tuple(dict.fromkeys((*who.groups, *groups_of(pod)))),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        add_capabilities=_capabilities(context, as_root=bool(image.own) and not who.uid),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        joins=str(container.get("targetContainerName") or ""),
        termination_message_path=str(container.get("terminationMessagePath") or "/dev/termination-log"),
    )


@dataclass(frozen=True, slots=True)
class _Who:
    uid: int | None
    gid: int | None
    groups: tuple[int, ...] = ()
    home: str = ""


def _user(pod: Obj, container: Obj, context: Obj) -> _Who:
    """Whom a container of an environment runs as, which has no users of its own."""
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot"):
        if user == 0:
            raise _breaks_policy(pod, container)
        user = NON_ROOT_USER if user is None else user
    return _Who(None if user is None else int(user), None if group is None else int(group))


def _own_user(pod: Obj, container: Obj, context: Obj, own: OwnRoot) -> _Who:
    """Whom a container of an image that is itself runs as: the pod's word, else the image's, by the image's accounts."""
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    where = f"(pod: {name_of(pod)}, container: {container['name']})"
    if context.get("runAsNonRoot"):
        name = own.user.partition(":")[0]
        if user == 0:
            raise _breaks_policy(pod, container)
        if user is None and name and not name.isdecimal():
            raise Missing(
                f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {where}"
            )
        if user is None and not int(name or 0):
            raise Missing(f"container has runAsNonRoot and image will run as root {where}")
    try:
        found = own.accounts.identity(own.user if user is None else str(user), gid=group)
    except LookupError as error:
        raise Missing(f"{error} {where}; set securityContext.runAsUser") from None
    return _Who(found.uid, found.gid, found.groups, found.home)


def _breaks_policy(pod: Obj, container: Obj) -> Missing:
    where = f"(pod: {name_of(pod)}, container: {container['name']})"
    return Missing(f"container's runAsUser breaks non-root policy {where}")


def _capabilities(context: Obj, *, as_root: bool) -> tuple[str, ...]:
    """What the container may do: what it asks for, and what root of an image expects unless the pod drops it."""
    added = [str(name).upper().removeprefix("CAP_") for name in dig(context, "capabilities", "add", default=())]
    dropped = {str(name).upper().removeprefix("CAP_") for name in dig(context, "capabilities", "drop", default=())}
    usual = [] if not as_root or "ALL" in dropped else [name for name in OWN_ROOT_CAPABILITIES if name not in dropped]
    return tuple(dict.fromkeys((*usual, *added)))


def with_mounts(spec: ContainerSpec, mounts: tuple[Mount, ...], situation: Situation) -> ContainerSpec:
    """The run with its volumes; where names do not resolve (L0), with addresses in its arguments too."""
    argv = tuple(with_addresses(arg, situation.names) for arg in spec.argv)
    return replace(spec, mounts=mounts, argv=argv)


def _argv(container: Obj, image: Image, env: Mapping[str, str]) -> list[str]:
    """Kubernetes' rule: `command` replaces the entrypoint and drops the image's command, `args` replaces the latter.

    What the pod says is expanded, what an image that is itself says is not. Where an environment stands for the image, the
    path of a program in the real one becomes the path of what stands in for it here.
    """
    command, args = container.get("command") or (), container.get("args") or ()
    said = () if command else (*image.entrypoint, *(() if args else image.command))
    given = [expand(str(word), env) for word in (*command, *args)]
    if image.own:
        return [*said, *given]
    return [image.programs.get(word, word) for word in (*(expand(word, env) for word in said), *given)]


def _limits(container: Obj) -> Limits:
    limits = dig(container, "resources", "limits", default={})
    memory, cpu = limits.get("memory"), limits.get("cpu")
    return Limits(
        memory_bytes=parse(str(memory)).value if memory else None,
        cpu_millis=parse(str(cpu)).millis if cpu else None,
        pids=PIDS_MAX,
    )
