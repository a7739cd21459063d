"""When training counts as hung."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from argosy.clock import rfc3339_micro
from argosy.meta.json import Obj
from argosy.operators.watching.progress import Pace, pace, policy, stalled

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def subject(after: str, pattern: str = "") -> Obj:
    annotations = {"argosy.dev/hang-after": after}
    return {"metadata": {"annotations": annotations | ({"argosy.dev/progress-pattern": pattern} if pattern else {})}}


def log(*lines: tuple[float, str]) -> list[str]:
    return [f"{rfc3339_micro(at(seconds))} {text}" for seconds, text in lines]


def test_a_job_that_asks_for_nothing_is_not_watched() -> None:
    assert policy({"metadata": {}}) is None


@pytest.mark.parametrize(
    ("after", "times", "seconds"),
    [("20x", 20, None), ("2.5x", 2.5, None), ("90s", None, 90), ("10m", None, 600), ("1 h", None, 3600)],
)
def test_patience(after: str, times: float | None, seconds: float | None) -> None:
    wanted = policy(subject(after))
    assert wanted is not None
    assert (wanted.times, wanted.seconds) == (times, seconds)


@pytest.mark.parametrize(
    ("after", "pattern", "words"),
    [("soon", "", "20x or a time"), ("0x", "", "20x"), ("10x", "(", "not a regular expression")],
)
def test_what_cannot_be_read_is_said(after: str, pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        policy(subject(after, pattern))


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("step=75 loss=4.8", "75"), ("Step 12/100", "12"), ("iteration: 3", "3"), ("epoch 4 done", "4"),
        ("{'loss': 3.1, 'epoch': 0.2}", ""), ("saved", ""), ("footstep 5", ""),
    ],
)  # fmt: skip
def test_what_counts_as_a_report(line: str, step: str) -> None:
    wanted = policy(subject("20x"))
    assert wanted is not None
    assert pace(log((1, line)), START, wanted.pattern).step == step


def test_the_usual_time_is_the_middle_of_what_was_seen() -> None:
    wanted = policy(subject("20x", r"loss"))
    assert wanted is not None
    steady = [(float(s), "loss 1") for s in (10, 11, 12, 13, 30, 31)]
    assert pace(log(*steady), START, wanted.pattern) == Pace(at(31), "loss", 1.0)
    assert pace(log(*steady[:3]), START, wanted.pattern).usual is None
    assert pace(["cut off in the middle loss", *log((5, "loss"))], START, wanted.pattern).last == at(5)
    assert pace([], START, wanted.pattern) == Pace(START)


def verdict(after: str, now: float, **paces: Pace) -> float | None:
    wanted = policy(subject(after))
    assert wanted is not None
    found = stalled(paces, wanted, at(now))
    return None if found is None else found.seconds


def test_a_multiple_needs_to_know_what_is_usual() -> None:
    steady = Pace(at(100), "9", 2.0)
    assert verdict("20x", 139, a=steady) is None
    assert verdict("20x", 141, a=steady) == 41
    assert verdict("2x", 129, a=steady) is None, "an evaluation takes longer than a step"
    assert verdict("2x", 131, a=steady) == 31
    assert verdict("2x", 9999, a=Pace(at(100), "9")) is None
    assert verdict("2x", 9999) is None


def test_ranks_that_never_report_say_nothing() -> None:
    silent = Pace(START)
    assert verdict("20x", 141, a=Pace(at(100), "9", 2.0), b=silent) == 41
    assert verdict("60s", 141, a=Pace(at(100), "9", 2.0), b=silent) is None
    assert verdict("60s", 59, a=silent, b=silent) is None
    assert verdict("60s", 61, a=silent, b=silent) == 61, "the process group never came up"


def test_one_that_gets_on_is_enough() -> None:
    assert verdict("20x", 141, a=Pace(at(100), "9", 2.0), b=Pace(at(140), "10", 2.0)) is None
