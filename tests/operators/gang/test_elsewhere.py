"""After a failure that was not the program's, the next pods prefer other nodes."""

from __future__ import annotations

import pytest
from operator_world import World
from training_jobs import running

from argosy import kinds
from argosy.meta.json import Obj, dig
from argosy.operators.gang.elsewhere import remembered
from argosy.operators.pytorchjob.operator import PYTORCH


def avoided(world: World) -> list[str]:
    terms: list[Obj] = dig(
        world.get(kinds.POD, "job-master-0"),
        "spec", "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", default=[],
    )  # fmt: skip
    return [dig(term, "preference", "matchFields", 0, "values", 0) for term in terms]


@pytest.mark.parametrize(
    ("code", "terminated", "nodes"),
    [(137, {}, ["n1"]), (137, {"reason": "OOMKilled"}, []), (1, {}, []), (143, {}, ["n1"])],
)
def test_who_is_to_blame(code: int, terminated: Obj, nodes: list[str]) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 2})
    for index, name in enumerate(world.names(kinds.POD)):
        world.change(kinds.POD, name, {"spec": {"nodeName": f"n{index}"}})
    world.exit("job-worker-0", code, **terminated)
    world.settle()
    assert avoided(world) == nodes


def test_a_pod_that_somebody_deleted_speaks_against_no_node() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 2})
    world.change(kinds.POD, "job-worker-0", {"spec": {"nodeName": "n1"}})
    world.remove(kinds.POD, "job-worker-0")
    world.settle()
    assert avoided(world) == []


def test_only_the_last_few_are_remembered() -> None:
    nodes: tuple[str, ...] = ()
    for number in (*range(10), 5):
        nodes = remembered(nodes, f"n{number}")
    assert nodes == ("n2", "n3", "n4", "n6", "n7", "n8", "n9", "n5")
    assert remembered(nodes, "") == nodes
