"""Who is ended early, what hyperband tries, and what is heard of a trial: values in, values out."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from argosy.meta.json import Obj
from argosy.operators.search import hyperband, reading, stopping
from argosy.operators.search.hyperband import Hyperband, Later, Past, Round
from argosy.operators.search.metrics import Collected, Wanted
from argosy.operators.search.stopping import Asha, MedianStop

START = datetime(2026, 1, 1, tzinfo=UTC)


def early(name: str, **settings: object) -> tuple[MedianStop | Asha | None, list[str]]:
    given = [{"name": key, "value": str(value)} for key, value in settings.items()]
    return stopping.read({"earlyStopping": {"algorithmName": name, "algorithmSettings": given}})


def test_settings_are_read_with_their_defaults() -> None:
    assert early("medianstop") == (MedianStop(3, 4), [])
    assert early("medianstop", min_trials_required=1, start_step=2) == (MedianStop(1, 2), [])
    assert early("asha") == (Asha(1, 3), [])
    assert early("asha", start_step=2, reduction_factor=4) == (Asha(2, 4), [])
    assert stopping.read({}) == (None, [])


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("hyperband", {}, "is neither medianstop nor asha"),
        ("medianstop", {"start_step": 0}, "'0' is not a whole number of at least 1"),
        ("asha", {"reduction_factor": 1}, "'1' is not a whole number of at least 2"),
        ("asha", {"min_trials_required": 1}, "min_trials_required is no setting of asha"),
        ("medianstop", {"start_step": "x"}, "'x' is not a whole number"),
    ],
)
def test_wrong_settings_are_told(name: str, settings: Obj, says: str) -> None:
    found, wrong = early(name, **settings)
    assert found is None
    assert says in wrong[0]


def record(at: int, **marks: float) -> stopping.Record:
    told = {k[1:]: {"count": int(k[1:]), "min": v, "max": v, "mean": v} for k, v in marks.items()}
    return stopping.parse(stopping.write(told, {}, START + timedelta(seconds=at)))


def test_the_median_of_those_that_succeeded() -> None:
    rule = MedianStop(3, 4)
    records = [record(0, _4=v) for v in (0.2, 0.9, 0.4)]
    assert rule.rules("loss", records[:2], lowest=True) == []
    (found,) = rule.rules("loss", records, lowest=True)
    assert found == {"name": "loss", "value": "0.4", "comparison": "greater", "startStep": 4}
    assert rule.rules("acc", records, lowest=False)[0]["comparison"] == "less"


def test_rungs() -> None:
    assert Asha(2, 3).marks[:4] == (2, 6, 18, 54)
    assert len(Asha(1, 2).marks) == 16
    assert all(step <= 10_000_000 for step in Asha(1000, 10).marks)


def ended(values: list[float], *, factor: int, lowest: bool = True) -> list[bool]:
    """Who of those that come to the first rung in this order is ended there."""
    records = [record(n, _1=v) for n, v in enumerate(values)]
    rule = Asha(1, factor)
    found = [rule.rules("m", own, records, lowest=lowest) for own in records]
    early = [rule.rules("m", own, records[: n + 1], lowest=lowest) for n, own in enumerate(records)]
    assert found == early, "a verdict stands whoever comes afterwards"
    return [bool(rules) for rules in found]


def test_the_best_third_of_those_before_goes_on() -> None:
    assert ended([5, 6, 4, 4.5, 4.2, 4.1, 3], factor=3) == [False, True, False, True, True, False, False]
    assert ended([5, 6, 4], factor=3, lowest=False) == [False, False, True]
    assert ended([1, 1, 1], factor=2) == [False, False, False], "the same as the best is not worse"


def test_a_trial_that_was_too_short_for_a_rung_never_came_to_it() -> None:
    short = {"3": {"count": 2, "min": 0.1, "max": 0.1, "mean": 0.1, "at": START.isoformat()}}
    full = record(5, _3=0.9)
    assert Asha(3, 2).rules("m", full, [short, full], lowest=True) == []


@pytest.mark.parametrize("seed", range(5))
def test_halving_finds_the_best_and_saves_most_of_the_work(seed: int) -> None:
    """27 trials of 27 steps whose curves keep their order, one after another: the best goes the whole way."""
    drawn = random.Random(seed)
    quality = [drawn.random() for _ in range(27)]
    rule, records, steps = Asha(1, 3), [], []
    for number, value in enumerate(quality):
        own: dict[str, Obj] = {}
        done = 27
        for mark in (1, 3, 9, 27):
            curve = value + 1 / mark
            told = {str(mark): {"count": mark, "min": curve, "max": curve, "mean": curve}}
            own = dict(stopping.parse(stopping.write(told, own, START + timedelta(seconds=number))))
            if rule.rules("loss", own, [*records, own], lowest=True):
                done = mark
                break
        records.append(own)
        steps.append(done)
    assert steps[quality.index(min(quality))] == 27
    assert sum(steps) < 0.5 * 27 * 27


def test_rules_look_at_a_trial_where_they_say() -> None:
    rule = {"name": "m", "value": "0.4", "comparison": "greater", "startStep": 3}
    assert not stopping.is_met(rule, {})
    assert stopping.is_met(rule, record(0, _3=0.5))
    assert not stopping.is_met(rule, record(0, _3=0.4))
    assert stopping.is_met({**rule, "comparison": "less"}, record(0, _3=0.3))
    assert stopping.is_met({**rule, "comparison": "equal"}, record(0, _3=0.4))
    assert stopping.steps_of([rule, {"name": "m"}]) == {1, 3}


def test_records_keep_their_first_time() -> None:
    first = stopping.write({"1": {"count": 1}}, {}, START)
    later = stopping.parse(
        stopping.write({"1": {"count": 9}, "2": {"count": 2}}, stopping.parse(first), START + timedelta(1))
    )
    assert later["1"] == {"count": 1, "at": START.isoformat()}
    assert later["2"]["at"] > later["1"]["at"]
    assert stopping.parse("nonsense") == stopping.parse("[]") == {}


def test_brackets_are_those_of_the_paper() -> None:
    rounds = Hyperband("epochs", 81, 3).rounds()
    assert [(r.count, r.resource) for r in rounds if r.first] == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]
    assert [(r.count, r.resource) for r in rounds[:5]] == [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)]
    assert Hyperband("e", 243, 3).rounds()[0] == Round(243, 1, True), "243 is 3 to the power of 5, rounding or not"
    assert Hyperband("e", 1, 3).rounds() == [Round(1, 1, True)]


def test_a_round_is_made_of_the_best_of_the_one_before() -> None:
    band = Hyperband("r", 4, 2)
    past: list[Past] = []

    def draw(number: int) -> dict[str, str]:
        return {"x": str(number), "r": "?"}

    def next_ones() -> list[dict[str, str]]:
        found = []
        while (made := hyperband.suggest(band, past, len(past), draw)) not in (None, Later.WAIT):
            assert isinstance(made, dict)
            past.append(Past(made, None, ended=False))
            found.append(made)
        return found

    def end(losses: dict[str, float | None]) -> None:
        past[:] = [one if one.ended else Past(one.assignments, losses.get(one.assignments["x"])) for one in past]

    assert [(a["x"], a["r"]) for a in next_ones()] == [("0", "1"), ("1", "1"), ("2", "1"), ("3", "1")]
    assert next_ones() == [], "the round has not ended"
    end({"0": 0.4, "1": None, "2": 0.1, "3": 0.3})
    assert [(a["x"], a["r"]) for a in next_ones()] == [("2", "2"), ("3", "2")]
    end({"2": 0.2, "3": 0.1})
    assert [a["r"] for a in next_ones()] == ["4", "2", "2", "2"], "the next bracket need not wait for the last round"
    assert past[6].assignments["x"] == "3"
    end({"7": 0.5, "8": 0.6, "9": 0.4})
    assert [(a["x"], a["r"]) for a in next_ones()] == [("9", "4"), ("7", "4"), ("12", "4"), ("13", "4"), ("14", "4")]
    assert hyperband.suggest(band, past, len(past), draw) is None


def test_a_bracket_of_which_all_failed_does_not_end_the_search() -> None:
    band = Hyperband("r", 2, 2)
    failed = [Past({"x": "0", "r": "1"}, None), Past({"x": "1", "r": "1"}, None)]
    assert hyperband.suggest(band, failed, 2, lambda n: {"x": str(n)}) == {"x": "2", "r": "2"}
    over = [*failed, *(Past({"x": str(n), "r": "2"}, 0.1) for n in (2, 3))]
    assert hyperband.suggest(band, over, 4, lambda n: {}) is None


def collected(lines: list[str], **wanted: object) -> Collected:
    found = Collected(Wanted(("loss", "acc"), **wanted))  # type: ignore[arg-type]
    for line in lines:
        found.take(line)
    return found


def test_marks_tell_how_a_trial_stood() -> None:
    found = collected(["loss=3", "acc=1", "loss=1", "loss=x", "loss=2", "loss=0"], marks=(2, 3, 9))
    assert found.marks == {
        "2": {"count": 2, "min": 1.0, "max": 3.0, "mean": 2.0},
        "3": {"count": 3, "min": 1.0, "max": 3.0, "mean": 2.0},
    }
    found.close()
    assert found.marks["9"] == {"count": 4, "min": 0.0, "max": 3.0, "mean": 1.5}


def test_json_lines() -> None:
    lines = [
        '{"loss": "0.5", "acc": 0.1, "timestamp": "2026-01-01T00:00:02Z"}', "no json", "[1]", "",
        '{"loss": 0.7, "timestamp": 1767225601.5}', '{"loss": true}', '{"other": 1}',
    ]  # fmt: skip
    loss, acc = collected(lines, as_json=True).metrics
    assert loss == {"name": "loss", "min": "0.5", "max": "0.7", "latest": "0.5"}, "the latest by time"
    assert acc["latest"] == "0.1"


def test_the_latest_is_the_latest_by_time() -> None:
    lines = ["2026-01-01T00:00:05Z loss=5", "2026-01-01T00:00:01.123456789Z loss=1", "loss=9"]
    assert collected(lines).metrics[0]["latest"] == "5"
    assert collected(["loss=1", "loss=2"]).metrics[0]["latest"] == "2"


def test_pages_for_prometheus() -> None:
    page = """# HELP loss The loss
loss{rank="0",why="a } b"} 0.5 1700000000
acc 1e-3
loss_total 7
"""
    assert reading.samples(page, ["loss", "acc"]) == {"loss": "0.5", "acc": "1e-3"}
