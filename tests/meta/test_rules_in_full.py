"""What a real kube-apiserver 1.36.2 says about specs that are wrong in one place: fields and words."""

from __future__ import annotations

from typing import Any

import pytest
from ruled import Found, faults, pod, settled

from argosy.meta import warnings
from argosy.meta.kind import Kind

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
SERVICE = {"ports": [{"port": 80}], "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"]}
STAYS = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
LABEL_KEY = "a valid label key must consist of alphanumeric characters"


def service(**spec: Any) -> dict[str, Any]:
    return {"spec": {**SERVICE, **spec}}


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        (service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 86401}}), "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "must be greater than 0 and less than 86400"),
        (service(externalIPs=["127.0.0.1"]), "spec.externalIPs[0]", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (service(externalIPs=["010.0.0.1"]), "spec.externalIPs[0]", "must not have leading 0s"),
        (service(ipFamilies=["IPv4", "IPv4"]), "spec.ipFamilies[1]", 'Duplicate value: "IPv4"'),
        (service(clusterIP="1.2.3.4"), "spec.clusterIPs", "first value must match `clusterIP`"),
        (service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.1/8"]), "spec.LoadBalancerSourceRanges[0]", "must not have bits set beyond the prefix length"),
        (service(loadBalancerClass="a/b"), "spec.loadBalancerClass", "Forbidden: may only be used when `type` is 'LoadBalancer'"),
        (service(externalTrafficPolicy="Local"), "spec.externalTrafficPolicy", "may only be set for externally-accessible services"),
        (service(healthCheckNodePort=30000), "spec.healthCheckNodePort", "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"),
        (service(trafficDistribution="Far"), "spec.trafficDistribution", 'supported values: "PreferClose", "PreferSameZone", "PreferSameNode"'),
        (service(type="NodePort", ports=[{"name": "a", "port": 1, "nodePort": 30001}, {"name": "b", "port": 2, "nodePort": 30001}]), "spec.ports[1].nodePort", "Duplicate value: 30001"),
    ],
)  # fmt: skip
def test_services(fields: dict[str, Any], path: str, words: str) -> None:
    assert any(path == field and words in message for field, message in faults("v1", "Service", fields))


