"""NVIDIA devices of this machine: found by `nvidia-smi`, shared out over its nodes, handed to the containers that ask.

`nodes` publishes what was found; `worker` asks for a container's devices when it starts. A container gets the device files
of its own devices only and `CUDA_VISIBLE_DEVICES` with their ids; one that asks for none sees none. The rules of sharing
are pure; `discover` is the only thing here that looks at the machine.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from argosy.engine.node.runtime.spec import Mount
from argosy.errors import ArgosyError
from argosy.meta.json import Obj, dig
from argosy.meta.quantity import parse

NVIDIA = "nvidia.com/gpu"
_ASK_SECONDS = 10.0
_QUERY = "index,uuid,name,memory.total"
_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator."""

    index: int
    """`/dev/nvidia<index>`."""
    id: str
    """`GPU-…`, which means the same after a reboot."""
    name: str = ""
    memory_mebibytes: int = 0


def read(text: str) -> list[Device]:
    """What `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits` says."""
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 4 and fields[0].isdigit():
            memory = int(fields[3]) if fields[3].isdigit() else 0
            found.append(Device(int(fields[0]), fields[1], fields[2], memory))
    return found


def tool() -> str | None:
    """The driver's own tool, where there is a driver."""
    return shutil.which("nvidia-smi")


def discover() -> list[Device]:
    """The devices that the driver's tool tells of; none where there is no tool."""
    program = tool()
    if program is None:
        return []
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return read(done.stdout) if done.returncode == 0 else []


def share(devices: Sequence[Device], node: int, nodes: int) -> list[Device]:
    """The devices of one node (counted from 0) of so many."""
    return [device for n, device in enumerate(devices) if n % nodes == node]


def labels(devices: Sequence[Device]) -> dict[str, str]:
    """What a node says of its devices, in the words of NVIDIA's feature discovery."""
    if not devices:
        return {}
    first = devices[0]
    product = "".join(c if c.isalnum() or c in "-_." else "-" for c in first.name)[:63].strip("-_.")
    found = {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.count": str(len(devices))}
    found |= {"nvidia.com/gpu.product": product} if product else {}
    return found | ({"nvidia.com/gpu.memory": str(first.memory_mebibytes)} if first.memory_mebibytes else {})


def wanted(container: Obj) -> int:
    """How many devices a container asks for."""
    text = dig(container, "resources", "limits", NVIDIA)
    return parse(str(text)).value if text is not None else 0


def environment(devices: Sequence[Device]) -> dict[str, str]:
    """The variables by which programs find their devices, or that there are none for them."""
    ids = ",".join(device.id for device in devices)
    return {"CUDA_VISIBLE_DEVICES": ids, "NVIDIA_VISIBLE_DEVICES": ids or "void"}


def mounts(devices: Sequence[Device], dev: Path = Path("/dev")) -> tuple[Mount, ...]:
    """The device files that go with devices."""
    names = [*(f"nvidia{device.index}" for device in devices), *(_SHARED if devices else ())]
    return tuple(Mount(dev / name, f"/dev/{name}") for name in names if (dev / name).exists())


@dataclass(frozen=True, slots=True)
class Handed:
    """What a container is given."""

    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


class Accelerators:
    """Who has which device of this machine."""

    def __init__(self) -> None:
        self._by_node: Mapping[str, Sequence[Device]] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        """Device id to (pod uid, container)."""

    def found(self, by_node: Mapping[str, Sequence[Device]]) -> None:
        """What there is, by node."""
        self._by_node = by_node

    @property
    def any(self) -> bool:
        """Whether the machine has any."""
        return any(self._by_node.values())

    def of(self, node: str) -> Sequence[Device]:
        """A node's devices."""
        return self._by_node.get(node, ())

    def give(self, node: str, uid: str, container: str, count: int) -> list[Device]:
        """A container's devices: those it had in an earlier run, or free ones. Raises ArgosyError when too few are free."""
        mine = [d for d in self.of(node) if self._owners.get(d.id) == (uid, container)]
        free = [d for d in self.of(node) if d.id not in self._owners]
        chosen = [*mine, *free][:count]
        if len(chosen) < count:
            raise ArgosyError(f"only {len(chosen)} of {count} {NVIDIA} are free on {node}; wait for other pods to end")
        for device in chosen:
            self._owners[device.id] = (uid, container)
        return chosen

    def claim(self, uid: str, container: str, ids: Sequence[str]) -> None:
        """A container that an earlier engine started has these."""
        for id in ids:
            self._owners.setdefault(id, (uid, container))

    def take_back(self, uid: str) -> None:
        """The pod is gone."""
        self._owners = {id: owner for id, owner in self._owners.items() if owner[0] != uid}
