"""Scaling by requests in flight: up at once, down after a quiet window, never on ignorance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from argosy.operators.inferenceservice.autoscale import Rule, Sample, decide, trimmed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def samples(*pairs: tuple[float, float]) -> list[Sample]:
    """(seconds ago, demand)."""
    return [Sample(NOW - timedelta(seconds=ago), demand) for ago, demand in pairs]


@pytest.mark.parametrize(
    ("seen", "current", "rule", "wanted"),
    [
        (samples((0, 9)), 1, Rule(1, 5, 4, 60), 3),
        (samples((0, 99)), 1, Rule(1, 5, 4, 60), 5),
        (samples((0, 1)), 0, Rule(0, 5, 4, 60), 1),
        (samples((0, 0)), 0, Rule(0, 5, 4, 60), 0),
        (samples((30, 0)), 3, Rule(1, 5, 4, 60), 3),
        (samples((60, 0)), 3, Rule(1, 5, 4, 60), 1),
        (samples((60, 0)), 3, Rule(0, 5, 4, 60), 0),
        (samples((90, 8), (30, 0)), 3, Rule(1, 5, 4, 60), 2),
        (samples((90, 12), (30, 0)), 3, Rule(1, 5, 4, 60), 3),
        (samples((90, 0), (30, 8), (20, 0)), 3, Rule(1, 5, 4, 60), 2),
        (samples((90, 12), (60, 0)), 3, Rule(1, 5, 4, 60), 1),
        ([], 3, Rule(1, 5, 4, 60), 3),
        ([], 9, Rule(1, 5, 4, 60), 5),
        ([], 0, Rule(2, 5, 4, 60), 2),
    ],
)
def test_decisions(seen, current, rule, wanted):
    assert decide(seen, current, NOW, rule).replicas == wanted


def test_it_says_when_to_look_again():
    rule = Rule(1, 5, 4, 60)
    decision = decide(samples((90, 12), (45, 0)), 3, NOW, rule)
    assert decision.replicas == 3
    assert decision.again_in_seconds == 15
    later = NOW + timedelta(seconds=15)
    assert decide(samples((90, 12), (45, 0)), 3, later, rule).replicas == 1
    assert decide(samples((90, 4)), 1, NOW, rule).again_in_seconds is None


def test_a_change_has_a_reason_and_rest_has_none():
    assert "9 requests" in decide(samples((0, 9)), 1, NOW, Rule(1, 5, 4, 60)).why
    assert decide(samples((0, 9)), 3, NOW, Rule(1, 5, 4, 60)).why == ""


def test_trimming_keeps_what_still_counts():
    seen = samples((200, 5), (150, 7), (100, 7), (50, 1), (10, 1), (0, 2))
    assert trimmed(seen, NOW, 60) == samples((150, 7), (50, 1), (0, 2))
    still = samples((500, 0))
    assert trimmed([*still, *samples((0, 0))], NOW, 60) == still
    for window in (1, 20, 60, 120, 300):
        rule = Rule(0, 9, 1, window)
        assert decide(trimmed(seen, NOW, window), 9, NOW, rule).replicas == decide(seen, 9, NOW, rule).replicas
