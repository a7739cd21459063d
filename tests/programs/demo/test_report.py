"""The report: self-contained, escaped, and drawn to round numbers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.programs.demo.report import Mark, Moment, chart, render, ticks


def page(**changes: object) -> str:
    values: dict[str, object] = {
        "title": "A <run>",
        "facts": [("loss", "4.2 & less")],
        "curves": {"pretrain": [(5.0, 6.0), (10.0, 5.0), (10.0, 5.0), (15.0, 4.0)], "finetune-x": [(1.0, 2.0)]},
        "moments": [Moment("worker killed", 3.0), Moment("Training", 0.0, 9.0)],
        "replicas": [(1.0, 1), (4.0, 3)],
        "samples": ["it says <b>this</b>"],
        "baseline": Mark("unigram entropy", 6.1),
    }
    return render(**(values | changes))  # type: ignore[arg-type]


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = page()
    assert not re.search(r"https?://|<script|@import|url\(", html)
    assert html.startswith("<!doctype html>")


def test_text_is_escaped() -> None:
    html = page()
    for given_text in ("<run>", "<b>this", "& less"):
        assert given_text not in html


def test_a_resumed_run_is_two_lines() -> None:
    html = page()
    assert html.count("<polyline") == 4  # before and after the restart, the variant, the replicas
    assert "resumed" in html
    assert "unigram entropy" in html


def test_an_empty_story_still_makes_a_page() -> None:
    html = page(facts=[], curves={}, moments=[], replicas=[], samples=[], baseline=None)
    assert "<svg" not in html
    assert chart({}) == ""


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_and_are_few(low: float, span: float) -> None:
    made = ticks(low, low + span)
    rounding = 1e-6 * max(1, abs(low), span)  # far below a pixel of a drawing that is `span` wide
    assert made[0] <= low + rounding
    assert made[-1] >= low + span - rounding
    assert 2 <= len(made) <= 8
    assert made == sorted(made)


@pytest.mark.parametrize(
    ("low", "high", "least", "made"),
    [(0, 3, 1, [0, 1, 2, 3]), (3.5, 6.5, 0, [3, 4, 5, 6, 7]), (5, 160, 1, [0, 50, 100, 150, 200]), (2, 2, 1, [2, 3])],
)
def test_round_ticks(low: float, high: float, least: float, made: list[float]) -> None:
    assert ticks(low, high, least=least) == made
