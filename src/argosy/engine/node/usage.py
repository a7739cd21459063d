"""What pods use, for metrics.k8s.io: CPU as a rate between two looks, memory as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from argosy.engine.apiserver.backends import ContainerUsage, PodUsage
from argosy.engine.node.runtime.spec import Runtime
from argosy.engine.node.state import PodState, Stage
from argosy.errors import ArgosyError

_WINDOW_MIN_SECONDS, _WINDOW_MAX_SECONDS = 1.0, 120.0


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu_seconds: float
    cores: float


class UsageMeter:
    """Remembers one sample per run."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._samples: dict[str, _Sample] = {}

    async def measure(self, pods: Iterable[PodState], now: float) -> Sequence[PodUsage]:
        """The use of every running container. The first look at one tells its average since it started."""
        found: list[PodUsage] = []
        seen: dict[str, _Sample] = {}
        for pod in pods:
            containers: list[ContainerUsage] = []
            for name, container in pod.containers.items():
                if container.stage is not Stage.RUNNING:
                    continue
                try:
                    usage = await self._runtime.usage(container.run_id)
                except ArgosyError:
                    continue
                if usage is None:
                    continue
                sample = self._next(container.run_id, container.started_at, usage.cpu_seconds, now)
                seen[container.run_id] = sample
                containers.append(ContainerUsage(name, sample.cores, usage.memory_bytes))
            if containers:
                found.append(PodUsage(pod.plan.namespace, pod.plan.name, containers))
        self._samples = seen
        return found

    def _next(self, run_id: str, started_at: float, cpu_seconds: float, now: float) -> _Sample:
        before = self._samples.get(run_id)
        if before is None or now - before.at > _WINDOW_MAX_SECONDS:
            return _Sample(now, cpu_seconds, cpu_seconds / max(now - started_at, 0.1))
        if now - before.at < _WINDOW_MIN_SECONDS:
            return before
        return _Sample(now, cpu_seconds, max(0.0, cpu_seconds - before.cpu_seconds) / (now - before.at))
