"""How many requests are at the gateway for a model: the operator's probe, its only look at the world.

The gateway's metrics are read through the API server's Service proxy, so that it works wherever a kubeconfig does. What
was seen over time is kept here and handed to `plan` as a value; the samples of an unreachable gateway are forgotten
rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from argosy.clock import Clock, parse_time, rfc3339_micro
from argosy.errors import ApiError
from argosy.intent import Fetch
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import Key, key_of
from argosy.operators.inferenceservice.autoscale import Sample, trimmed
from argosy.operators.inferenceservice.service import read
from argosy.operators.settings import OperatorSettings

IN_FLIGHT = "argosy_gateway_requests_in_flight"
QUEUED = "argosy_gateway_requests_queued"
TOTAL = "argosy_gateway_requests_total"
_FRESH_SECONDS = 0.3
_LOOK_AROUND_SECONDS = 5.0
_RATE_SECONDS = 10.0
_LINE = re.compile(r"^([a-z_]+)\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class Demand:
    """Remembers what the gateway said about each service. One for all subjects: they share each reading."""

    def __init__(self, settings: OperatorSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._read_at: datetime | None = None
        self._reading: Mapping[tuple[str, str, str], float] = {}
        self._paths: list[str] = []
        self._looked_at: datetime | None = None
        self._samples: dict[Key, list[Sample]] = {}
        self._totals: dict[Key, list[Sample]] = {}

    async def __call__(self, fetch: Fetch, subject: Obj) -> Obj:
        """`{"samples": [{"at", "demand"}, …]}`, or `{"error": …}` when the gateway does not answer."""
        service = read(subject, self._settings)
        key = key_of(subject)
        if not service.scales_by_requests or service.rule.most == service.rule.least:
            self._forget(key)
            return {}
        try:
            reading = await self._metrics(fetch)
        except (ApiError, ConnectionError, TimeoutError) as error:
            self._forget(key)
            return {"error": str(error)}
        now = self._clock.now()
        demand = self._rate(key, reading, now) if service.metric == "rps" else _in_flight(key, reading)
        samples = [*self._samples.get(key, ()), Sample(now, demand)]
        self._samples[key] = trimmed(samples, now, service.rule.window_seconds)
        return {"samples": [{"at": rfc3339_micro(s.at), "demand": s.demand} for s in self._samples[key]]}

    async def _metrics(self, fetch: Fetch) -> Mapping[tuple[str, str, str], float]:
        if not self._recent(self._read_at, _FRESH_SECONDS):
            if not self._recent(self._looked_at, _LOOK_AROUND_SECONDS):
                self._paths = await self._gateways(fetch)
                self._looked_at = self._clock.now()
            try:
                texts = [await fetch(path) for path in self._paths]
            except (ApiError, ConnectionError, TimeoutError):
                self._looked_at = None  # it may have moved
                raise
            self._reading = parse(b"\n".join(texts))
            self._read_at = self._clock.now()
        return self._reading

    async def _gateways(self, fetch: Fetch) -> list[str]:
        """Where metrics are read: at the Service, or at each pod where there are several, for each knows its own."""
        place = self._settings
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{place.gateway_namespace}/endpointslices"
        try:
            listing = decode(await fetch(f"{slices}?labelSelector=kubernetes.io/service-name={place.gateway_service}"))
        except ApiError:
            listing = {}
        endpoints = [endpoint for item in listing.get("items") or () for endpoint in item.get("endpoints") or ()]
        alive = [endpoint for endpoint in endpoints if dig(endpoint, "conditions", "ready", default=True)]
        names = [
            dig(endpoint, "targetRef", "name") for endpoint in alive if dig(endpoint, "targetRef", "kind") == "Pod"
        ]
        if len(names) < 2:
            return [metrics_path(place)]
        pods = f"/api/v1/namespaces/{place.gateway_namespace}/pods"
        return [f"{pods}/{name}:{place.gateway_port}/proxy/metrics" for name in names]

    def _recent(self, moment: datetime | None, seconds: float) -> bool:
        return moment is not None and 0 <= (self._clock.now() - moment).total_seconds() < seconds

    def _rate(self, key: Key, reading: Mapping[tuple[str, str, str], float], now: datetime) -> float:
        """Requests per second over the last ten seconds."""
        total = reading.get((TOTAL, *key), 0.0)
        seen = [s for s in self._totals.get(key, ()) if (now - s.at).total_seconds() <= _RATE_SECONDS]
        if seen and seen[-1].demand > total:
            seen = []  # the gateway began anew
        self._totals[key] = [*seen, Sample(now, total)]
        first = self._totals[key][0]
        seconds = (now - first.at).total_seconds()
        return round((total - first.demand) / seconds, 1) if seconds > 0 else 0.0

    def _forget(self, key: Key) -> None:
        self._samples.pop(key, None)
        self._totals.pop(key, None)


def metrics_path(settings: OperatorSettings) -> str:
    """The gateway's metrics, as seen through the API server."""
    place = f"{settings.gateway_service}:{settings.gateway_port}"
    return f"/api/v1/namespaces/{settings.gateway_namespace}/services/{place}/proxy/metrics"


def parse(text: bytes) -> dict[tuple[str, str, str], float]:
    """(metric, namespace, service) -> value, summed over every other label."""
    found: dict[tuple[str, str, str], float] = {}
    for name, labels, value in _LINE.findall(text.decode(errors="replace")):
        if name in (IN_FLIGHT, QUEUED, TOTAL):
            pairs = dict(_LABEL.findall(labels))
            place = (name, pairs.get("namespace", ""), pairs.get("service", ""))
            found[place] = found.get(place, 0.0) + float(value)
    return found


def samples_of(probed: Obj | None) -> list[Sample]:
    """The samples in what the probe found."""
    return [Sample(parse_time(s["at"]), float(s["demand"])) for s in dig(probed, "samples", default=[])]


def _in_flight(key: Key, reading: Mapping[tuple[str, str, str], float]) -> float:
    return reading.get((IN_FLIGHT, *key), 0.0) + reading.get((QUEUED, *key), 0.0)