def test_a_service_keeps_its_address_and_its_class() -> None:
    def balanced(**spec: Any) -> dict[str, Any]:
        return service(type="LoadBalancer", allocateLoadBalancerNodePorts=False, **spec)

    found = faults("v1", "Service", balanced(loadBalancerClass="a/c"), balanced(loadBalancerClass="a/b"))
    assert found == [("spec.loadBalancerClass", 'Invalid value: "a/c": may not change once set')]
    other = service(clusterIP="10.96.0.8", clusterIPs=["10.96.0.8"])
    assert faults("v1", "Service", other, service())[0][0] == "spec.clusterIPs[0]"


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"defaultBackend": {}}, "spec.defaultBackend", "resource or service backend is required"),
        ({"rules": [{"http": {"paths": [{"path": "/a/..", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 1}}}}]}}]}, "spec.rules[0].http.paths[0].path", "cannot end with '/..'"),
        ({"rules": [{"host": "*a.b"}]}, "spec.rules[0].host", "a wildcard DNS-1123 subdomain must start with '*.'"),
        ({"rules": [{"host": "1.2.3.4"}]}, "spec.rules[0].host", "must be a DNS name, not an IP address"),
        ({"rules": [{}], "tls": [{"secretName": "A"}]}, "spec.tls[0].secretName", "a lowercase RFC 1123 subdomain"),
    ],
)  # fmt: skip
def test_ingresses(fields: dict[str, Any], path: str, words: str) -> None:
    found = faults("networking.k8s.io/v1", "Ingress", {"spec": fields})
    assert any(path == field and words in message for field, message in found)


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({"ports": [{"endPort": 5}]}, "spec.ingress[0].ports[0].endPort", "may not be specified when `port` is not specified"),
        ({"ports": [{"port": "web", "endPort": 5}]}, "spec.ingress[0].ports[0].endPort", "may not be specified when `port` is non-numeric"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}, "spec.ingress[0].from[0].ipBlock.except[0]", "must be a strict subset of `cidr`"),
    ],
)  # fmt: skip
def test_network_policies(rule: dict[str, Any], path: str, words: str) -> None:
    found = faults("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}, "ingress": [rule]}})
    assert any(path == field and words in message for field, message in found)


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        (pod(hostAliases=[{"hostnames": ["a"]}]), "spec.hostAliases[0].ip", 'Invalid value: "": must be a valid IP address'),
        (pod(dnsConfig={"nameservers": ["x"], "searches": ["_a.b", "A"]}), "spec.dnsConfig.searches[1]", "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.'"),
        (pod(schedulingGates=[{"name": "a"}, {"name": "a"}]), "spec.schedulingGates[1]", 'Duplicate value: "a"'),
        (pod(schedulingGates=[{"name": "a/b/c"}]), "spec.schedulingGates[0]", LABEL_KEY),
        (pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "z"}]), "spec.topologySpreadConstraints[0].whenUnsatisfiable", 'Unsupported value: ""'),
        (pod(securityContext={"seccompProfile": {"type": "Unconfined", "localhostProfile": "p"}}), "spec.securityContext.seccompProfile.localhostProfile", 'Invalid value: {"Type":"Unconfined","LocalhostProfile":"p"}'),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "x", "operator": "In", "values": ["a"]}]}]}}}), "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key", "not a valid field selector key"),
        (pod({"envFrom": [{}]}), "spec.containers[0].envFrom", "must specify one of: `configMapRef` or `secretRef`"),
        (pod({"image": " i"}), "spec.containers[0].image", "must not have leading or trailing whitespace"),
        (pod({"resizePolicy": [{"resourceName": "gpu", "restartPolicy": "NotRequired"}]}), "spec.containers[0].resizePolicy", 'supported values: "cpu", "memory"'),
        (pod({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}), "spec.containers[0].lifecycle.preStop.sleep", "must be non-negative and less than terminationGracePeriodSeconds (30)"),
        (pod({"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]}), "spec.containers[0].restartPolicy", "must specify restartPolicy when restart rules are used"),
        (pod({"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Bidirectional"}]}, volumes=[{"name": "v", "emptyDir": {}}]), "spec.containers[0].volumeMounts.mountPropagation", "available only to privileged containers"),
        (pod({"volumeDevices": [{"name": "v", "devicePath": "/d"}]}, volumes=[{"name": "v", "emptyDir": {}}]), "spec.containers[0].volumeDevices[0].name", "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"),
        (pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=[{"name": "v", "hostPath": {}}]), "spec.containers[0].volumeMounts[0].name", 'Not found: "v"'),
        (pod({"resources": {"limits": {"hugepages-2Mi": "2Mi"}}}), "spec.containers[0].resources", "HugePages require cpu or memory"),
        (pod(hostUsers=False, hostPID=True), "spec.HostPID", "when `hostUsers` is false"),
        (pod(volumes=[{"name": "p", "projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "a", "path": "x"}]}}, {"configMap": {"name": "c", "items": [{"key": "a", "path": "x"}]}}]}}]), "spec.volumes[0].projected", "conflicting duplicate paths"),
        (pod(volumes=[{"name": "c", "csi": {"driver": "A B"}}]), "spec.volumes[0].csi.driver", 'Invalid value: "A B"'),
    ],
)  # fmt: skip
def test_pods(fields: dict[str, Any], path: str, words: str) -> None:
    assert any(path == field and words in message for field, message in faults("v1", "Pod", fields))


def indexed(**spec: Any) -> dict[str, Any]:
    template = {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}, "metadata": TEMPLATE["metadata"]}
    return {"spec": {"template": template, "selector": SELECTED["selector"], "manualSelector": True, "completions": 4,
                     "parallelism": 2, "completionMode": "Indexed", **spec}}  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        ({"backoffLimitPerIndex": 1, "maxFailedIndexes": 5}, "spec.maxFailedIndexes", "must be less than or equal to completions"),
        ({"managedBy": "x"}, "spec.managedBy", "must be a domain-prefixed path"),
        ({"successPolicy": {"rules": [{"succeededIndexes": "0,2-9"}]}}, "spec.successPolicy.rules[0].succeededIndexes", 'error parsing succeededIndexes: too large index: "9"'),
        ({"successPolicy": {"rules": [{"succeededIndexes": "1-2", "succeededCount": 3}]}}, "spec.successPolicy.rules[0].succeededCount", "must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"),
        ({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 1]}}]}}, "spec.podFailurePolicy.rules[0].onExitCodes.values", "must be ordered"),
        ({"podFailurePolicy": {"rules": [{"onPodConditions": [{"type": "A", "status": "True"}]}]}}, "spec.podFailurePolicy.rules[0].action", 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'),
    ],
)  # fmt: skip
def test_jobs(spec: dict[str, Any], path: str, words: str) -> None:
    found = faults("batch/v1", "Job", indexed(**spec))
    assert any(path == field and words in message for field, message in found)


