"""Choosing the best run."""

from __future__ import annotations

from argosy.programs.demo.register import Candidate, best, report

RUNS = [
    Candidate("r1", "internet", 3.6, {}),
    Candidate("r2", "concurrency", 3.2, {"variant": "concurrency", "base_run": "b0", "mlflow.user": "x"}),
    Candidate("r3", "testing", 3.2, {}),
]


def test_the_lowest_or_the_highest_wins_and_names_break_ties() -> None:
    assert best(RUNS, highest=False) == RUNS[1]
    assert best(RUNS, highest=True) == RUNS[0]
    assert best([], highest=False) is None


def test_the_report_tells_the_lineage() -> None:
    said = report(RUNS[1], RUNS, "demo", "4", "champion")
    assert said["lineage"] == {"variant": "concurrency", "base_run": "b0"}
    assert said["candidates"] == {"concurrency": 3.2, "internet": 3.6, "testing": 3.2}
    assert (said["version"], said["run_name"]) == ("4", "concurrency")
