from __future__ import annotations

from typing import Any

import pytest
from ruled import Found, faults, pod

from argosy.meta.json import thaw


def test_a_good_pod_has_no_faults() -> None:
    container = {
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
        ],
        "resources": {"requests": {"cpu": "100m", "nvidia.com/gpu": 1}, "limits": {"cpu": 1, "nvidia.com/gpu": 1}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "readinessProbe": {"httpGet": {"port": "http"}},
        "securityContext": {"runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    more = {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}],
        "initContainers": [{"name": "init", "image": "i:1"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    }
    assert faults("v1", "Pod", pod(container, **more)) == []


@pytest.mark.parametrize(
    ("container", "field", "message"),
    [
        ({"name": ""}, "name", "Required value"),
        ({"name": "A_b"}, "name", 'Invalid value: "A_b": a lowercase RFC 1123 label'),
        ({"image": ""}, "image", "Required value"),
        ({"image": " i"}, "image", 'Invalid value: " i": must not have leading or trailing whitespace'),
        ({"imagePullPolicy": "X"}, "imagePullPolicy", 'Unsupported value: "X": supported values: "Always", "IfNotPresent", "Never"'),
        ({"ports": [{"containerPort": 70000}]}, "ports[0].containerPort", "Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ({"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]}, "ports[1].name", 'Duplicate value: "a"'),
        ({"ports": [{"containerPort": 1, "protocol": "X"}]}, "ports[0].protocol", 'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'),
        ({"env": [{"name": ""}]}, "env[0].name", "Required value"),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, "env[0].valueFrom", 'Invalid value: "": may not be specified when `value` is not empty'),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]}, "env[0].valueFrom.fieldRef.fieldPath", 'Invalid value: "spec.nope": error converting fieldPath: field label not supported: spec.nope'),
        ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, "volumeMounts[0].name", 'Not found: "v"'),
        ({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}, "resources.requests", 'Invalid value: "2": must be less than or equal to cpu limit of 1'),
        ({"resources": {"limits": {"cpu": "-1"}, "requests": {"cpu": "-1"}}}, "resources.limits[cpu]", 'Invalid value: "-1": must be greater than or equal to 0'),
        ({"resources": {"limits": {"foo": 1}}}, "resources.limits[foo]", 'Invalid value: "foo": must be a standard resource type or fully qualified'),
        ({"resources": {"limits": {"nvidia.com/gpu": "500m"}}}, "resources.limits[nvidia.com/gpu]", 'Invalid value: "500m": must be an integer'),
        ({"livenessProbe": {}}, "livenessProbe", "Required value: must specify a handler type"),
        ({"livenessProbe": {"httpGet": {"port": 0}}}, "livenessProbe.httpGet.port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}, "livenessProbe.successThreshold", "Invalid value: 2: must be 1"),
        ({"lifecycle": {"preStop": {}}}, "lifecycle.preStop", "Required value: must specify a handler type"),
        ({"securityContext": {"runAsUser": -1}}, "securityContext.runAsUser", "Invalid value: -1: must be between 0 and 2147483647, inclusive"),
        ({"terminationMessagePolicy": "X"}, "terminationMessagePolicy", 'Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"'),
    ],
)  # fmt: skip
def test_containers(container: dict[str, Any], field: str, message: str) -> None:
    found = faults("v1", "Pod", pod(container))
    assert found[0][0] == f"spec.containers[0].{field}"
    assert found[0][1].startswith(message)


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"containers": []}, "spec.containers", "Required value"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy", 'Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"'),
        ({"dnsPolicy": "X"}, "spec.dnsPolicy", 'Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"'),
        ({"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]}, "spec.volumes[1].name", 'Duplicate value: "v"'),
        ({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath", "Forbidden: may not specify more than 1 volume type"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "../x"}}]}, "spec.volumes[0].hostPath.path", "Invalid value: \"../x\": must not contain '..'"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, "spec.volumes[0].persistentVolumeClaim.claimName", "Required value"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        ({"hostname": "A"}, "spec.hostname", 'Invalid value: "A": a lowercase RFC 1123 label'),
        ({"tolerations": [{"key": "a", "operator": "X"}]}, "spec.tolerations[0].operator", 'Unsupported value: "X": supported values: "Equal", "Exists"'),
        ({"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 1}]}, "spec.tolerations[0].effect", "Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set"),
        ({"ephemeralContainers": [{"name": "e", "image": "i"}]}, "spec.ephemeralContainers", "Forbidden: cannot be set on create"),
        ({"initContainers": [{"name": "c", "image": "i"}]}, "spec.initContainers[0].name", 'Duplicate value: "c"'),
        ({"nodeSelector": {"a": "b c"}}, "spec.nodeSelector", 'Invalid value: "b c": a valid label must be'),
        ({"os": {"name": "beos"}}, "spec.os", 'Unsupported value: "beos": supported values: "linux", "windows"'),
        ({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}]}}},
         "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey", "Required value: can not be empty"),
        ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
         "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", "Required value: must have at least one node selector term"),
    ],
)  # fmt: skip
def test_pods(spec: dict[str, Any], field: str, message: str) -> None:
    found = faults("v1", "Pod", pod(None, **spec))
    assert found[0][0] == field
    assert found[0][1].startswith(message)