def test_a_suspended_job_may_be_placed_elsewhere_and_given_more() -> None:
    before = indexed(suspend=True)
    after = indexed(suspend=True)
    container = {**TEMPLATE["spec"]["containers"][0], "resources": {"limits": {"cpu": "2"}}}
    after["spec"]["template"]["spec"] |= {"nodeSelector": {"a": "b"}, "containers": [container]}
    assert faults("batch/v1", "Job", after, before) == []
    assert faults("batch/v1", "Job", {"spec": {**after["spec"], "suspend": True}}, indexed(suspend=False))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"schedule": "x"}, "expected exactly 5 fields, found 1: [x]"),
        ({"schedule": "TZ=UTC 1 * * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ({"schedule": "@daily", "timeZone": "Mars/Base"}, "unknown time zone Mars/Base"),
        ({"schedule": "@daily", "timeZone": "Local"}, "timeZone must be an explicit time zone"),
    ],
)
def test_cron_jobs(spec: dict[str, Any], words: str) -> None:
    template = {"spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}}
    found = faults("batch/v1", "CronJob", {"spec": {"jobTemplate": template, **spec}})
    assert any(words in message for _, message in found)


def test_claims_and_volumes() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"apiGroup": "", "kind": "Secret", "name": "s"}
    found = faults("v1", "PersistentVolumeClaim", {"spec": {**spec, "dataSource": source}})
    assert found == [
        (
            "spec.dataSource",
            "Invalid value: \"Secret\": must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        )
    ]
    smaller = {**spec, "resources": {"requests": {"storage": "0.5Gi"}}}
    differs = '@@ -6,7 +6,7 @@\n  "Resources": {\n   "Limits": null,\n   "Requests": {\n-   "storage": "1Gi"\n+   "storage": "512Mi"\n   }\n  },\n  "VolumeName": "",\n'
    assert ("spec", f"Forbidden: {STAYS}\n{differs}") in faults(
        "v1", "PersistentVolumeClaim", {"spec": smaller}, {"spec": spec}
    )
    volume = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "local": {"path": "/a/../b"}}
    assert {field for field, _ in faults("v1", "PersistentVolume", {"spec": volume})} == {
        "spec.local.path", "spec.nodeAffinity",
    }  # fmt: skip


def said(api_version: str, kind: str, fields: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    group, _, version = api_version.rpartition("/")
    before = settled(api_version, kind, old) if old is not None else None
    return warnings.warnings(Kind(group, version, kind, ""), settled(api_version, kind, fields), before)


def test_what_is_most_likely_not_meant_is_said() -> None:
    port = {"containerPort": 80}
    assert said("v1", "Pod", pod({"ports": [port, port]})) == [
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"
    ]
    assert said("v1", "Pod", pod(nodeSelector={"beta.kubernetes.io/os": "linux"})) == [
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    ]
    items = [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]
    volumes = [{"name": "v", "configMap": {"name": "c", "items": items}}]
    assert said("v1", "Pod", pod(volumes=volumes)) == ['volume "v" (ConfigMap "c"): overlapping paths: "x/y" with "x"']
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]
    assert said("v1", "Pod", pod({"env": twice})) == []
    assert said("v1", "Service", service(externalIPs=["1.2.3.4"])) == [
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    ]
    assert said("v1", "Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": "YQ==", "tls.key": "YQ=="}}) == [
        "tls: failed to find any PEM data in certificate input"
    ]
    fields = {"spec": {**SELECTED, "replicas": 2}}
    odd = {"spec": {**fields["spec"], "template": {**TEMPLATE, "spec": {**TEMPLATE["spec"], "imagePullSecrets": [{}]}}}}
    assert said("apps/v1", "Deployment", odd, fields) == [
        'spec.template.spec.imagePullSecrets[0].name: invalid empty name ""'
    ]
    assert said("apps/v1", "Deployment", odd, odd) == []


RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def webhook(**fields: object) -> dict[str, Any]:
    service = {"service": {"name": "s", "namespace": "n"}}
    hook = {"name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": service}
    return {"webhooks": [{**hook, "rules": [RULE], **fields}]}


def test_webhooks_say_what_they_are_asked_about_and_where() -> None:
    def wrong(**fields: object) -> Found:
        return faults("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhook(**fields))

    assert wrong() == []
    assert wrong(rules=[{**RULE, "operations": ["*", "CREATE"], "resources": ["pods/*", "pods/status"]}]) == [
        (
            "webhooks[0].rules[0].operations",
            'Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
        ),
        (
            "webhooks[0].rules[0].resources[1]",
            "Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status",
        ),
    ]
    assert wrong(admissionReviewVersions=["v2"]) == [
        ("webhooks[0].admissionReviewVersions", 'Invalid value: ["v2"]: must include at least one of v1, v1beta1')
    ]
    assert wrong(clientConfig={"url": "http://a?b"}) == [
        (
            "webhooks[0].clientConfig.url",
            "Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        ),
        ("webhooks[0].clientConfig.url", 'Invalid value: "b": query parameters are not permitted in the URL'),
    ]
    condition = {"name": "c", "expression": "true"}
    assert wrong(matchConditions=[condition, condition]) == [
        ("webhooks[0].matchConditions[1].name", 'Duplicate value: "c"')
    ]


def test_policies_and_bindings_name_what_they_apply_to() -> None:
    group = "admissionregistration.k8s.io/v1"
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]}
    assert faults(group, "ValidatingAdmissionPolicy", {"spec": spec}) == []
    assert faults(group, "ValidatingAdmissionPolicy", {"spec": {**spec, "paramKind": {"apiVersion": "a/b/c"}}}) == [
        ("spec.paramKind.apiVersion", 'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'),
        ("spec.paramKind.kind", "Required value"),
    ]
    bound = {"policyName": "p", "validationActions": ["Deny"], "paramRef": {}}
    assert faults(group, "ValidatingAdmissionPolicyBinding", {"spec": bound}) == [
        ("spec.paramRef", "Required value: one of name or selector must be specified"),
        ("spec.paramRef.parameterNotFoundAction", "Required value"),
    ]
