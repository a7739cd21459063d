"""What is let in: quotas, limits, pod security, policies in CEL, priorities, accounts."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.client.requests import MERGE_PATCH
from conformance.wire import Wire, config_map

ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


def pod(name, container=None, **spec):
    containers = [{"name": "c", "image": "i:1", **(container or {})}]
    body = {"containers": containers, "schedulerName": "nobody", **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


@pytest.mark.needs("controllers")
async def test_a_quota_bounds_what_a_namespace_holds(namespace, wire):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q"},
        "spec": {"hard": {"pods": "1", "requests.cpu": "1"}},
    }
    await wire.send("POST", wire.path("resourcequotas"), quota)
    await namespace.until(kinds.RESOURCE_QUOTA, "q", lambda each: (each.get("status") or {}).get("used"))
    bare = await wire.send("POST", wire.path("pods"), pod("bare"))
    assert (bare.code, "failed quota: q: must specify requests.cpu" in bare.message) == (403, True)
    cpu = {"resources": {"requests": {"cpu": "600m"}}}
    assert (await wire.send("POST", wire.path("pods"), pod("a", cpu))).code == 201
    over = await wire.send("POST", wire.path("pods"), pod("b", cpu))
    assert over.code == 403
    assert "exceeded quota: q, requested: pods=1,requests.cpu=600m, used: pods=1,requests.cpu=600m" in over.message


@pytest.mark.needs("controllers")
async def test_a_limit_range_fills_in_and_refuses(wire):
    limit = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}
    await wire.send(
        "POST",
        wire.path("limitranges"),
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [limit]}},
    )
    made = await wire.send("POST", wire.path("pods"), pod("a"))
    assert made.body["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
    big = await wire.send("POST", wire.path("pods"), pod("b", {"resources": {"limits": {"cpu": "2"}}}))
    assert (big.code, "maximum cpu usage per Container is 1, but limit is 2" in big.message) == (403, True)


@pytest.mark.needs("controllers")
async def test_pod_security_enforces_and_warns(wire):
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"}
    await wire.send(
        "PATCH", f"/api/v1/namespaces/{wire.namespace.name}", {"metadata": {"labels": labels}}, type=MERGE_PATCH
    )
    refused = await wire.send("POST", wire.path("pods"), pod("a", {"securityContext": {"privileged": True}}))
    assert (refused.code, 'violates PodSecurity "baseline:latest": privileged' in refused.message) == (403, True)
    warned = await wire.send("POST", wire.path("pods"), pod("b"))
    assert (warned.code, "would violate PodSecurity" in " ".join(warned.warnings)) == (201, True)


@pytest.mark.needs("controllers")
async def test_pods_get_their_account_and_their_priority(namespace, wire):
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": wire.namespace.name},
        "value": 77,
    }
    await namespace.create(kinds.PRIORITY_CLASS, priority)
    made = (await wire.send("POST", wire.path("pods"), pod("a", priorityClassName=wire.namespace.name))).body
    assert (made["spec"]["priority"], made["spec"]["serviceAccountName"]) == (77, "default")
    assert any("projected" in volume for volume in made["spec"]["volumes"])
    assert made["status"]["qosClass"] == "BestEffort"
    missing = await wire.send("POST", wire.path("pods"), pod("b", priorityClassName="no-such-class"))
    assert (missing.code, "no PriorityClass with name no-such-class was found" in missing.message) == (403, True)
    nobody = await wire.send("POST", wire.path("pods"), pod("c", serviceAccountName="nobody"))
    assert (nobody.code, 'serviceaccount "nobody" not found' in nobody.message) == (403, True)


async def test_a_policy_is_held_against_what_it_binds(namespace, wire):
    name = wire.namespace.name
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "variables": [{"name": "size", "expression": "has(object.data) ? size(object.data) : 0"}],
        "validations": [
            {"expression": "variables.size <= 1", "messageExpression": "'too many: ' + string(variables.size)"},
            {"expression": "oldObject == null || object.data == oldObject.data", "message": "data stays", "reason": "Invalid"},
        ],
    }  # fmt: skip
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    await namespace.create(kinds.VALIDATING_ADMISSION_POLICY, policy)
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": bound,
    }
    await namespace.create(kinds.VALIDATING_ADMISSION_POLICY_BINDING, body)
    two = config_map("two", {"a": "1", "b": "2"})
    refused = await wire.send("POST", wire.path("configmaps") + "?dryRun=All", two)
    for _ in range(100):  # a policy may take a moment until every server knows it
        if refused.code != 201:
            break
        await wire.watch(wire.path("configmaps"), seconds=1)
        refused = await wire.send("POST", wire.path("configmaps") + "?dryRun=All", two)
    assert (refused.code, "too many: 2" in refused.message) == (422, True)
    await wire.send("POST", wire.path("configmaps"), config_map("one"))
    kept = await wire.send("PUT", wire.path("configmaps", "one"), config_map("one", {"a": "2"}))
    assert (kept.code, "data stays" in kept.message) == (422, True)
