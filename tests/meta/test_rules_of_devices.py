"""What a real kube-apiserver 1.36.2 says about claims on devices, slices and flow control that are wrong in one place."""

from __future__ import annotations

from typing import Any

import pytest
from ruled import faults

RESOURCE, FLOW = "resource.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1"


def request(**exactly: Any) -> dict[str, Any]:
    return {"name": "r", "exactly": {"deviceClassName": "gpu", **exactly}}


def claim(*requests: dict[str, Any], **devices: Any) -> dict[str, Any]:
    return {"spec": {"devices": {"requests": list(requests) or [request()], **devices}}}


def chosen(expression: str) -> dict[str, Any]:
    return claim(request(selectors=[{"cel": {"expression": expression}}]))


def offer(device: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    return {"spec": {"driver": "d.example.com", "nodeName": "n", "pool": pool, "devices": [{"name": "g", **(device or {})}], **spec}}  # fmt: skip


def sliced(value: str, **policy: Any) -> dict[str, Any]:
    return offer({"allowMultipleAllocations": True, "capacity": {"mem": {"value": value, "requestPolicy": policy}}})


EXPRESSION = "spec.devices.requests[0].exactly.selectors[0].cel.expression"
POLICY = "spec.devices[0].capacity[mem].requestPolicy"


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        (claim(request(count=-1)), "spec.devices.requests[0].exactly.count", "must be greater than zero"),
        (claim(request(allocationMode="All", count=2)), "spec.devices.requests[0].exactly.count", "must not be specified when allocationMode is 'All'"),
        (claim({"name": "r"}), "spec.devices.requests[0]", "exactly one of `exactly` or `firstAvailable` is required"),
        (claim(request(), request()), "spec.devices.requests[1]", 'Duplicate value: "r"'),
        (claim(constraints=[{"requests": ["q"], "matchAttribute": "a.b/c"}]), "spec.devices.constraints[0].requests[0]", "must be the name of a request in the claim"),
        (claim(constraints=[{"matchAttribute": "c"}]), "spec.devices.constraints[0].matchAttribute", "must be a domain and a name separated by a slash"),
        (claim(config=[{"opaque": {"driver": "d", "parameters": 5}}]), "spec.devices.config[0].opaque.parameters", 'Invalid value: "<value omitted>": must be a valid JSON object'),
        (claim(request(tolerations=[{"operator": "Exists", "value": "x"}])), "spec.devices.requests[0].exactly.tolerations[0].value", "must be empty for operator `Exists`"),
        (claim(*({**request(), "name": f"r{n}"} for n in range(33))), "spec.devices.requests", "Too many: 33: must have at most 32 items"),
        (chosen(""), EXPRESSION, "ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>'"),
        (chosen("device.size"), EXPRESSION, "undefined field 'size'"),
        (chosen("1 + 1"), EXPRESSION, "must evaluate to bool or the unknown type, not int"),
        (chosen("device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, device.attributes.all(d, true))))"), EXPRESSION, "too complex, exceeds cost limit"),
    ],
)  # fmt: skip
def test_claims(fields: dict[str, Any], path: str, words: str) -> None:
    assert any(path == field and words in message for field, message in faults(RESOURCE, "ResourceClaim", fields))


@pytest.mark.parametrize(
    "expression",
    [
        "device.driver == 'x' && device.attributes['a.b'].model.startsWith('a')",
        "device.capacity['a.b'].memory.compareTo(quantity('10Gi')) >= 0",
        "cel.bind(d, device.attributes['a.b'], d.healthy && d.version.isGreaterThan(semver('1.2.3')))",
        "device.attributes['a.b'].healthy",
    ],
)
def test_selectors_that_make_sense(expression: str) -> None:
    assert faults(RESOURCE, "ResourceClaim", chosen(expression)) == []