def test_pod_updates() -> None:
    old = pod()
    assert faults("v1", "Pod", pod({"image": "i:2"}), old) == []
    assert faults("v1", "Pod", pod(None, tolerations=[{"operator": "Exists"}]), old) == []
    changed = faults("v1", "Pod", pod({"command": ["x"]}), old)
    assert changed[0][0] == "spec"
    assert changed[0][1].startswith("Forbidden: pod updates may not change fields other than")
    two = {"spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "i:1"}]}}
    message = "Forbidden: pod updates may not add or remove containers"
    assert faults("v1", "Pod", two, old) == [("spec.containers", message)]


TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
SELECTOR = {"matchLabels": {"app": "a"}}


def workload(**spec: Any) -> dict[str, Any]:
    return {"spec": {"selector": SELECTOR, "template": TEMPLATE, **spec}}


MISMATCH = ("spec.template.metadata.labels", 'Invalid value: {"app":"a"}: `selector` does not match template `labels`')


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"])
def test_workloads(kind: str) -> None:
    assert faults("apps/v1", kind, workload()) == []
    assert MISMATCH in faults("apps/v1", kind, workload(selector={"matchLabels": {"app": "b"}}))
    never = thaw(TEMPLATE)
    never["spec"]["restartPolicy"] = "Never"
    unsupported = ("spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"')
    assert faults("apps/v1", kind, workload(template=never)) == [unsupported]
    changed = faults("apps/v1", kind, workload(selector={"matchLabels": {"app": "b"}}), workload())
    assert any("immutable" in message or "are forbidden" in message for _, message in changed)


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Deployment", {"replicas": -1}, ("spec.replicas", "Invalid value: -1: must be greater than or equal to 0")),
        ("Deployment", {"selector": None}, ("spec.selector", "Required value")),
        ("Deployment", {"strategy": {"type": "X"}}, ("spec.strategy", 'Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"')),
        ("Deployment", {"strategy": {"type": "Recreate", "rollingUpdate": {}}}, ("spec.strategy.rollingUpdate", "Forbidden: may not be specified when strategy `type` is 'Recreate'")),
        ("Deployment", {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}, ("spec.strategy.rollingUpdate.maxUnavailable", "Invalid value: 0: may not be 0 when `maxSurge` is 0")),
        ("Deployment", {"minReadySeconds": 700}, ("spec.progressDeadlineSeconds", "Invalid value: 600: must be greater than minReadySeconds")),
        ("StatefulSet", {"podManagementPolicy": "X"}, ("spec.podManagementPolicy", "Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'")),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}, ("spec.updateStrategy.rollingUpdate.maxUnavailable", "Required value: cannot be 0 when maxSurge is 0")),
    ],
)  # fmt: skip
def test_workload_specs(kind: str, spec: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in faults("apps/v1", kind, workload(**spec))


def test_a_stateful_set_may_mount_its_claims() -> None:
    template = thaw(TEMPLATE)
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/d"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}},
    }
    assert faults("apps/v1", "StatefulSet", workload(template=template, volumeClaimTemplates=[claim])) == []
    assert faults("apps/v1", "StatefulSet", workload(template=template))
    old = workload(template=template, volumeClaimTemplates=[claim])
    assert faults("apps/v1", "StatefulSet", {"spec": {**old["spec"], "replicas": 3}}, old) == []


