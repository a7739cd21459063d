"""What the gateway counts, and the text that Prometheus (and the operator that scales models) reads.

`argosy_gateway_requests_in_flight` plus `argosy_gateway_requests_queued` is the demand for a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from argosy.meta.objects import Key
from argosy.programs.prometheus import Histogram, header, label

_NUMBERS = (
    ("requests_in_flight", "Requests at replicas.", "gauge", "in_flight"),
    ("requests_queued", "Requests that wait for a replica.", "gauge", "queued"),
    ("retries_total", "Requests sent again because a replica went away.", "counter", "retries"),
)


@dataclass(slots=True)
class Counts:
    """One model's numbers."""

    in_flight: int = 0
    queued: int = 0
    retries: int = 0
    codes: dict[int, int] = field(default_factory=dict)
    seconds: Histogram = field(default_factory=Histogram)
    first_byte: Histogram = field(default_factory=Histogram)

    def ended(self, code: int, seconds: float) -> None:
        """Count a finished request."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.seconds.observe(seconds)


class Metrics:
    """Everything, by service and model."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Key, str], Counts] = {}
        self.unrouted = 0
        """Requests for models that do not exist."""

    def of(self, service: Key, model: str) -> Counts:
        """The numbers of a model."""
        counts = self._counts.get((service, model))
        if counts is None:
            counts = self._counts[service, model] = Counts()
        return counts

    def keep(self, models: set[tuple[Key, str]]) -> None:
        """Forget models that are gone and have no request left."""
        for place, counts in list(self._counts.items()):
            if place not in models and not counts.in_flight and not counts.queued:
                del self._counts[place]

    def text(self, replicas: dict[Key, int]) -> str:
        """Prometheus' text format."""
        lines: list[str] = []
        for name, help, kind, attribute in _NUMBERS:
            lines += _header(name, help, kind)
            for place, counts in self._counts.items():
                lines.append(f"argosy_gateway_{name}{{{_labels(*place)}}} {getattr(counts, attribute)}")
        lines += _header("requests_total", "Requests answered, by status code.", "counter")
        for place, counts in self._counts.items():
            for code, count in sorted(counts.codes.items()):
                lines.append(f'argosy_gateway_requests_total{{{_labels(*place)},code="{code}"}} {count}')
        lines += _header("request_seconds", "From a request's arrival to the end of its answer.", "histogram")
        for place, counts in self._counts.items():
            lines += counts.seconds.lines("argosy_gateway_request_seconds", _labels(*place))
        lines += _header("first_byte_seconds", "From a request's arrival to the first byte of its answer.", "histogram")
        for place, counts in self._counts.items():
            lines += counts.first_byte.lines("argosy_gateway_first_byte_seconds", _labels(*place))
        lines += _header("replicas", "Ready replicas.", "gauge")
        for key, count in replicas.items():
            lines.append(f'argosy_gateway_replicas{{namespace="{key.namespace}",service="{key.name}"}} {count}')
        lines += _header("unknown_model_total", "Requests for models that do not exist.", "counter")
        lines.append(f"argosy_gateway_unknown_model_total {self.unrouted}")
        return "\n".join(lines) + "\n"


def _header(name: str, help: str, kind: str) -> list[str]:
    return header(f"argosy_gateway_{name}", help, kind)


def _labels(service: Key, model: str) -> str:
    return f'namespace="{service.namespace}",service="{service.name}",{label("model", model)}'
