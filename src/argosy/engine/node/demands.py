"""What a pod demands of its node beyond an ordinary process, and whether this one can give it. Pure; `worker` asks.

A demand that cannot be met holds the pod's containers back with the reason; it is never run with less in silence. What is
merely stricter here than elsewhere (every container runs under a system call filter, without capabilities and unable to
gain any) is no shortfall. What runs all the same, but not as asked, is told as an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from argosy.engine.node.launch import sysctls_of
from argosy.engine.node.runtime.holder.confine import CAPABILITIES
from argosy.engine.node.runtime.spec import Level
from argosy.meta.json import Obj, dig

ISOLATION = "argosy.dev/isolation"
"""Label and annotation of a node: the isolation level of its pods; annotation of a pod: the level that it demands."""
IMAGE_ITSELF = "L3"
"""As L2, and every image is the image."""
HOST_NETWORK, HOST_PID, HOST_IPC, PRIVILEGED = "hostNetwork", "hostPID", "hostIPC", "privileged"
ALLOWABLE = frozenset({HOST_NETWORK, HOST_PID, HOST_IPC, PRIVILEGED})
"""Demands that whoever runs the engine may allow."""
GRANTED = frozenset(CAPABILITIES)
"""Capabilities that stay within a container's own namespaces."""
_TRACE = "SYS_PTRACE"
"""Tracing processes of one's own user needs no capability; that of others stays out of reach."""
_OF_NETWORK = re.compile(r"net(\.[a-z0-9_-]+)+")
_OF_IPC = re.compile(r"kernel\.(shm[a-z_]*|msg[a-z_]*|sem)|fs\.mqueue\.[a-z_]+")
_LIES_BEYOND = {
    HOST_NETWORK: "would put the pod into this machine's own network",
    HOST_PID: "would show the pod this machine's processes",
    HOST_IPC: "asks for this machine's IPC objects",
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a node can give."""

    level: Level
    many_users: bool
    """The engine may give a container any user: root started it."""
    allowed: frozenset[str] = frozenset()
    """Of `ALLOWABLE`."""


def refusal(pod: Obj, able: Abilities) -> str:
    """Why this node may not run the pod, with the next step; empty when it may."""
    return next(_unmet(pod, able), "")


def shortfalls(pod: Obj, able: Abilities) -> list[str]:
    """What the pod asks for and runs without."""
    found = [told for container in containers_of(pod) for told in container_shortfalls(pod, container, able)]
    if pod["spec"].get("hostIPC") and HOST_IPC in able.allowed and able.level is not Level.L0:
        found.append("hostIPC is allowed, and the pod has IPC objects of its own all the same")
    return found


def container_shortfalls(pod: Obj, container: Obj, able: Abilities) -> list[str]:
    """The same of one container, for one that comes later than its pod."""
    return list(_short(pod["spec"], container, able))


def demands_image_itself(said: Mapping[str, str]) -> bool:
    """Whether annotations or labels demand that images are themselves, and no environments of this machine."""
    return said.get(ISOLATION) == IMAGE_ITSELF


def isolation_refusal(pod: Obj, level: Level) -> tuple[str, str] | None:
    """Why this node may not run a pod: a demand for isolation that it cannot meet is refused, never run without it."""
    wanted = (pod["metadata"].get("annotations") or {}).get(ISOLATION)
    if wanted == IMAGE_ITSELF and level is Level.L2:
        return None  # images run as themselves at any level that has mounts; this one sets pods apart as far as it goes
    if wanted and wanted > level.value:
        message = (
            f"the pod demands isolation {wanted} by its annotation {ISOLATION} and this machine gives {level.value}; "
            "lower the demand, or run it on a machine that gives more"
        )
        return "IsolationUnavailable", message
    return None


def containers_of(pod: Obj) -> Iterator[Obj]:
    """Every container of a pod."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(field) or ()


def _unmet(pod: Obj, able: Abilities) -> Iterator[str]:
    spec = pod["spec"]
    forbidden = sorted(_allowable(pod, able.level) - able.allowed)
    if forbidden:
        whys = [f"{demand} {_LIES_BEYOND[demand]}" for demand in forbidden if demand in _LIES_BEYOND]
        privileged = _privileged(pod) if PRIVILEGED in forbidden else []
        whys += [f"{name} is privileged, and no container here is given the host's devices" for name in privileged]
        yield (
            f"{'; '.join(whys)}: remove {'it' if len(forbidden) == 1 else 'them'}, or allow "
            f"{'it' if len(forbidden) == 1 else 'them'} by starting the engine with ARGOSY_ALLOW={','.join(forbidden)} "
            "(argosy down, then ARGOSY_ALLOW=… argosy up)"
        )
    if spec.get("runtimeClassName"):
        yield f"the RuntimeClass {spec['runtimeClassName']} is not available on this node; remove runtimeClassName"
    yield from _profiles(spec.get("securityContext") or {}, "the pod")
    for name, _ in sysctls_of(pod):
        yield from _parameter(name, spec, able.level)
    for container in containers_of(pod):
        context, name = container.get("securityContext") or {}, f"container {container.get('name')}"
        missing = sorted(_capabilities(context) - GRANTED - {_TRACE})
        if missing and not context.get("privileged"):
            yield (
                f"{name} asks for the capabilities {', '.join(missing)}, which would reach beyond it; "
                f"this node grants {', '.join(sorted(GRANTED))}"
            )
        if context.get("procMount") == "Unmasked":
            yield f"{name} asks for an unmasked /proc, which no container here is given; remove procMount"
        yield from _profiles(context, name)


def _parameter(name: str, spec: Obj, level: Level) -> Iterator[str]:
    """Why a kernel parameter cannot be the pod's own."""
    said = f"the pod asks for the sysctl {name}, which"
    if _OF_NETWORK.fullmatch(name):
        if level is not Level.L2 or spec.get("hostNetwork"):
            yield f"{said} would be this machine's own, for the pod shares its network; remove it"
    elif not _OF_IPC.fullmatch(name):
        yield f"{said} is not of a pod's own namespaces and would change the whole machine; remove it"
    elif level is Level.L0:
        yield f"{said} is this machine's own at isolation L0; remove it, or run where L1 or L2 is possible"


def _allowable(pod: Obj, level: Level) -> set[str]:
    """What the pod demands of that which may be allowed and is beyond what this level gives anyway."""
    spec = pod["spec"]
    found = {field for field in (HOST_PID, HOST_IPC) if spec.get(field) and level is not Level.L0}
    found |= {HOST_NETWORK} if spec.get("hostNetwork") and level is Level.L2 else set()
    return found | ({PRIVILEGED} if _privileged(pod) else set())


def _privileged(pod: Obj) -> list[str]:
    return [f"container {c.get('name')}" for c in containers_of(pod) if dig(c, "securityContext", "privileged")]


def _capabilities(context: Obj) -> set[str]:
    return {str(name).upper().removeprefix("CAP_") for name in dig(context, "capabilities", "add", default=())}


def _profiles(context: Obj, whose: str) -> Iterator[str]:
    for field in ("seccompProfile", "appArmorProfile"):
        if dig(context, field, "type") == "Localhost":
            profile = dig(context, field, "localhostProfile")
            yield f"{whose} asks for the {field} {profile}, and this node has none of its own; use RuntimeDefault"


def _short(spec: Obj, container: Obj, able: Abilities) -> Iterator[str]:
    context = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    name = f"container {container.get('name')}"
    if context.get("privileged"):
        yield f"{name} is allowed to be privileged and runs without the host's devices and capabilities"
    elif _TRACE in _capabilities(context):
        if able.level is Level.L0 or spec.get("hostPID"):
            yield f"{name} is not given SYS_PTRACE: it cannot trace the processes of this machine"
        else:
            yield f"{name} is not given SYS_PTRACE: it can trace processes of its own user (runAsUser), and no others"
    if able.level is not Level.L0:
        return
    if context.get("readOnlyRootFilesystem"):
        yield f"{name} has a directory of its own that it can write to: at isolation L0 there is no root to protect"
    if not able.many_users and (context.get("runAsUser") is not None or context.get("runAsGroup") is not None):
        yield f"{name} runs as the engine's own user: at isolation L0 an ordinary user cannot become another"