def job(**spec: Any) -> dict[str, Any]:
    template = thaw(TEMPLATE)
    template["spec"]["restartPolicy"] = "Never"
    return {"spec": {"template": template, "selector": SELECTOR, "manualSelector": True, **spec}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"parallelism": -1}, ("spec.parallelism", "Invalid value: -1: must be greater than or equal to 0")),
        ({"completionMode": "X"}, ("spec.completionMode", 'Unsupported value: "X": supported values: "NonIndexed", "Indexed"')),
        ({"completionMode": "Indexed", "completions": None, "parallelism": 1}, ("spec.completions", "Required value: when completion mode is Indexed")),
        ({"backoffLimitPerIndex": 1}, ("spec.backoffLimitPerIndex", "Invalid value: 1: requires indexed completion mode")),
        ({"template": TEMPLATE}, ("spec.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"')),
        ({"podFailurePolicy": {"rules": [{"action": "FailJob"}]}}, ("spec.podFailurePolicy.rules[0]", "Invalid value: specifying one of OnExitCodes and OnPodConditions is required")),
    ],
)  # fmt: skip
def test_jobs(spec: dict[str, Any], expected: tuple[str, str] | None) -> None:
    found = faults("batch/v1", "Job", job(**spec))
    assert found == [] if expected is None else expected in found


def test_job_updates() -> None:
    assert faults("batch/v1", "Job", job(parallelism=3, completions=1), job(completions=1)) == []
    changed = faults("batch/v1", "Job", job(completions=5), job(completions=1))
    assert changed == [("spec.completions", "Invalid value: 5: field is immutable")]


