"""How far a job got."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.operators.tracking.steps import first_rank, told


def pod(name: str, phase: str = "Succeeded", **labels: str) -> Obj:
    named = {f"training.kubeflow.org/{key.replace('_', '-')}": value for key, value in labels.items()}
    metadata = {"name": name, "labels": named, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "status": {"phase": phase}}


def test_the_leading_rank_speaks() -> None:
    workers = [pod(f"w-{n}", replica_index=str(n)) for n in (10, 9)]
    master = pod("z", replica_index="0", job_role="master")
    assert first_rank([*workers, master]) == master
    assert first_rank(workers) == workers[1]
    assert first_rank([pod("a", "Failed")]) is None


def test_what_it_said_last() -> None:
    lines = (f"2026-01-01T00:00:0{n}Z step {n * 10} loss 2.0 tokens/s 1,5{n}0" for n in range(1, 5))
    assert told("\n".join(lines), pod("a"), {}) == {"last-step": "40", "tokens-per-second": "1540"}
    assert told("2026-01-01T00:00:01Z hello", pod("a"), {}) == {}
