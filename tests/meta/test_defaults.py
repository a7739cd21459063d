from __future__ import annotations

from typing import Any

import pytest

from argosy.meta import pack
from argosy.meta.decode import decode
from argosy.meta.defaults import set_defaults
from argosy.meta.defaults.pods import pull_policy


def made(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
    schema = pack.definition_for(api_version, kind)
    assert schema is not None
    obj = decode({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}, schema).obj
    set_defaults(api_version, kind, obj)
    return obj


CONTAINER = {"name": "c", "image": "i:1"}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [CONTAINER]}}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"), ("busybox:latest", "Always"), ("busybox:1", "IfNotPresent"), ("r.io:5000/a/b", "Always"),
        ("r.io:5000/a/b:v1", "IfNotPresent"), ("b@sha256:" + "a" * 64, "IfNotPresent"), ("", "IfNotPresent"),
        ("Busy Box", "IfNotPresent"), ("{{image}}", "IfNotPresent"), ("localhost/x", "Always"),
    ],
)  # fmt: skip
def test_pull_policy(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_pod() -> None:
    spec = made("v1", "Pod", spec={"containers": [{"name": "c", "image": "i"}], "serviceAccount": "sa"})["spec"]
    assert spec == {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": "sa",
        "serviceAccountName": "sa",
        "terminationGracePeriodSeconds": 30,
    }


def test_requests_follow_limits_and_amounts_are_whole_thousandths() -> None:
    resources = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100u"}}
    spec = made("v1", "Pod", spec={"containers": [{**CONTAINER, "resources": resources}]})["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1m", "memory": "1Gi"}


def test_probes_ports_env_and_volumes() -> None:
    container = {
        **CONTAINER,
        "ports": [{"containerPort": 80}],
        "livenessProbe": {"httpGet": {"port": 80}},
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    volumes = [{"name": "e"}, {"name": "s", "secret": {"secretName": "x"}}, {"name": "h", "hostPath": {"path": "/x"}}]
    spec = made("v1", "Pod", spec={"containers": [container], "volumes": volumes, "hostNetwork": True})["spec"]
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]
    assert spec["containers"][0]["livenessProbe"] == {
        "failureThreshold": 3,
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }
    assert spec["containers"][0]["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert spec["volumes"] == [
        {"name": "e", "emptyDir": {}},
        {"name": "s", "secret": {"secretName": "x", "defaultMode": 420}},
        {"name": "h", "hostPath": {"path": "/x", "type": ""}},
    ]


def test_deployment() -> None:
    spec = made("apps/v1", "Deployment", spec={"template": TEMPLATE, "selector": {"matchLabels": {"app": "a"}}})["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert "enableServiceLinks" not in spec["template"]["spec"]
    recreate = made("apps/v1", "Deployment", spec={"template": TEMPLATE, "strategy": {"type": "Recreate"}})["spec"]
    assert recreate["strategy"] == {"type": "Recreate"}


def test_stateful_set() -> None:
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    spec = made("apps/v1", "StatefulSet", spec={"template": TEMPLATE, "volumeClaimTemplates": [claim]})["spec"]
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
    assert spec["volumeClaimTemplates"][0]["status"] == {"phase": "Pending"}
    said = made("apps/v1", "StatefulSet", spec={"template": TEMPLATE, "updateStrategy": {"type": "RollingUpdate"}})
    assert said["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


def test_job_and_cron_job() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}
    spec = made("batch/v1", "Job", spec={"template": template})["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (1, 1, 6)
    assert spec["podReplacementPolicy"] == "TerminatingOrFailed"
    queue = made("batch/v1", "Job", spec={"template": template, "parallelism": 3})["spec"]
    assert "completions" not in queue
    cron = made("batch/v1", "CronJob", spec={"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}})
    assert cron["spec"]["concurrencyPolicy"] == "Allow"
    assert "backoffLimit" not in cron["spec"]["jobTemplate"]["spec"]


def test_service() -> None:
    spec = made("v1", "Service", spec={"ports": [{"port": 80}]})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    balanced = made("v1", "Service", spec={"ports": [{"port": 80}], "type": "LoadBalancer"})["spec"]
    assert balanced["externalTrafficPolicy"] == "Cluster"
    assert balanced["allocateLoadBalancerNodePorts"] is True


def test_the_rest() -> None:
    secret = made("v1", "Secret", stringData={"a": "b"})
    assert (secret["data"], secret["type"], "stringData" in secret) == ({"a": "Yg=="}, "Opaque", False)
    limits = made("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]})
    assert limits["spec"]["limits"][0]["defaultRequest"] == {"memory": "1Gi"}
    policy = made("networking.k8s.io/v1", "NetworkPolicy", spec={"egress": [{"ports": [{"port": 80}]}]})
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    scaler = made("autoscaling/v2", "HorizontalPodAutoscaler", spec={"maxReplicas": 3})
    assert scaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    ref = {"kind": "Role", "name": "r"}
    binding = made("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=ref, subjects=[{"kind": "User", "name": "u"}])
    assert binding["subjects"][0]["apiGroup"] == binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    names = {"plural": "gizmos", "kind": "Gizmo"}
    versions = [{"name": "v1", "served": True, "storage": True}]
    crd = made(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        spec={"group": "g.io", "scope": "Cluster", "names": names, "versions": versions},
    )
    assert crd["spec"]["names"]["listKind"] == "GizmoList"
    assert crd["status"]["storedVersions"] == ["v1"]


NOT_STORED = ("List", "Options", "Event", "Review", "Status", "ReplicationController", "WatchEvent")
STORED = sorted((version, kind) for version, kind in pack.kinds() if not kind.endswith(NOT_STORED))


@pytest.mark.parametrize(("api_version", "kind"), STORED)
def test_defaulting_any_empty_object_works_and_is_stable(api_version: str, kind: str) -> None:
    schema = pack.definition_for(api_version, kind)
    assert schema is not None
    once = made(api_version, kind)
    again = decode(once, schema).obj
    set_defaults(api_version, kind, again)
    assert again == once