def test_a_claim_stays_as_it_is_and_is_shown_in_kubernetes_own_form() -> None:
    ((field, message),) = faults(RESOURCE, "ResourceClaim", {"spec": {}}, claim())
    assert (field, message) == (
        "spec", 'Invalid value: {"Devices":{"Requests":null,"Constraints":null,"Config":null}}: field is immutable',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        (offer(allNodes=True), "spec", 'Invalid value: "{`nodeName`, `allNodes`}": exactly one of'),
        (offer(nodeName=None), "spec", "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"),
        (offer(sharedCounters=[{"name": "s", "counters": {"a": {"value": "1"}}}]), "spec", "only one of `sharedCounters` or `devices` is allowed"),
        (offer({"nodeName": "n"}), "spec.devices[0]", "can only be set if `perDeviceNodeSelection` is set to true"),
        (offer({"attributes": {"a": {"version": "1.2"}}}), "spec.devices[0].attributes[a].version", "semver.org spec 2.0.0"),
        (offer({"attributes": {"a": {"int": 1, "bool": True}}}), "spec.devices[0].attributes[a]", '{"IntValue":1,"BoolValue":true,"StringValue":null,'),
        (offer({"attributes": {"-x": {"int": 1}}}), "spec.devices[0].attributes", "a valid C identifier"),
        (offer({"taints": [{"key": "a", "effect": "Far"}]}), "spec.devices[0].taints[0].effect", 'supported values: "NoExecute", "NoSchedule", "None"'),
        (offer({"bindingConditions": ["a"], "bindingFailureConditions": ["a"]}), "spec.devices[0].bindingFailureConditions[0]", "must not overlap with bindingConditions"),
        (offer({"capacity": {"mem": {"value": "1", "requestPolicy": {}}}}), POLICY, "allowMultipleAllocations must be true"),
        (sliced("8", default="3", validValues=["1", "2"]), f"{POLICY}.validValues", "default value is not valid"),
        (sliced("8", default="3", validValues=["3", "1"]), f"{POLICY}.validValues[1]", "sorted in ascending order"),
        (sliced("8", default="4", validRange={"min": "1", "step": "2"}), f"{POLICY}.validRange.step", "value is not a multiple of a given step (2) from (1)"),
        (sliced("8", default="9", validRange={"min": "1", "max": "9"}), f"{POLICY}.validRange.max", "max is larger than capacity value: 8"),
        (sliced("8", default="1", validRange={"min": "1", "step": "0"}), f"{POLICY}.validRange.step", "not a multiple"),
        (offer({"capacity": {"x" * 100: {"value": "1", "requestPolicy": {}}}}), f"spec.devices[0].capacity[{'x' * 47}...{'x' * 46}].requestPolicy", "must be true"),
    ],
)  # fmt: skip
def test_slices(fields: dict[str, Any], path: str, words: str) -> None:
    assert any(path == field and words in message for field, message in faults(RESOURCE, "ResourceSlice", fields))


def level(kind: str = "Limited", **limited: Any) -> dict[str, Any]:
    return {"spec": {"type": kind, "limited": {"limitResponse": {"type": "Reject"}, **limited}}}


def queued(**queuing: int) -> dict[str, Any]:
    return level(limitResponse={"type": "Queue", "queuing": queuing})


def sorted_out(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"priorityLevelConfiguration": {"name": "p"}, "rules": list(rules), **spec}}


EVERYONE = [{"kind": "User", "user": {"name": "*"}}]


@pytest.mark.parametrize(
    ("kind", "fields", "path", "words"),
    [
        ("PriorityLevelConfiguration", level("Exempt"), "spec.type", "must be 'Exempt' if and only if `name` is 'exempt'"),
        ("PriorityLevelConfiguration", level(lendablePercent=101), "spec.limited.lendablePercent", "must be between 0 and 100, inclusive"),
        ("PriorityLevelConfiguration", queued(queues=4, handSize=5), "spec.limited.limitResponse.queuing.handSize", "should not be greater than queues (4)"),
        ("PriorityLevelConfiguration", queued(queues=70000, handSize=4), "spec.limited.limitResponse.queuing.handSize", "required entropy bits of deckSize 70000 and handSize 4 should not be greater than 60"),
        ("FlowSchema", sorted_out(matchingPrecedence=1), "spec.matchingPrecedence", "only the schema named 'exempt' may have matchingPrecedence 1"),
        ("FlowSchema", sorted_out({"subjects": EVERYONE}), "spec.rules[0]", "at least one of resourceRules and nonResourceRules"),
        ("FlowSchema", sorted_out({"subjects": EVERYONE, "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/a*"]}]}), "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]", "wildcard can only do suffix matching"),
        ("FlowSchema", sorted_out({"subjects": EVERYONE, "resourceRules": [{"verbs": ["*", "get"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True}]}), "spec.rules[0].resourceRules[0].verbs", "if '*' is present, must not specify other verbs"),
    ],
)  # fmt: skip
def test_flow_control(kind: str, fields: dict[str, Any], path: str, words: str) -> None:
    assert any(path == field and words in message for field, message in faults(FLOW, kind, fields))


def test_what_every_server_has_says_what_it_always_says() -> None:
    exempt = {"metadata": {"name": "exempt"}, "spec": {"type": "Exempt", "exempt": {"lendablePercent": 5}}}
    assert faults(FLOW, "PriorityLevelConfiguration", exempt) == []
    rule = {"subjects": EVERYONE, "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}
    ((field, message),) = faults(FLOW, "FlowSchema", {"metadata": {"name": "catch-all"}, **sorted_out(rule)})
    assert field == "spec"
    assert message.endswith("spec of 'catch-all' must equal the fixed value")
