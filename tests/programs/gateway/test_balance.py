"""Choosing a replica."""

from __future__ import annotations

import pytest

from argosy.programs.gateway.balance import Replica, answered, choose, failed, usable_at


def replicas(*in_flight: int) -> list[Replica]:
    return [Replica(f"10.0.0.{number}", 8080, busy) for number, busy in enumerate(in_flight)]


def test_least_in_flight_then_in_turn():
    a, b, c = replicas(2, 1, 1)
    assert choose([a, b, c], 0) is b
    b.served = 1
    assert choose([a, b, c], 0) is c
    assert choose([], 0) is None


def test_a_limit_and_what_was_tried():
    a, b = replicas(1, 2)
    assert choose([a, b], 0, limit=1) is None
    assert choose([a, b], 0, tried=[a]) is b
    assert choose([a], 0, tried=[a]) is a


def test_one_that_failed_is_left_alone_for_longer_and_longer():
    (a, b) = replicas(0, 5)
    failed(a, 10.0)
    assert choose([a, b], 10.1) is b
    assert choose([a, b], 10.3) is a
    failed(a, 10.3)
    assert usable_at([a, b], 10.3) == pytest.approx(10.7)
    for _ in range(20):
        failed(a, 20.0)
    assert a.avoid_until == 25.0
    answered(a)
    assert choose([a, b], 20.0) is a
