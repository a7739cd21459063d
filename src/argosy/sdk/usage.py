"""What a training job uses of CPUs, memory and GPUs, beside what it asked for: a line of `argosy why`.

CPU and memory come from metrics.k8s.io, which every cluster with a metrics server has; GPUs from `nvidia-smi` in the
containers that were given some. What nobody measures is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError
from argosy.meta import quantity
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, name_of, namespace_of

_GPU = "nvidia.com/gpu"
_SMI = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
_SMI_SECONDS, _PODS_ASKED_MAX = 10.0, 16
_MIB, _GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device, as `nvidia-smi` tells."""

    busy: float
    """Percent of the last moment in which something ran on it."""
    used: int
    """Bytes of its memory."""
    total: int


async def report(client: Client, pods: Sequence[Obj]) -> str:
    """A sentence about the pods that run; empty where nothing is measured."""
    running = [pod for pod in pods if dig(pod, "status", "phase") == "Running"]
    if not running:
        return ""
    try:
        measured = (await client.list(kinds.POD_METRICS, namespace_of(running[0]))).items
    except (ApiError, ConnectionError, TimeoutError):
        measured = []
    with_gpus = [pod for pod in running if _asked([pod], _GPU)][:_PODS_ASKED_MAX]
    told = await asyncio.gather(*(_gpus(client, pod) for pod in with_gpus))
    return sentence(running, {name_of(each): each for each in measured}, [gpu for gpus in told for gpu in gpus])


def sentence(pods: Sequence[Obj], measured: Mapping[str, Obj], gpus: Sequence[Gpu]) -> str:
    """For people. `measured` are PodMetrics by pod; pods without one are not counted."""
    known = [pod for pod in pods if name_of(pod) in measured]
    parts: list[str] = []
    if known:
        uses = [each.get("usage") or {} for pod in known for each in measured[name_of(pod)].get("containers") or ()]
        cpus = sum(quantity.parse(use.get("cpu") or "0").millis for use in uses) / 1000
        memory = sum(quantity.value_of(use.get("memory") or "0") for use in uses)
        of_cpus, of_memory = _asked(known, "cpu") / 1000, _asked(known, "memory") // 1000
        parts.append(f"{_amount(cpus)}{f' of {of_cpus:g}' if of_cpus else ''} CPU")
        parts.append(f"{_size(memory)}{f' of {_size(of_memory)}' if of_memory else ''} memory")
    if gpus:
        used, total = sum(gpu.used for gpu in gpus), sum(gpu.total for gpu in gpus)
        idle = sum(gpu.busy < 1 for gpu in gpus)
        each = "1 GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
        doing_nothing = f" ({idle} idle)" if idle and len(gpus) > 1 else ""
        busy = sum(gpu.busy for gpu in gpus) / len(gpus)
        parts.append(f"{each} at {busy:.0f}%{doing_nothing} with {_size(used)} of {_size(total)}")
    if not parts:
        return ""
    silent = len(pods) - len(known)
    where = f"{len(known)} of {len(pods)} pods, the others are not measured (yet)" if silent else _pods(len(pods))
    return f"uses {', '.join(parts)} in {where}"


def read_gpus(text: str) -> list[Gpu]:
    """The lines of `nvidia-smi`; a device that does not tell its use (`[N/A]`) is left out."""
    found: list[Gpu] = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and all(field.isdigit() for field in fields):
            busy, used, total = map(int, fields)
            found.append(Gpu(float(busy), used * _MIB, total * _MIB))
    return found


async def _gpus(client: Client, pod: Obj) -> list[Gpu]:
    container = next((c["name"] for c in dig(pod, "spec", "containers", default=()) if _request(c, _GPU)), "")
    try:
        async with asyncio.timeout(_SMI_SECONDS):
            said = await client.execute(kinds.POD, key_of(pod), _SMI, container=container)
    except (ApiError, ConnectionError, TimeoutError):
        return []
    return read_gpus(said.stdout.decode(errors="replace"))


def _asked(pods: Iterable[Obj], resource: str) -> int:
    """Thousandths of what all these pods ask for; 0 where one of them asks for nothing."""
    sums = [sum(_request(c, resource) for c in dig(pod, "spec", "containers", default=())) for pod in pods]
    return sum(sums) if all(sums) else 0


def _request(container: Obj, resource: str) -> int:
    given = dig(container, "resources", "requests", resource) or dig(container, "resources", "limits", resource)
    return quantity.parse(given).millis if given is not None else 0


def _amount(cpus: float) -> str:
    return f"{cpus:.0f}" if cpus >= 10 else f"{cpus:.2g}"


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
