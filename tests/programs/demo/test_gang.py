"""Reading a process group from the environment."""

from __future__ import annotations

import pytest

from argosy.programs.demo import gang
from argosy.programs.demo.gang import Gang

PYTORCHJOB = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}


def test_alone_without_an_environment() -> None:
    assert gang.from_environ({}) == Gang()
    assert gang.from_environ({"WORLD_SIZE": "1", "RANK": "0", "MASTER_ADDR": "x"}).leads


def test_as_an_operator_sets_it() -> None:
    assert gang.from_environ(PYTORCHJOB) == Gang(1, 2, "job-master-0", 23456)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RANK": "2"}, "RANK=2 is not between 0 and WORLD_SIZE=2"),
        ({"RANK": "first"}, "RANK=first is not a whole number"),
        ({"MASTER_ADDR": ""}, "needs MASTER_ADDR"),
    ],
)
def test_nonsense_is_named(change: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gang.from_environ(PYTORCHJOB | change)


def test_interfaces() -> None:
    assert gang.interface_of("127.80.0.3") == "lo"
    assert gang.interface_of("") == ""
    assert gang.interface_of("203.0.113.77") == ""
