"""The logs of a gang as one story, and who is who in it."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj
from argosy.sdk.lines import first_error, merged, stamped
from argosy.sdk.ranks import ranks_of


def log(*entries: tuple[int, str]) -> bytes:
    return b"".join(f"2026-01-01T00:00:{second:02d}.5Z {text}\n".encode() for second, text in entries)


def found(**logs: bytes) -> tuple[str, str, int] | None:
    error = first_error({name: list(stamped(name, text)) for name, text in logs.items()})
    return error and (error.source, error.lines[-1], len(error.lines))


def test_lines_come_in_order_of_time() -> None:
    logs = {"a": log((1, "one"), (3, "three")), "b": log((2, "two"), (3, "also three"))}
    lines = list(merged({name: stamped(name, text) for name, text in logs.items()}))
    assert [line.text for line in lines] == [b"one", b"two", b"three", b"also three"]
    assert lines[0].time == "2026-01-01T00:00:01.500000000"


def test_a_line_without_a_time_stays_behind_the_one_before_it() -> None:
    lines = list(stamped("a", b"2026-01-01T00:00:01Z x\ncut off\n\n"))
    assert [(line.time[-12:], line.text) for line in lines] == [("01.000000000", b"x"), ("01.000000000", b"cut off")]


TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "train.py", line 3, in <module>',
    "    raise ValueError('bad data')",
    "ValueError: bad data",
]
PEER = [
    "Traceback (most recent call last):",
    '  File "train.py", line 9, in step',
    "RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.1]:1",
]


def test_the_cause_counts_and_not_what_follows_from_it() -> None:
    cause = log(*((7, text) for text in TRACEBACK))
    consequence = log(*((6, text) for text in PEER))
    assert found(a=consequence, b=cause) == ("b", "ValueError: bad data", 4)
    assert found(a=consequence, b=log((1, "fine"))) == ("a", PEER[-1], 3)
    error = first_error({"a": list(stamped("a", consequence))})
    assert error is not None
    assert error.consequence


def test_a_chained_traceback_is_one_error() -> None:
    chain = [*TRACEBACK, "", "During handling of the above exception, another exception occurred:", "", *TRACEBACK]
    assert found(a=log(*((1, text) for text in [*chain, "bye"]))) == ("a", "ValueError: bad data", len(chain))


@pytest.mark.parametrize(
    ("text", "is_error"),
    [
        ("error: no such option", True),
        ("ERROR: it broke", True),
        ("[rank0]: torch.OutOfMemoryError: CUDA out of memory", True),
        ("Fatal Python error: Segmentation fault", True),
        ("Segmentation fault (core dumped)", True),
        ("2026-01-01 ERROR root: x", True),
        ("NCCL_DEBUG=ERROR", False),
        ("2026-01-01 [ERROR] x", True),
        ("epoch 3 error=0.2", False),
        ("errors: 0", False),
        ("no error: fine", False),
        ("loss 0.3", False),
        ("terminate called after throwing an instance of 'std::bad_alloc'", True),
    ],
)
def test_single_lines(text: str, is_error: bool) -> None:
    assert (found(a=log((1, text))) is not None) is is_error


def pod(name: str, env: dict[str, str] | None = None, **labels: str) -> Obj:
    given = [{"name": key, "value": value} for key, value in (env or {}).items()]
    metadata = {
        "name": name,
        "labels": {f"training.kubeflow.org/{key}".replace("_", "-"): v for key, v in labels.items()},
    }
    return {"metadata": metadata, "spec": {"containers": [{"name": "main", "env": given}]}}


def test_ranks_are_what_the_pods_say() -> None:
    assert ranks_of([pod("b", {"RANK": "0"}), pod("a", {"RANK": "1"})]) == {"b": 0, "a": 1}


def test_ranks_follow_the_replicas_where_pods_say_nothing() -> None:
    pods = [pod(f"j-worker-{n}", replica_type="worker", replica_index=str(n)) for n in (10, 2, 0)]
    pods += [
        pod("j-ps-0", replica_type="ps", replica_index="0"),
        pod("j-chief-0", replica_type="chief", replica_index="0"),
    ]
    expected = ["j-chief-0", "j-worker-0", "j-worker-2", "j-worker-10", "j-ps-0"]
    assert sorted(ranks := ranks_of(pods), key=lambda name: ranks[name]) == expected
    assert ranks_of([pod("x-10"), pod("x-9")]) == {"x-9": 0, "x-10": 1}
