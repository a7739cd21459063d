"""What failed pods said: the first error by its time, mistakes that no restart mends, and what counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from operator_world import World
from training_jobs import running

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Delete
from argosy.operators.pytorchjob.operator import PYTORCH

LOGS = "/api/v1/namespaces/default/pods/{}/log"


def says(world: World, pod: str, *lines: str, second: str = "01.5") -> None:
    text = "".join(f"2026-01-01T00:00:{second}{n:04}Z {line}\n" for n, line in enumerate(lines))
    world.readable[LOGS.format(pod)] = text


def raised(error: str) -> tuple[str, ...]:
    return ("Traceback (most recent call last):", '  File "/workspace/t.py", line 3, in <module>', error)


def last(world: World) -> tuple[str, str]:
    condition = world.status["conditions"][-1]
    return condition["type"], condition["message"]


def test_the_first_error_is_that_of_the_earliest_words_not_of_the_first_rank() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 2})
    says(world, "job-master-0", *raised("RuntimeError: Connection closed by peer [10.0.0.3]:29500"), second="01.1")
    says(world, "job-worker-0", *raised("ValueError: late"), second="01.9")
    says(world, "job-worker-1", *raised("[rank2]: ValueError: shard 7 is cut"), second="01.5")
    for name in world.names(kinds.POD):
        world.exit(name, 1, at=1)
    world.settle()
    type, message = last(world)
    assert type == "Restarting"
    assert "because pod job-worker-1 exited with code 1: ValueError: shard 7 is cut" in message


def test_torchruns_own_words_do_not_hide_the_error() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    rest = (
        "E1130 12:00:00.1 88 torch/distributed/elastic/multiprocessing/api.py:984] failed (exitcode: 1) local_rank: 0",
        *raised("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "),
        "=======================", "train.py FAILED", "Root Cause (first observed failure):", "=======================",
    )  # fmt: skip
    says(world, "job-master-0", *raised("KeyError: 'lr'"), *rest)
    world.exit("job-master-0", 1, message="=====")
    world.settle()
    assert "exited with code 1: KeyError: 'lr'" in last(world)[1]


@pytest.mark.parametrize(
    ("code", "lines", "seconds"),
    [
        (1, raised("ModuleNotFoundError: No module named 'transformerz'"), 500),
        (1, raised("AssertionError: Torch not compiled with CUDA enabled"), 20),
        (1, raised("NameError: name 'modle' is not defined"), 3),
        (1, ("  File 't.py', line 1", "    def (", "SyntaxError: invalid syntax"), 1),
        (2, ("usage: t.py [-h]", "t.py: error: unrecognized arguments: --epoch"), 1),
        (2, ("python: can't open file '/workspace/t.py': [Errno 2] No such file or directory",), 1),
        (127, ("sh: 1: trian: not found",), 0),
    ],
)
def test_a_mistake_ends_the_job_at_once(code: int, lines: tuple[str, ...], seconds: int) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0}, runPolicy={"backoffLimit": 3})
    says(world, "job-master-0", *lines)
    world.exit("job-master-0", code, startedAt=rfc3339(world.now), at=seconds)
    world.settle()
    type, message = last(world)
    assert type == "Failed"
    assert lines[-1].removeprefix("  ") in message
    assert "no restart mends this; correct the program and apply the job again" in message
    assert world.told("PyTorchJobFailed") == [message]


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (raised("RuntimeError: CUDA error: an illegal memory access was encountered"), 1),
        (raised("TypeError: 'NoneType' object is not subscriptable"), 4000),
        (raised("ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"), 1),
        ((*raised("ModuleNotFoundError: No module named 'apex'"), "going on without", *raised("OSError: stale")), 1),
    ],
)
def test_what_another_try_may_mend_is_tried_again(lines: tuple[str, ...], seconds: int) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    says(world, "job-master-0", *lines)
    world.exit("job-master-0", 1, startedAt=rfc3339(world.now), at=seconds)
    world.settle()
    assert "PyTorchJob job is restarting because" in world.told("PyTorchJobRestarting")[0]


def test_who_wants_retries_has_them() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    world.edit({"metadata": {"annotations": {"argosy.dev/user-errors": "retry"}}})
    says(world, "job-master-0", *raised("NameError: name 'x' is not defined"))
    world.exit("job-master-0", 1)
    world.settle()
    assert world.told("PyTorchJobRestarting")


def fail_again(world: World, error: str) -> None:
    world.wait(world.again or 0)
    world.settle()
    world.pods("Running")
    world.settle()
    says(world, "job-master-0", *raised(error))
    world.exit("job-master-0", 1)
    world.settle()


def test_the_same_error_three_times_in_a_row_is_enough_without_a_limit() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0})
    for error in ("ValueError: at 0x7f01", "OSError: other", "ValueError: at 0x7f02", "ValueError: at 0x7f03"):
        fail_again(world, error)
        assert last(world)[0] == "Restarting"
    fail_again(world, "ValueError: at 0x7f04")
    type, message = last(world)
    assert type == "Failed"
    assert "ValueError: at 0x7f04 (the same error 3 times in a row; correct it and apply the job again)" in message


def test_a_limit_decides_instead_and_tells_the_first_error() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0}, runPolicy={"backoffLimit": 3})
    for _ in range(4):
        fail_again(world, "ValueError: no such column")
    assert last(world)[0] == "Failed"
    assert (
        "backoff limit (3); at last pod job-master-0 exited with code 1: ValueError: no such column" in last(world)[1]
    )


def test_a_silent_echo_waits_for_the_news_of_its_cause() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    says(world, "job-master-0", *raised("RuntimeError: Connection reset by peer"))
    world.exit("job-master-0", 1)
    world.settle()
    assert last(world)[0] == "Running"
    world.exit("job-worker-0", 137, signal=9)
    world.settle()
    assert "because pod job-worker-0 was killed by signal 9" in last(world)[1]


@pytest.mark.parametrize("how", ["lost", "evicted", "drained", "killed after a while"])
def test_what_the_cluster_does_is_not_counted(how: str) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1}, runPolicy={"backoffLimit": 0})
    world.wait(60)
    match how:
        case "lost":
            world.remove(kinds.POD, "job-worker-0")
        case "evicted":
            world.change(kinds.POD, "job-worker-0", {"status": {"phase": "Failed", "reason": "Evicted"}})
        case "drained":
            sent = {"type": "DisruptionTarget", "status": "True", "message": "Eviction API: evicting"}
            world.exit("job-worker-0", 143, signal=15)
            world.change(kinds.POD, "job-worker-0", {"status": {"conditions": [sent]}})
        case _:
            world.exit("job-worker-0", 137, signal=9)
    world.settle()
    assert len(world.of(kinds.POD)) == 2, "at once"
    assert world.status["conditions"][-1]["type"] in ("Restarting", "Running")
    assert "(restart 1; counted 0 of 0)" in world.told("PyTorchJobRestarting")[0]
    world.pods("Running")
    world.exit("job-worker-0", 137, signal=9)
    world.settle()
    assert last(world)[0] == "Failed", "one that is killed at once each time is counted"


@pytest.mark.parametrize(("leaving", "grace"), [(30, 28), (0, 1)])
def test_a_pod_that_is_asked_to_leave_takes_the_others_along_within_its_time(leaving: int, grace: int) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    until = rfc3339(world.now + timedelta(seconds=leaving))
    world.change(
        kinds.POD,
        "job-worker-0",
        {"metadata": {"deletionTimestamp": until, "deletionGracePeriodSeconds": leaving}},
    )
    world.wait(2)
    world.step()  # how far the epoch got is asked first
    (delete,) = [action for action in world.plan().actions if isinstance(action, Delete)]
    assert (delete.key.name, delete.grace_seconds) == ("job-master-0", grace)


def test_a_rank_that_failed_leaves_its_peers_no_time() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 2})
    until = rfc3339(world.now + timedelta(seconds=30))
    world.change(
        kinds.POD, "job-worker-0", {"metadata": {"deletionTimestamp": until, "deletionGracePeriodSeconds": 30}}
    )
    world.exit("job-worker-1", 139)
    world.slow_deletes = True
    world.step()
    deletes = [action for action in world.plan().actions if isinstance(action, Delete)]
    assert {delete.grace_seconds for delete in deletes} == {1}


def test_what_a_pod_exits_with_once_it_was_asked_to_leave_is_no_failure() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1}, runPolicy={"backoffLimit": 0}, policy="ExitCode")
    until = rfc3339(world.now + timedelta(seconds=30))
    world.exit("job-worker-0", 1, at=2)
    world.change(
        kinds.POD, "job-worker-0", {"metadata": {"deletionTimestamp": until, "deletionGracePeriodSeconds": 30}}
    )
    world.settle()
    assert "because pod job-worker-0 was deleted (restart 1; counted 0 of 0)" in world.told("PyTorchJobRestarting")[0]


def test_the_epochs_that_ended_are_added_up() -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    steps = "".join(f"2026-01-01T00:00:{n:02}Z step={n}\n" for n in range(1, 41))
    world.readable[LOGS.format("job-master-0")] = steps
    world.wait(40)
    world.exit("job-worker-0", 137, signal=9)
    world.settle()
    assert world.subject is not None
    written = world.subject["metadata"]["annotations"]["argosy.dev/goodput"]
    assert written == '{"since":"2026-01-01T00:00:01Z","useful":39.0,"last":40,"twice":0,"epochs":1,"stepSeconds":1.0}'


@pytest.mark.parametrize(
    ("code", "message", "ends"),
    [
        (1, "the image alpine:3 has no Python, which unpacks the workspace; choose one that has with --image", True),
        (127, "sh: unpack: not found", True),
        (1, "the workspace could not be read: timed out", False),
    ],
)
def test_an_image_that_cannot_be_prepared(code: int, message: str, ends: bool) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 0}, runPolicy={"backoffLimit": 3})
    ended = {"terminated": {"exitCode": code, "message": message}}
    status = {"phase": "Failed", "initContainerStatuses": [{"name": "workspace", "state": ended}]}
    world.change(kinds.POD, "job-master-0", {"status": status})
    world.settle()
    said = " ".join([*world.told("PyTorchJobFailed"), *world.told("PyTorchJobRestarting")])
    assert message in said
    assert (last(world)[0] == "Failed") is ends
