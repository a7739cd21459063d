"""What may not be reported of a thing through its `status` door, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from argosy import kinds
from argosy.engine.apiserver.validation import statuses
from argosy.meta.kind import Kind

COMPLETE = [{"type": "Complete", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}]
STARTED = "2024-01-01T00:00:00Z"


def said(kind: Kind, now: dict[str, Any], before: dict[str, Any] | None = None, **spec: Any) -> set[str]:
    """The messages about a status, by field."""
    new, old = ({"metadata": {}, "spec": spec, "status": each} for each in (now, before or {}))
    return {f"{cause.field}: {cause.message}" for cause in statuses.validate(kind, new, old)}


@pytest.mark.parametrize(
    ("kind", "now", "message"),
    [
        (kinds.DAEMON_SET, {"numberReady": -1}, "must be greater than or equal to 0"),
        (kinds.DEPLOYMENT, {"observedGeneration": -1}, "must be greater than or equal to 0"),
        (kinds.STATEFUL_SET, {"replicas": 2, "availableReplicas": 1}, "cannot be greater than status.readyReplicas"),
        (kinds.HORIZONTAL_POD_AUTOSCALER, {"desiredReplicas": -1}, "must be greater than or equal to 0"),
        (kinds.NAMESPACE, {"phase": "Terminating"}, "may only be 'Active' if `deletionTimestamp` is empty"),
        (kinds.PERSISTENT_VOLUME_CLAIM, {"capacity": {"storage": "-1"}}, "must be a valid resource quantity"),
        (kinds.NODE, {"addresses": [{"type": "Hostname", "address": "a"}] * 2}, "Duplicate value"),
    ],
)
def test_numbers_and_phases_that_cannot_be(kind: Kind, now: dict[str, Any], message: str) -> None:
    (only,) = said(kind, now)
    assert message in only


def test_conditions_of_a_budget_need_all_their_parts() -> None:
    assert said(kinds.POD_DISRUPTION_BUDGET, {"conditions": [{"type": "A", "status": "Maybe"}]}) == {
        'status.conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        "status.conditions[0].lastTransitionTime: Required value",
        "status.conditions[0].reason: Required value",
    }


def test_a_complete_job_tells_when_and_has_met_its_criteria() -> None:
    whole = {"conditions": COMPLETE, "startTime": STARTED, "completionTime": STARTED}
    assert said(kinds.JOB, whole) == set()
    assert said(kinds.JOB, {**whole, "completionTime": None, "startTime": None, "conditions": COMPLETE[:1]}) == {
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.startTime: Required value: startTime is required for finished job",
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    }
    assert said(kinds.JOB, {}, whole, suspend=True) == {
        "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
        "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
    }


def test_what_a_job_has_counted_stays_counted() -> None:
    assert said(kinds.JOB, {"failed": 1, "ready": 2, "active": 1}, {"failed": 2, "succeeded": 1}) == {
        "status.failed: Invalid value: 1: cannot decrease the failed counter",
        "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
        "status.ready: Invalid value: 2: cannot set more ready pods than active",
    }


@pytest.mark.parametrize(
    ("completed", "fault"),
    [
        ("0,2-3", ""),
        ("2,1", "non-increasing order, previous: 2, current: 1"),
        ("1-0", "non-increasing order, previous: 1, current: 0"),
        ("0-9", 'too large index: "9"'),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("1-2-3", "at most two parts separated by '-'"),
    ],
)
def test_indexes_are_read(completed: str, fault: str) -> None:
    found = said(kinds.JOB, {"completedIndexes": completed}, completions=4, completionMode="Indexed")
    assert (found == set()) if not fault else fault in found.pop()


def test_an_index_is_either_failed_or_completed() -> None:
    status = {"completedIndexes": "0-2", "failedIndexes": "2,3"}
    found = said(kinds.JOB, status, completions=4, completionMode="Indexed", backoffLimitPerIndex=1)
    assert found == {
        'status.failedIndexes: Invalid value: "2,3": failedIndexes and completedIndexes overlap at index: 2'
    }


def test_a_container_that_is_done_does_not_come_back() -> None:
    def status(state: dict[str, Any]) -> dict[str, Any]:
        return {"containerStatuses": [{"name": "c", "state": state}]}

    ended, running = status({"terminated": {"exitCode": 0}}), status({"running": {}})
    containers = [{"name": "c"}]
    refused = {"status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"}
    assert said(kinds.POD, running, ended, restartPolicy="Never", containers=containers) == refused
    assert said(kinds.POD, running, ended, restartPolicy="OnFailure", containers=containers) == refused
    assert said(kinds.POD, running, ended, restartPolicy="Always", containers=containers) == set()
    own = [{"name": "c", "restartPolicy": "Always"}]
    assert said(kinds.POD, running, ended, restartPolicy="Never", containers=own) == set()


def test_addresses_of_a_pod_are_of_different_families() -> None:
    assert said(kinds.POD, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}) == set()
    (only,) = said(kinds.POD, {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]})
    assert only.startswith(
        'status.podIPs: Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than'
    )
    assert said(kinds.POD, {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]}) == {
        'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`'
    }


def test_numbers_below_zero_are_refused_whatever_else_is_missing() -> None:
    assert said(kinds.REPLICATION_CONTROLLER, {"readyReplicas": -1}) == {
        "status.readyReplicas: Invalid value: -1: must be greater than or equal to 0",
        "status.availableReplicas: Invalid value: 0: cannot be greater than readyReplicas",
    }
    assert "status.active: Invalid value: -1: must be greater than or equal to 0" in said(kinds.JOB, {"active": -1})
