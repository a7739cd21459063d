"""What share of a job's time went into new steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from argosy.clock import rfc3339_micro
from argosy.operators.watching.goodput import add, epoch, pattern_of, read, sentence, tokens_per_second, write

START = datetime(2026, 1, 1, tzinfo=UTC)
PATTERN = pattern_of({})


def log(first: int, last: int, at: float, seconds: float = 1.0) -> str:
    lines = [f"{rfc3339_micro(START + timedelta(seconds=at - 5))} rank 0 of 2"]
    for number, step in enumerate(range(first, last + 1)):
        lines.append(
            f"{rfc3339_micro(START + timedelta(seconds=at + number * seconds))} step={step} loss=1 tokens/s=4,512"
        )
    return "\n".join(lines)


def test_a_run_without_faults_is_all_useful() -> None:
    one = epoch(log(1, 101, 0), log(90, 101, 89), PATTERN)
    assert one is not None
    assert (one.first, one.last, one.step_seconds) == (1, 101, 1.0)
    assert add(None, one).share(START + timedelta(seconds=100)) == 1.0


def test_restarts_and_steps_that_were_done_again_are_not() -> None:
    totals = None
    for first, last, at in ((1, 51, 0), (41, 91, 60)):
        text = log(first, last, at)
        one = epoch(text, text, PATTERN)
        assert one is not None
        totals = add(totals, one)
    assert totals is not None
    now = START + timedelta(seconds=110)
    assert (totals.last, totals.twice, totals.epochs) == (91, 11, 2)
    assert totals.share(now) == pytest.approx((50 + 50 - 11) / 110)
    assert sentence(totals, now, 4512.0) == (
        "goodput 81% of 1.8 min, step 91, 1 s a step, 4,512 tokens/s, 1 restart, 11 steps done twice"
    )
    assert read(write(totals)) == totals


def test_an_epoch_that_did_nothing_new_adds_nothing() -> None:
    text = log(1, 51, 0)
    one = epoch(text, text, PATTERN)
    assert one is not None
    totals = add(add(None, one), one)
    assert (totals.useful, totals.twice) == (50.0, 50)


@pytest.mark.parametrize("text", ["", "no time here", log(7, 7, 0), "2026-01-01T00:00:00Z nothing to report"])
def test_logs_without_steps_tell_nothing(text: str) -> None:
    assert epoch(text, text, PATTERN) is None
    assert tokens_per_second("nothing") is None


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"since": "x"}', "[1]"])
def test_nonsense_counts_as_absent(text: str) -> None:
    assert read(text) is None


def test_tokens_are_what_was_said_last() -> None:
    assert tokens_per_second("step=1 tokens/s=10\nstep=2 tokens_per_second: 1,204.5") == 1204.5
