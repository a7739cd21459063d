from datetime import UTC, datetime

import pytest

from argosy import kinds
from argosy.kinds.core_pod import summarize

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR_AGO = "2026-01-01T11:00:00Z"


def cells(kind, obj):
    obj.setdefault("metadata", {"name": "a", "creationTimestamp": HOUR_AGO})
    return {column.name: column.cell(obj, NOW) for column in kind.columns}


def status(name="c", restarts=0, ready=False, **state):
    last = {"terminated": {"finishedAt": "2026-01-01T11:59:00Z"}} if restarts else {}
    return {"name": name, "restartCount": restarts, "ready": ready, "state": state, "lastState": last}


def pod(phase="Running", containers=("c",), init=(), **more):
    spec = {"containers": [{"name": name} for name in containers], "initContainers": list(init)}
    return {"metadata": {"name": "p"}, "spec": spec, "status": {"phase": phase, **more}}


@pytest.mark.parametrize(
    ("given", "said", "ready"),
    [
        (pod("Pending"), "Pending", "0/1"),
        (pod(containerStatuses=[status(ready=True, running={})]), "Running", "1/1"),
        (pod(containerStatuses=[status(waiting={"reason": "CrashLoopBackOff"})]), "CrashLoopBackOff", "0/1"),
        (pod(containerStatuses=[status(terminated={"exitCode": 3})]), "ExitCode:3", "0/1"),
        (pod(containerStatuses=[status(terminated={"signal": 9, "exitCode": 137})]), "Signal:9", "0/1"),
        (pod("Failed", containerStatuses=[status(terminated={"reason": "OOMKilled"})]), "OOMKilled", "0/1"),
        (pod("Failed", reason="Evicted"), "Evicted", "0/1"),
        (
            pod(containers=("c", "d"), containerStatuses=[
                status("c", terminated={"reason": "Completed"}), status("d", ready=True, running={}),
            ]),
            "NotReady", "1/2",
        ),
        (pod("Pending", init=[{"name": "i"}], initContainerStatuses=[status("i", running={})]), "Init:0/1", "0/1"),
        (
            pod("Pending", init=[{"name": "i"}], initContainerStatuses=[status("i", terminated={"exitCode": 1})]),
            "Init:ExitCode:1", "0/1",
        ),
        (
            pod("Pending", init=[{"name": "i"}], initContainerStatuses=[
                status("i", waiting={"reason": "ImagePullBackOff"}),
            ]),
            "Init:ImagePullBackOff", "0/1",
        ),
        (
            pod(init=[{"name": "s", "restartPolicy": "Always"}],
                initContainerStatuses=[{**status("s", ready=True, running={}), "started": True}],
                containerStatuses=[status(ready=True, running={})]),
            "Running", "2/2",
        ),
        (pod(conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]), "SchedulingGated", "0/1"),
    ],
)  # fmt: skip
def test_a_pods_status_in_one_word(given, said, ready):
    summary = summarize(given)
    assert (summary.status, f"{summary.ready}/{summary.total}") == (said, ready)


def test_a_pod_that_goes_is_terminating_until_it_has_ended():
    going = pod()
    going["metadata"]["deletionTimestamp"] = HOUR_AGO
    assert summarize(going).status == "Terminating"
    going["status"]["phase"] = "Succeeded"
    assert summarize(going).status == "Succeeded"


def test_restarts_tell_when_the_last_one_was():
    shown = cells(kinds.POD, pod(containerStatuses=[status(restarts=2, running={})]))
    assert shown["Restarts"] == "2 (60s ago)"
    assert shown["IP"] == shown["Node"] == shown["Readiness Gates"] == "<none>"


def test_workloads():
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [
        {"name": "x", "image": "i"}, {"name": "y", "image": "j"},
    ]}}}  # fmt: skip
    shown = cells(kinds.DEPLOYMENT, {"spec": spec, "status": {"readyReplicas": 1, "updatedReplicas": 2}})
    assert shown == {
        "Ready": "1/3", "Up-to-date": 2, "Available": 0, "Age": "60m", "Containers": "x,y", "Images": "i,j",
        "Selector": "a=b",
    }  # fmt: skip


