"""A job whose pods cannot start says so itself, once, until they can."""

from __future__ import annotations

import pytest
from training_jobs import running

from argosy import kinds
from argosy.operators.pytorchjob.operator import PYTORCH

UNSOLVED = "the environment torch with requirements could not be installed: No matching distribution found for x==9"


@pytest.mark.parametrize("field", ["initContainerStatuses", "containerStatuses"])
def test_an_environment_that_cannot_be_made(field: str) -> None:
    world = running(PYTORCH, {"Master": 1, "Worker": 1})
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        state = {"waiting": {"reason": reason, "message": f"{reason}: {UNSOLVED}"}}
        status = {"phase": "Pending", field: [{"name": "pytorch", "state": state}]}
        world.change(kinds.POD, "job-worker-0", {"status": status})
        world.settle()
    (said,) = set(world.told("PyTorchJobWaiting"))
    assert said == f"PyTorchJob job waits, since pod job-worker-0 cannot start: ImagePullBackOff: {UNSOLVED}"
    world.reasons.clear()
    world.change(kinds.POD, "job-worker-0", {"status": {"phase": "Running", field: [{"name": "pytorch", "state": {}}]}})
    world.change(kinds.POD, "job-worker-0", {"status": {field: None}})
    world.settle()
    assert world.told("PyTorchJobWaiting") == []
