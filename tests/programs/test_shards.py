"""Which part of a data set a process reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from argosy.programs import shards


@pytest.mark.parametrize("world", [1, 2, 3, 7, 12])
def test_together_the_ranks_read_each_item_once(world: int) -> None:
    items = list(range(10))
    parts = [shards.shard(items, rank, world) for rank in range(world)]
    assert sorted(item for part in parts for item in part) == items
    even = [shards.shard(items, rank, world, even=True) for rank in range(world)]
    assert {len(part) for part in even} == {10 // world}


def test_a_rank_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 2 of 2"):
        shards.shard([1], 2, 2)


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, (0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, (3, 4)),
        ({"PROCESS_ID": "1", "NUM_PROCESSES": "2"}, (1, 2)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3"}, (1, 3)),
        ({"TF_CONFIG": json.dumps({"cluster": {"chief": ["a"], "worker": ["b", "c"]}, "task": {"type": "worker", "index": 1}})}, (2, 3)),
        ({"TF_CONFIG": json.dumps({"cluster": {"ps": ["a"], "worker": ["b"]}, "task": {"type": "ps", "index": 0}})}, (0, 1)),
        ({"TF_CONFIG": "nonsense"}, (0, 1)),
    ],
)  # fmt: skip
def test_the_place_is_what_the_framework_was_told(environ: dict[str, str], place: tuple[int, int]) -> None:
    assert shards.place_of(environ) == place


def test_a_data_set_is_where_the_variable_says() -> None:
    assert shards.path("web-text", {"DATASET_WEB_TEXT": "/datasets/web-text"}) == Path("/datasets/web-text")
