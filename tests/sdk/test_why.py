from __future__ import annotations

from argosy import kinds
from argosy.meta.json import Obj
from argosy.sdk import why
from argosy.sdk.investigating import turn
from argosy.sdk.ownership import assemble


def obj(name: str, owner: str = "", **fields: object) -> Obj:
    meta: Obj = {"name": name, "namespace": "n", "uid": f"uid-{name}"}
    if owner:
        meta["ownerReferences"] = [{"uid": f"uid-{owner}", "controller": True}]
    return {"metadata": meta, **fields}


def pod(name: str, owner: str, **status: object) -> Obj:
    return obj(name, owner, spec={"containers": [{"name": "c"}]}, status=status)


def test_the_chain_goes_from_the_deployment_to_the_image() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no environment for image x; add it"}}
    candidates = {
        kinds.REPLICA_SET: [obj("web-1", "web")],
        kinds.POD: [pod("web-1-a", "web-1", phase="Pending", containerStatuses=[{"name": "c", "state": waiting}])],
    }
    web = obj("web", status={"conditions": [{"type": "Available", "status": "False", "message": "no minimum"}]})
    finding = why.chain(assemble(kinds.DEPLOYMENT, web, candidates), {})
    assert finding.blocked
    assert why.lines(finding) == [
        "Deployment/web: waiting",
        "  - Available=False: no minimum",
        "  ReplicaSet/web-1: waiting",
        "    - 0 of 1 pods are ready",
        "    Pod/web-1-a: waiting",
        "      - container c waits: ErrImagePull: no environment for image x; add it",
    ]


def test_a_crash_without_a_word_leads_to_the_log() -> None:
    end = {"terminated": {"exitCode": 3, "reason": "Error"}}
    silent = pod("p", "", phase="Failed", containerStatuses=[{"name": "c", "state": end}])
    silent["metadata"]["namespace"] = "team"
    assert why.chain(assemble(kinds.POD, silent, {}), {}).reasons == (
        "container c ended with exit code 3 (Error)",
        "what it said: argosy logs p -n team",
    )


def test_an_unplaced_pod_says_so_first_and_events_are_not_repeated() -> None:
    message = "0/1 nodes are available: 1 Insufficient cpu."
    unplaced = pod(
        "p", "", phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": message}]
    )
    events = {"uid-p": [{"type": "Warning", "reason": "FailedScheduling", "message": message}]}
    finding = why.chain(assemble(kinds.POD, unplaced, {}), events)
    assert finding.reasons == (f"not placed: {message}",)


def test_the_kubelets_events_of_a_failed_pull_are_not_repeated() -> None:
    waits = {
        "waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x": ErrImagePull: no such host'}
    }
    stuck = pod("p", "", phase="Pending", containerStatuses=[{"name": "c", "state": waits}])
    said = [
        'Failed to pull image "x": no such host',
        "Error: ErrImagePull",
        "Error: ImagePullBackOff",
        "no room on disk",
    ]
    events = {"uid-p": [{"type": "Warning", "reason": "Failed", "message": message} for message in said]}
    reasons = why.chain(assemble(kinds.POD, stuck, {}), events).reasons
    assert reasons == (f"container c waits: ImagePullBackOff: {waits['waiting']['message']}", "Failed: no room on disk")


def test_a_pod_whose_image_is_being_made_says_so_first() -> None:
    unready = {"type": "Ready", "status": "False", "message": "containers with unready status: [c]"}
    creating = {"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}
    begun = pod("p", "", phase="Pending", conditions=[unready], containerStatuses=[creating])
    events = {"uid-p": [{"type": "Normal", "reason": "Pulling", "message": 'Pulling image "x"'}]}
    assert why.innermost(why.chain(assemble(kinds.POD, begun, {}), events)) == 'Pod p: Pulling: Pulling image "x"'


def test_events_of_one_second_come_in_the_order_in_which_they_were_written() -> None:
    def event(time: str, version: str) -> Obj:
        return {"lastTimestamp": time, "metadata": {"resourceVersion": version}}

    ordered = [
        event("2026-01-01T00:00:01Z", "30"),
        event("2026-01-01T00:00:02Z", "9"),
        event("2026-01-01T00:00:02Z", "10"),
    ]
    first, *others = ordered
    assert sorted([*reversed(others), first], key=turn) == ordered
    assert turn({"eventTime": None, "metadata": {"resourceVersion": "opaque"}}) == ("", 0)


def test_a_crash_shows_its_last_words() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "Traceback\nValueError: no such model"}
    looping = {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    _, reasons = why.judge("Pod", pod("p", "", phase="Running", containerStatuses=[looping]))
    assert reasons == (
        "container c waits: CrashLoopBackOff; it last ended with exit code 1 (Error): ValueError: no such model",
    )


def test_what_is_well_is_quiet() -> None:
    ready = pod("p", "", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    finding = why.chain(assemble(kinds.POD, ready, {}), {"uid-p": [{"type": "Normal", "reason": "Started"}]})
    assert not finding.blocked
    assert finding.reasons == ()


def test_a_service_family_is_what_it_selects() -> None:
    labelled = pod("p", "", phase="Running")
    labelled["metadata"]["labels"] = {"app": "a", "more": "b"}
    service = obj("s", spec={"selector": {"app": "a"}})
    assert [p["metadata"]["name"] for p in assemble(kinds.SERVICE, service, {kinds.POD: [labelled]}).pods()] == ["p"]


def test_a_rayjob_that_its_operator_refused_has_failed() -> None:
    stage: Obj = {"jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed", "message": "no cluster"}
    assert why.judge("RayJob", obj("r", status=stage)) == (
        why.State.failed,
        ("the RayJob is ValidationFailed: no cluster",),
    )
    assert why.judge("RayJob", obj("r", status={"jobDeploymentStatus": "Running"})) == (why.State.ok, ())


def test_the_innermost_reason_is_one_sentence() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no environment for image x; add it"}}
    candidates = {
        kinds.POD: [pod("p", "web", phase="Pending", containerStatuses=[{"name": "c", "state": waiting}])],
    }
    web = obj("web", status={"conditions": [{"type": "Available", "status": "False", "message": "no minimum"}]})
    finding = why.chain(assemble(kinds.DEPLOYMENT, web, candidates), {})
    assert why.innermost(finding) == "Pod p: container c waits: ErrImagePull: no environment for image x; add it"
    assert why.innermost(why.chain(assemble(kinds.DEPLOYMENT, obj("fine"), {}), {})) == ""