@pytest.mark.parametrize(
    ("schedule", "good"),
    [
        ("* * * * *", True), ("*/5 0-4,8 1 jan mon", True), ("@hourly", True), ("@every 1h", True), ("0 0 * * 7", False),
        ("* * * *", False), ("60 * * * *", False), ("a * * * *", False), ("@nope", False), ("5-1 * * * *", False),
    ],
)  # fmt: skip
def test_schedules(schedule: str, good: bool) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    found = faults(
        "batch/v1", "CronJob", {"spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}}}
    )
    assert [field for field, _ in found] == ([] if good else ["spec.schedule"])


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("v1/Service", {"spec": {"ports": [{"port": 80}]}}, []),
        ("v1/Service", {"spec": {}}, [("spec.ports", "Required value")]),
        ("v1/Service", {"spec": {"ports": [{"port": 80}, {"port": 81, "name": "b"}]}}, [("spec.ports[0].name", "Required value")]),
        ("v1/Service", {"spec": {"ports": [{"port": 80}], "type": "X"}}, [("spec.type", 'Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"')]),
        ("v1/Service", {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}, [("spec.ports[0].nodePort", "Forbidden: may not be used when `type` is 'ClusterIP'")]),
        ("v1/ConfigMap", {"data": {"a b": "x"}}, [("data[a b]", "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')")]),
        ("v1/Secret", {"type": "kubernetes.io/tls"}, [("data[tls.crt]", "Required value"), ("data[tls.key]", "Required value")]),
        ("v1/ResourceQuota", {"spec": {"hard": {"pods": "1.5"}}}, [("spec.hard[pods]", 'Invalid value: "1500m": must be an integer')]),
        ("v1/LimitRange", {"spec": {"limits": [{"type": "Container", "min": {"cpu": 2}, "max": {"cpu": 1}}]}}, None),
        ("v1/PersistentVolumeClaim", {"spec": {"accessModes": ["X"], "resources": {"requests": {"storage": "1Gi"}}}}, [("spec.accessModes", 'Unsupported value: "X": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"')]),
        ("v1/PersistentVolumeClaim", {"spec": {"accessModes": ["ReadWriteOnce"]}}, [("spec.resources[storage]", "Required value")]),
        ("v1/PersistentVolume", {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}, [("spec", "Required value: must specify a volume type")]),
        ("storage.k8s.io/v1/StorageClass", {}, [("provisioner", "Required value")]),
        ("storage.k8s.io/v1/CSIDriver", {"spec": {"fsGroupPolicy": "X"}}, [("spec.fsGroupPolicy", 'Unsupported value: "X": supported values: "File", "None", "ReadWriteOnceWithFSType"')]),
        ("networking.k8s.io/v1/Ingress", {"spec": {"rules": [{"host": "a.b", "http": {"paths": [{"path": "x", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}}, [("spec.rules[0].http.paths[0].path", 'Invalid value: "x": must be an absolute path')]),
        ("networking.k8s.io/v1/IngressClass", {"spec": {"controller": "foo"}}, [("spec.controller", 'Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")')]),
        ("networking.k8s.io/v1/NetworkPolicy", {"spec": {"ingress": [{"from": [{}]}]}}, [("spec.ingress[0].from[0]", "Required value: must specify a peer")]),
        ("discovery.k8s.io/v1/EndpointSlice", {"addressType": "IPv4", "endpoints": [{"addresses": ["x"]}]}, [("endpoints[0].addresses[0]", 'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')]),
        ("v1/Endpoints", {"subsets": [{}]}, [("subsets[0]", "Required value: must specify `addresses` or `notReadyAddresses`")]),
        ("policy/v1/PodDisruptionBudget", {"spec": {"minAvailable": "101%"}}, [("spec.minAvailable", 'Invalid value: "101%": must not be greater than 100%')]),
        ("autoscaling/v2/HorizontalPodAutoscaler", {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "D", "name": "x"}, "minReplicas": 5, "maxReplicas": 3}}, [("spec.maxReplicas", "Invalid value: 3: must be greater than or equal to `minReplicas`")]),
        ("rbac.authorization.k8s.io/v1/Role", {"rules": [{"verbs": ["get"]}]}, [("rules[0].apiGroups", "Required value: resource rules must supply at least one api group"), ("rules[0].resources", "Required value: resource rules must supply at least one resource")]),
        ("rbac.authorization.k8s.io/v1/RoleBinding", {"roleRef": {"kind": "X", "name": "r"}}, [("roleRef.kind", 'Unsupported value: "X": supported values: "Role", "ClusterRole"')]),
        ("node.k8s.io/v1/RuntimeClass", {"handler": "A"}, None),
        ("coordination.k8s.io/v1/Lease", {"spec": {"leaseDurationSeconds": 0}}, [("spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0")]),
        ("scheduling.k8s.io/v1/PriorityClass", {"value": 2_000_000_000}, [("value", "Forbidden: maximum allowed value of a user defined priority is 1000000000")]),
        ("admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration", {"webhooks": [{"name": "a.b", "clientConfig": {"url": "https://x"}, "sideEffects": "None", "admissionReviewVersions": ["v1"]}]}, [("webhooks[0].name", 'Invalid value: "a.b": should be a domain with at least three segments separated by dots')]),
        ("authentication.k8s.io/v1/TokenRequest", {"spec": {"audiences": [], "expirationSeconds": 5}}, [("spec.expirationSeconds", "Invalid value: 5: may not specify a duration less than 10 minutes")]),
        ("v1/Event", {"involvedObject": {}}, []),
    ],
)  # fmt: skip
def test_the_other_kinds(kind: str, fields: dict[str, Any], expected: Found | None) -> None:
    api_version, _, name = kind.rpartition("/")
    found = faults(api_version, name, fields)
    assert found if expected is None else found == expected


@pytest.mark.parametrize(
    ("kind", "old", "new", "expected"),
    [
        ("v1/ConfigMap", {"data": {"a": "b"}, "immutable": True}, {"data": {"a": "c"}}, ["immutable", "data"]),
        ("v1/Secret", {"type": "a/b"}, {"type": "c/d"}, ["type"]),
        ("storage.k8s.io/v1/StorageClass", {"provisioner": "a/b"}, {"provisioner": "c/d"}, ["provisioner"]),
        ("rbac.authorization.k8s.io/v1/RoleBinding", {"roleRef": {"kind": "Role", "name": "a"}}, {"roleRef": {"kind": "Role", "name": "b"}}, ["roleRef"]),
        ("node.k8s.io/v1/RuntimeClass", {"handler": "a"}, {"handler": "b"}, ["handler"]),
        ("v1/Service", {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 1}]}}, {"spec": {"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"], "ports": [{"port": 1}]}}, ["spec.clusterIPs[0]"]),
    ],
)  # fmt: skip
def test_what_may_not_change(kind: str, old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    api_version, _, name = kind.rpartition("/")
    assert [field for field, _ in faults(api_version, name, new, old)] == expected


def crd(schema: dict[str, Any], **spec: Any) -> dict[str, Any]:
    names = {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "listKind": "GizmoList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "gizmos.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version], **spec},
    }


