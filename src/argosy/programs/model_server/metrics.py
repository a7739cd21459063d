"""What the server counts, and Prometheus' text of it. Pure; everything is touched by the event loop only."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

PREFIX = "argosy_model_server_"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(slots=True)
class Histogram:
    """Seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.total += seconds

    def lines(self, name: str, labels: str) -> list[str]:
        """The sample lines, cumulative."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append(f'{name}_bucket{{{labels},le="{bound}"}} {so_far}')
        return [*found, f"{name}_sum{{{labels}}} {self.total:.6f}", f"{name}_count{{{labels}}} {so_far}"]


class Metrics:
    """Everything, by model name (the base model and each adapter)."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """By (model, status code)."""
        self.in_flight: Counter[str] = Counter()
        self.prompt_tokens: Counter[str] = Counter()
        self.generated_tokens: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self._first_token: dict[str, Histogram] = {}
        self._seconds: dict[str, Histogram] = {}

    def first_token(self, model: str, seconds: float) -> None:
        """From a request's arrival to its first token."""
        self._first_token.setdefault(model, Histogram()).observe(seconds)

    def ended(self, model: str, code: int, seconds: float) -> None:
        """A request was answered."""
        self.requests[model, code] += 1
        self._seconds.setdefault(model, Histogram()).observe(seconds)

    def text(self, *, running: int, waiting: int, ready: bool) -> str:
        """Prometheus' text format. `running` and `waiting` are sequences in the batch and before it."""
        lines = [*_header("requests_total", "Requests answered, by status code.", "counter")]
        lines += [
            f'{PREFIX}requests_total{{{_label(model)},code="{code}"}} {count}'
            for (model, code), count in sorted(self.requests.items())
        ]
        for name, help, kind, counts in (
            ("requests_in_flight", "Requests that are being answered.", "gauge", self.in_flight),
            ("prompt_tokens_total", "Tokens read.", "counter", self.prompt_tokens),
            ("generated_tokens_total", "Tokens generated.", "counter", self.generated_tokens),
            ("cancelled_total", "Requests whose client went away.", "counter", self.cancelled),
        ):
            lines += _header(name, help, kind)
            lines += [f"{PREFIX}{name}{{{_label(model)}}} {count}" for model, count in sorted(counts.items())]
        for name, help, found in (
            ("time_to_first_token_seconds", "From a request's arrival to its first token.", self._first_token),
            ("request_seconds", "From a request's arrival to the end of its answer.", self._seconds),
        ):
            lines += _header(name, help, "histogram")
            for model, histogram in sorted(found.items()):
                lines += histogram.lines(f"{PREFIX}{name}", _label(model))
        for name, help, value in (
            ("batch_sequences", "Sequences that are being generated.", running),
            ("waiting_sequences", "Sequences that wait for a place in the batch.", waiting),
            ("ready", "Whether the model is loaded.", int(ready)),
        ):
            lines += [*_header(name, help, "gauge"), f"{PREFIX}{name} {value}"]
        return "\n".join(lines) + "\n"


def _header(name: str, help: str, kind: str) -> list[str]:
    return [f"# HELP {PREFIX}{name} {help}", f"# TYPE {PREFIX}{name} {kind}"]


def _label(model: str) -> str:
    escaped = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'model="{escaped}"'
