"""What the server counts, and Prometheus' text of it. Pure; everything is touched by the event loop only."""

from __future__ import annotations

from collections import Counter

from argosy.programs.prometheus import Histogram, header, label

PREFIX = "argosy_model_server_"


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
            lines += [f"{PREFIX}{name}{{{label('model', model)}}} {count}" for model, count in sorted(counts.items())]
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
    return header(f"{PREFIX}{name}", help, kind)


def _label(model: str) -> str:
    return label("model", model)