ROOT = "spec.validation.openAPIV3Schema"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, []),
        ({"type": "string"}, [(f"{ROOT}.type", 'Invalid value: "string": must be object at the root')]),
        ({"type": "object", "properties": {"a": {}}}, [(f"{ROOT}.properties[a].type", "Required value: must not be empty for specified object fields")]),
        ({"type": "object", "properties": {"a": {"type": "string", "anyOf": [{"type": "string"}]}}}, [(f"{ROOT}.properties[a].anyOf[0].type", "Forbidden: must be empty to be structural")]),
        ({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}, [(f"{ROOT}.properties[a].x-kubernetes-list-map-keys", "Required value: must not be empty if x-kubernetes-list-type is map")]),
        ({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}, [(f"{ROOT}.properties[a].default", 'Invalid value: "string":  in body must be of type integer: "string"')]),
        ({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}, [(f"{ROOT}.properties[metadata]", "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified")]),
        ({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}}}, []),
    ],
)  # fmt: skip
def test_schemas_must_be_structural(schema: dict[str, Any], expected: Found) -> None:
    assert faults("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd(schema)) == expected


def test_definitions_beyond_their_schema() -> None:
    kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    wrong = faults(*kind, {**crd({"type": "object"}), "metadata": {"name": "x"}})
    assert wrong == [("metadata.name", 'Invalid value: "x": must be spec.names.plural+"."+spec.group')]
    assert faults(*kind, crd({"type": "object"}, scope="X"))[0][0] == "spec.scope"
    assert faults(*kind, crd({"type": "object"}, group="k8s.io"))[0][0] == "metadata.name"
    changed = faults(*kind, crd({"type": "object"}, scope="Cluster"), crd({"type": "object"}))
    assert changed == [("spec.scope", 'Invalid value: "Cluster": field is immutable')]


def test_taints_of_nodes() -> None:
    good = [{"key": "a.example/b", "effect": "NoSchedule"}, {"key": "a.example/b", "effect": "NoExecute"}]
    assert faults("v1", "Node", {"spec": {"taints": good}}) == []
    bad = [
        {"key": "a", "effect": ""},
        {"key": "a", "effect": "Never"},
        {"key": "b", "value": "?", "effect": "NoExecute"},
    ]
    fields = [field for field, _ in faults("v1", "Node", {"spec": {"taints": [*bad, good[0], good[0]]}})]
    assert fields == [
        "metadata.taints[0].effect",
        "metadata.taints[1].effect",
        "metadata.taints[2].value",
        "metadata.taints[4]",
    ]
