"""What the machine can do, and how it says what it cannot."""

from __future__ import annotations

import asyncio

import pytest

from argosy.engine.node.runtime import probe
from argosy.engine.node.runtime.holder import trial
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError


def test_the_best_level_and_why_not_better():
    level, reasons = probe.best_level()
    assert level in Level
    better = {each for each in Level if each > level}
    assert set(reasons) == better
    assert all(reason for reason in reasons.values())


def test_a_level_that_the_machine_lacks_is_refused(tmp_path):
    _, reasons = probe.best_level()
    for level in Level:
        if level in reasons:
            with pytest.raises(UserError, match="not available here"):
                probe.open_runtime(tmp_path, level)
        else:
            assert probe.open_runtime(tmp_path, level, enforce=False).level is level


def test_a_refusal_names_what_was_refused():
    said = trial._explain("a user namespace", PermissionError(1, "Operation not permitted"))
    assert said.startswith("the kernel refuses a user namespace: Operation not permitted")


def test_an_engine_that_comes_back_takes_the_level_of_its_pods(plain):
    async def scenario(runtime):
        return probe.open_runtime(plain.home, enforce=False).level

    assert plain.run(scenario) is Level.L0


def trials(*answers):
    """A trial that gives these answers in turn."""
    left = list(answers)
    return lambda: left.pop(0), left


NOTHING = (Level.L0, {Level.L2: "no", Level.L1: "no"})
EVERYTHING = (Level.L2, {})


def test_what_worked_once_is_not_tried_again_until_something_changes(tmp_path):
    trial, left = trials(EVERYTHING, EVERYTHING)
    levels = [probe.open_runtime(tmp_path, enforce=False, trial=trial).level for _ in range(3)]
    assert (levels, len(left)) == ([Level.L2] * 3, 1)
    (tmp_path / "run" / "proven-level").write_text("another kernel")
    probe.open_runtime(tmp_path, Level.L1, enforce=False, trial=trial)
    assert not left


def test_what_did_not_work_is_tried_at_every_start(tmp_path):
    trial, left = trials(NOTHING, EVERYTHING)
    assert probe.open_runtime(tmp_path, enforce=False, trial=trial).level is Level.L0
    assert probe.open_runtime(tmp_path, enforce=False, trial=trial).level is Level.L2
    assert not left


def test_a_level_that_does_not_come_up_any_more_is_tried_again(tmp_path):
    trial, left = trials(EVERYTHING, NOTHING)
    probe.open_runtime(tmp_path, enforce=False, trial=trial)

    class Opened:
        def __init__(self, home, level):
            self.level = probe.open_runtime(home, level, enforce=False, trial=trial).level

        async def start(self):
            if self.level is Level.L2:
                raise UserError("isolation level L2 did not come up", "choose a lower one")

    assert asyncio.run(probe.start_runtime(tmp_path, opened=Opened)).level is Level.L0
    assert not left
