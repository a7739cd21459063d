"""What an autoscaler must know from outside: the target's scale, its pods, and their use. Reads the API, decides nothing.

It also remembers: stabilisation windows and rate policies look back on recommendations and changes of the last minutes. As
in Kubernetes that memory lives in the process; after a restart the windows begin anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from argosy import kinds
from argosy.clock import Clock, rfc3339_micro
from argosy.engine.controllers.autoscaler import metrics, served
from argosy.engine.controllers.autoscaler.behavior import window_seconds
from argosy.errors import ApiError, NotFound
from argosy.intent import Fetch
from argosy.meta.json import Obj, decode
from argosy.meta.kind import Kind
from argosy.meta.objects import namespace_of, uid_of

_REMEMBERED_MAX = 1000


@dataclass(slots=True)
class _Memory:
    recommendations: deque[tuple[datetime, int]] = field(default_factory=deque)
    changes: deque[tuple[datetime, int]] = field(default_factory=deque)
    replicas: int | None = None


class Probe:
    """An operator's probe. One for all autoscalers; memories are kept by uid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        self._plurals: dict[tuple[str, str], str] = {}

    async def __call__(self, fetch: Fetch, autoscaler: Obj) -> Obj:
        """Look once. Failures become part of the answer, as `error` and `reason`."""
        target = autoscaler["spec"]["scaleTargetRef"]
        namespace = namespace_of(autoscaler)
        try:
            kind = await self._kind(fetch, str(target.get("apiVersion") or "v1"), str(target["kind"]))
            scale = decode(await fetch(kind.path(namespace, target["name"], "scale")))
        except (ApiError, LookupError) as error:
            return {"error": f"unable to get the target's current scale: {error}", "reason": "FailedGetScale"}
        found: Obj = {"scale": scale, "plural": kind.plural}
        selector = str((scale.get("status") or {}).get("selector") or "")
        if selector:
            query = f"labelSelector={quote(selector)}"
            try:
                pods = decode(await fetch(f"{kinds.POD.path(namespace)}?{query}"))
                found["pods"] = metrics.essence(pods.get("items") or ())
                use = decode(await fetch(f"{kinds.POD_METRICS.path(namespace)}?{query}"))
                found["use"] = use.get("items") or []
            except ApiError as error:
                found["error"] = f"unable to get resource metrics: {error}"
        wanted = autoscaler["spec"].get("metrics") or ()
        found["served"] = {
            str(number): await self._served(fetch, autoscaler, metric, selector)
            for number, metric in enumerate(wanted)
            if metric.get("type") in metrics.SERVED
        }
        return self._remember(autoscaler, found)

    async def _served(self, fetch: Fetch, autoscaler: Obj, metric: Obj, pods: str) -> Obj:
        """The values of one metric, or the `error` that there are none."""
        api = "external metrics API" if metric["type"] == "External" else "custom metrics API"
        name = served.identity(metric, metrics.SERVED[metric["type"]]).get("name")
        try:
            about = served.object_of(metric)
            kind = await self._kind(fetch, *about) if about is not None else None
            trouble: ApiError | None = None
            for path in served.paths(autoscaler, metric, pods, kind):
                try:
                    return {"values": served.values(decode(await fetch(path)))}
                except NotFound as error:  # an older adapter serves an older version
                    trouble = trouble or error
        except (ApiError, LookupError, ValueError) as error:
            return {"error": f"unable to get metric {name}: unable to fetch metrics from {api}: {error}"}
        return {"error": f"unable to get metric {name}: unable to fetch metrics from {api}: {trouble}"}

    def _remember(self, autoscaler: Obj, found: Obj) -> Obj:
        now = self._clock.now()
        memory = self._memories.pop(uid_of(autoscaler), None) or _Memory()
        self._memories[uid_of(autoscaler)] = memory
        while len(self._memories) > _REMEMBERED_MAX:  # the least recently looked at is long gone
            self._memories.pop(next(iter(self._memories)))
        replicas = int(found["scale"].get("spec", {}).get("replicas") or 0)
        if memory.replicas is not None and replicas != memory.replicas:
            memory.changes.append((now, replicas - memory.replicas))
        memory.replicas = replicas
        answer = metrics.recommend(autoscaler, found, replicas)
        horizon = window_seconds(autoscaler)
        for kept in (memory.recommendations, memory.changes):
            while kept and (now - kept[0][0]).total_seconds() > horizon:
                kept.popleft()
        found["past"] = {
            "recommendations": [[(now - at).total_seconds(), n] for at, n in memory.recommendations],
            "changes": [[(now - at).total_seconds(), n] for at, n in memory.changes],
        }
        found["answer"] = answer
        found["at"] = rfc3339_micro(now)
        if answer.get("replicas") is not None:
            memory.recommendations.append((now, int(answer["replicas"])))
        found.pop("pods", None)
        found.pop("use", None)
        found.pop("served", None)
        return found

    async def _kind(self, fetch: Fetch, api_version: str, kind: str) -> Kind:
        """The target's kind; of one that is not built in the plural is asked of the API."""
        group, _, version = api_version.rpartition("/")
        built_in = kinds.by_gvk(group, version, kind)
        if built_in is not None:
            return built_in
        plural = self._plurals.get((api_version, kind))
        if plural is None:
            served = decode(await fetch(f"/apis/{api_version}"))
            names = [str(r["name"]) for r in served.get("resources") or () if r.get("kind") == kind]
            plural = next((name for name in names if "/" not in name), None)
            if plural is None:
                raise LookupError(f"the cluster serves no {kind} in {api_version}")
            self._plurals[api_version, kind] = plural
        return Kind(group, version, kind, plural)
