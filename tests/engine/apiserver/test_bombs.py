"""Small requests that would cost much: each is answered or refused within a bounded time of the processor's."""

import time

import pytest
from api_world import ADMIN, config_map, definition, deployment, pod, with_world

from argosy.client.requests import Request
from argosy.meta.json import decode, encode

SECONDS = 4.0
"""Of the processor, on a machine that does other things as well; every one of these takes less than two on an idle one."""
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/d"
JSON, YAML, PATCH = "application/json", "application/yaml", "application/json-patch+json"
MERGE, STRATEGIC, APPLY = (
    f"application/{name}" for name in ("merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")
)
NAME = b"metadata: {name: x}\n"


def many(count, prefix="k"):
    return {f"{prefix}{number}": "v" for number in range(count)}


def of_the_template(spec):
    return {"spec": {"template": {"spec": spec}}}


def items(count):
    return [{"name": f"c{number}", "image": "i", "value": "x"} for number in range(count)]


BOMBS = {
    "a map of many keys": ("POST", MAPS, JSON, {"metadata": {"name": "x"}, "data": many(200_000)}),
    "labels that are none": ("POST", MAPS, JSON, {"metadata": {"name": "x", "labels": many(100_000, "-")}}),
    "unknown fields": ("POST", MAPS, JSON, {"metadata": {"name": "x"}, **many(200_000)}),
    "one key again and again": ("POST", MAPS, JSON, b'{"metadata":{"name":"x"},"data":{%b}}' % b",".join([b'"a":"1"'] * 300_000)),
    "a long list": ("POST", WIDGETS, JSON, b'{"metadata":{"name":"x"},"spec":[%b0]}' % (b"0," * 1_400_000)),
    "a list of maps, applied": (
        "PATCH", f"{WIDGETS}/y", APPLY,
        b'{"apiVersion":"example.com/v1","kind":"Widget","spec":[%b{}]}' % (b"{}," * 800_000),
    ),
    "many fields, applied": (
        "PATCH", f"{WIDGETS}/y", APPLY, {"apiVersion": "example.com/v1", "kind": "Widget", "spec": many(100_000)},
    ),
    "YAML of many keys": ("POST", MAPS, YAML, NAME + b"data:\n" + b"".join(b" k%d: v\n" % n for n in range(200_000))),
    "YAML of one key": ("POST", MAPS, YAML, NAME + b"data:\n" + b" k: v\n" * 300_000),
    "a long YAML list": ("POST", WIDGETS, YAML, NAME + b"spec: [" + b"1," * 700_000 + b"]"),
    "minutes and seconds": ("POST", WIDGETS, YAML, NAME + b"spec: " + b":".join([b"59"] * 300_000)),
    "a number of a million digits": ("POST", WIDGETS, YAML, NAME + b"spec: " + b"9" * 1_000_000),
    "keys that are lists": ("POST", WIDGETS, YAML, NAME + b"spec:\n ? [a]\n : x\n"),
    "merged maps": (
        "POST", WIDGETS, YAML,
        NAME + b"spec:\n a: &a {" + b",".join(b"k%d: 1" % n for n in range(2000)) + b"}\n b:\n" + b"  - {<<: *a}\n" * 2000,
    ),
    "copies of a large value": (
        "PATCH", f"{MAPS}/big", PATCH, [{"op": "copy", "from": "/data", "path": "/metadata/annotations"}] * 9_999,
    ),
    "adds at the front": ("PATCH", f"{WIDGETS}/list", PATCH, [{"op": "add", "path": "/spec/0", "value": 1}] * 9_999),
    "a deep path": ("PATCH", f"{WIDGETS}/list", PATCH, [{"op": "add", "path": "/a" * 1_000_000, "value": 1}]),
    "containers, merged": ("PATCH", DEPLOYMENT, STRATEGIC, of_the_template({"containers": items(20_000)})),
    "variables, merged": ("PATCH", DEPLOYMENT, STRATEGIC, of_the_template({"containers": [{"name": "c", "env": items(20_000)}]})),
    "an order of many": (
        "PATCH", DEPLOYMENT, STRATEGIC,
        of_the_template({"$setElementOrder/containers": items(20_000), "containers": items(20_000)}),
    ),
    "many deletions": (
        "PATCH", DEPLOYMENT, STRATEGIC,
        of_the_template({"containers": [{"name": f"c{n}", "$patch": "delete"} for n in range(30_000)]}),
    ),
    "finalizers, merged": ("PATCH", f"{MAPS}/big", STRATEGIC, {"metadata": {"finalizers": [f"a.b/{n}" for n in range(30_000)]}}),
    "variables of variables": (
        "POST", PODS, JSON,
        pod("p", containers=[{"name": "c", "image": "i", "env": [{"name": f"E{n}", "value": f"$(E{n - 1})"} for n in range(20_000)]}]),
    ),
    "containers": ("POST", PODS, JSON, pod("p", containers=items(20_000))),
    "a quantity of many digits": (
        "POST", PODS, JSON, pod("p", containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1" * 1_000_000}}}]),
    ),
    "a quantity with a large exponent": (
        "POST", PODS, JSON, pod("p", containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1e999999999"}}}]),
    ),
    "a selector of many names": ("GET", f"{MAPS}?labelSelector=a in ({','.join(many(100_000))})", "", b""),
    "a selector of brackets": ("GET", f"{MAPS}?labelSelector={'(' * 100_000}", "", b""),
    "many fields selected": ("GET", f"{MAPS}?fieldSelector={','.join(f'metadata.name=v{n}' for n in range(30_000))}", "", b""),
    "a revision of many digits": ("GET", f"{MAPS}?resourceVersion={'9' * 100_000}", "", b""),
    "a rule of many terms": ("POST", CRDS, JSON, definition("rules", schema={"type": "object", "x-kubernetes-validations": [{"rule": "true || " * 50_000 + "true"}]})),
    "a rule in brackets": ("POST", CRDS, JSON, definition("rules", schema={"type": "object", "x-kubernetes-validations": [{"rule": "(" * 20_000 + "true" + ")" * 20_000}]})),
}  # fmt: skip


QUICK = {
    "YAML of one key", "minutes and seconds", "keys that are lists", "copies of a large value", "variables, merged",
    "many deletions", "finalizers, merged", "a selector of brackets", "a quantity of many digits",
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in BOMBS])
def test_it_costs_little(name):
    method, path, type, body = BOMBS[name]
    path, _, query = path.partition("?")
    headers = {"content-type": type, "accept": JSON, "user-agent": "test/1"}
    raw = body if isinstance(body, bytes) else encode(body)

    async def check(world):
        await world.send("POST", CRDS, definition())
        await world.send("POST", MAPS, config_map("big", data=many(40_000)))
        await world.send("POST", WIDGETS, {"metadata": {"name": "list"}, "spec": [1] * 1000})
        await world.send("POST", DEPLOYMENT.removesuffix("/d"), deployment())
        began = time.process_time()
        asked = {"fieldManager": "t", **dict([query.split("=", 1)] if query else [])}
        response = await world.app.handle(Request(method, path, asked, headers, raw, user=ADMIN), wire=True)
        assert time.process_time() - began < SECONDS
        assert response.status < 500, response.body[:300]

    with_world(check)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2001-1-1", "2001-1-1"), ("2001-99-99", "2001-99-99"), ("12:30", "12:30"), ("1:30.5", "1:30.5"), ("0x1F", 31),
        ("yes", True), ("!!binary aGVsbG8=", "hello"), ("!!set {a, b}", {"a": None, "b": None}), ("18446744073709551616", 2.0**64),
        ("~", None), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_what_yaml_means_to_kubernetes(text, value):
    async def check(world):
        await world.send("POST", CRDS, definition())
        _, made, _ = await world.send("POST", WIDGETS, NAME + b"spec: {a: %b}" % text.encode(), type=YAML)
        assert made["spec"] == {"a": value}

    with_world(check)


def test_a_key_that_is_no_single_value_is_refused():
    async def check(world):
        await world.send("POST", CRDS, definition())
        status, answer, _ = await world.send("POST", WIDGETS, NAME + b"spec:\n ? [a]\n : x\n", type=YAML)
        assert (status, "invalid map key" in decode(encode(answer))["message"]) == (400, True)

    with_world(check)


def test_patterns_and_rules_that_backtrack():
    text = {"type": "string", "maxLength": 5000, "pattern": "^(a+)+$"}
    rule = {"type": "string", "maxLength": 5000, "x-kubernetes-validations": [{"rule": "self.matches('^(a|aa)+$')"}]}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"text": text, "rule": rule}}}}

    async def check(world):
        await world.send("POST", CRDS, definition(schema=schema))
        began = time.process_time()
        for field in ("text", "rule"):
            body = {"metadata": {"name": "x"}, "spec": {field: "a" * 4000 + "!"}}
            assert (await world.send("POST", WIDGETS, body))[0] == 422
        assert time.process_time() - began < SECONDS

    with_world(check)
