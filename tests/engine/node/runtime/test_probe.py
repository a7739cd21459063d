"""What the machine can do, and how it says what it cannot."""

from __future__ import annotations

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
