"""What happened in a run of the demo, as values: chapters, moments, curves and facts. Pure.

The chapters write into a `Story` as they go; the summary table and the HTML report are made from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from argosy.meta.json import Obj, dig

_STEP = re.compile(r"\bstep=(\d+)\b.*?\bloss=([0-9.]+)(?:.*?\btokens/s=([0-9.]+))?")
_RESULT = re.compile(r"\bheld_out_loss=([0-9.]+) unigram_entropy=([0-9.]+)")
_RESUMED = re.compile(r"\bresuming from \S+ at step (\d+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One reported training step."""

    step: int
    loss: float
    tokens_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Something worth showing on the timeline; seconds since the demo began."""

    at: float
    what: str
    until: float | None = None
    """For what lasted."""


@dataclass(slots=True)
class Story:
    """A run of the demo, growing."""

    run: str
    moments: list[Moment] = field(default_factory=list)
    curves: dict[str, list[Step]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    """In the order of the summary table."""
    samples: list[str] = field(default_factory=list)
    replicas: list[tuple[float, int]] = field(default_factory=list)
    """(seconds, ready replicas) of the served model."""

    def as_json(self) -> Obj:
        """For `-o json` and for the record."""
        return {
            "run": self.run,
            "facts": self.facts,
            "samples": self.samples,
            "moments": [{"at": round(m.at, 2), "what": m.what, "until": m.until} for m in self.moments],
            "curves": {
                name: [{"step": s.step, "loss": s.loss, "tokens_per_second": s.tokens_per_second} for s in steps]
                for name, steps in self.curves.items()
            },
            "replicas": [{"at": round(at, 2), "ready": ready} for at, ready in self.replicas],
        }


def read_step(line: str) -> Step | None:
    """The step that a line of a training log reports, if it does."""
    found = _STEP.search(line)
    return Step(int(found[1]), float(found[2]), float(found[3] or 0)) if found else None


def read_result(line: str) -> tuple[float, float] | None:
    """Held-out loss and unigram entropy, both in nats per token."""
    found = _RESULT.search(line)
    return (float(found[1]), float(found[2])) if found else None


def read_resumed(line: str) -> int | None:
    """The step that a restarted program resumed from."""
    found = _RESUMED.search(line)
    return int(found[1]) if found else None


def read_sample(line: str) -> str | None:
    """A sample of generated text, printed as Python would."""
    _, marker, text = line.partition("sample: ")
    return text.strip() if marker else None


def most_ready(story: Story) -> int:
    """The most replicas that were ready at any time."""
    return max((ready for _, ready in story.replicas), default=0)


def burst_line(result: Obj) -> str:
    """A burst's outcome in a line."""
    latency, first = dig(result, "latency_seconds", default={}), dig(result, "first_token_seconds", default={})
    return (
        f"{result.get('requests', 0)} requests, {result.get('failed', 0)} failed, "
        f"{result.get('requests_per_second', 0)} requests/s, {result.get('tokens_per_second', 0)} tokens/s; "
        f"latency p50 {latency.get('p50', '?')} s, p99 {latency.get('p99', '?')} s; first token p50 {first.get('p50', '?')} s"
    )