def test_services():
    spec = {"type": "LoadBalancer", "clusterIP": "10.0.0.1", "ports": [
        {"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"},
    ]}  # fmt: skip
    shown = cells(kinds.SERVICE, {"spec": spec})
    assert (shown["External-IP"], shown["Port(s)"]) == ("<pending>", "80:30080/TCP,53/UDP")
    assert cells(kinds.SERVICE, {"spec": {"type": "ExternalName", "externalName": "x.y"}})["External-IP"] == "x.y"


@pytest.mark.parametrize(
    ("conditions", "said"),
    [([], "Running"), ([{"type": "Complete", "status": "True"}], "Complete"),
     ([{"type": "Suspended", "status": "True"}], "Suspended"), ([{"type": "Failed", "status": "True"}], "Failed")],
)  # fmt: skip
def test_jobs(conditions, said):
    status = {"conditions": conditions, "succeeded": 1, "startTime": HOUR_AGO, "completionTime": "2026-01-01T11:02:03Z"}
    shown = cells(kinds.JOB, {"spec": {"completions": 2}, "status": status})
    assert (shown["Status"], shown["Completions"], shown["Duration"]) == (said, "1/2", "2m3s")


def test_nodes():
    node = {
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "old"}},
        "spec": {"unschedulable": True},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    shown = cells(kinds.NODE, node)
    assert (shown["Status"], shown["Roles"]) == ("Ready,SchedulingDisabled", "old,worker")


def test_autoscalers():
    resource = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}
    pods = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"averageValue": "5"}}}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 4, "metrics": [resource, pods, pods]}
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}]
    shown = cells(kinds.HORIZONTAL_POD_AUTOSCALER, {"spec": spec, "status": {"currentMetrics": current}})
    assert shown["Targets"] == "cpu: 12%/80%, <unknown>/5 + 1 more..."
    assert (shown["Reference"], shown["MinPods"], shown["MaxPods"]) == ("Deployment/d", "<unset>", 4)


def test_events_in_both_forms():
    old = {"involvedObject": {"kind": "Pod", "name": "p"}, "message": " m\n", "lastTimestamp": HOUR_AGO, "count": 3}
    new = {"regarding": {"kind": "Pod", "name": "p"}, "note": "m", "series": {"count": 3, "lastObservedTime": HOUR_AGO}}
    for event in (old, new):
        shown = cells(kinds.EVENT, event)
        assert (shown["Object"], shown["Message"], shown["Last Seen"], shown["Count"]) == ("pod/p", "m", "60m", 3)


def test_claims_and_volumes():
    claim = {"spec": {"volumeName": "v"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"},
             "accessModes": ["ReadWriteOnce"]}}  # fmt: skip
    shown = cells(kinds.PERSISTENT_VOLUME_CLAIM, claim)
    assert (shown["Status"], shown["Capacity"], shown["Access Modes"]) == ("Bound", "1Gi", "RWO")
    volume = {"spec": {"claimRef": {"namespace": "n", "name": "c"}, "capacity": {"storage": "1Gi"}}}
    assert cells(kinds.PERSISTENT_VOLUME, volume)["Claim"] == "n/c"


def test_bindings_and_quotas():
    subjects = [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]
    shown = cells(kinds.ROLE_BINDING, {"subjects": subjects, "roleRef": {"kind": "Role", "name": "r"}})
    assert (shown["Role"], shown["Users"], shown["ServiceAccounts"]) == ("Role/r", "u", "n/s")
    quota = {"status": {"hard": {"pods": "2", "limits.cpu": "4"}, "used": {"pods": "1"}}}
    shown = cells(kinds.RESOURCE_QUOTA, quota)
    assert (shown["Request"], shown["Limit"]) == ("pods: 1/2", "limits.cpu: 0/4")


def test_what_a_row_tells_of_kinds_that_few_look_at():
    named = {"name": "x", "creationTimestamp": HOUR_AGO}
    default = {**named, "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    assert cells(kinds.INGRESS_CLASS, {"metadata": default})["Name"] == "x (default)"
    assert cells(kinds.PERSISTENT_VOLUME_CLAIM, {"spec": {"volumeName": "v"}})["Capacity"] == "0"
    assert cells(kinds.PERSISTENT_VOLUME_CLAIM, {"spec": {}})["Capacity"] == ""
    assert cells(kinds.VOLUME_ATTACHMENT, {})["Attached"] is False
    assert cells(kinds.FLOW_SCHEMA, {"spec": {}})["MissingPL"] == "?"
    assert list(cells(kinds.SERVICE_ACCOUNT, {})) == ["Age"]
