"""Server-side apply: who owns what, conflicts, lists by key, and what goes when a manager no longer wants it."""

from __future__ import annotations

import pytest

from argosy.client.requests import APPLY_PATCH, MERGE_PATCH
from conformance.wire import Wire


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


def config(data=None, **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **meta}, "data": data or {}}


async def apply(wire, body, manager, resource="configmaps", group="v1", **query):
    joined = "".join(f"&{key}={value}" for key, value in query.items())
    path = f"{wire.path(resource, body['metadata']['name'], group)}?fieldManager={manager}{joined}"
    return await wire.send("PATCH", path, body, type=APPLY_PATCH)


async def test_two_managers_own_their_fields_and_conflict_over_others(wire):
    assert (await apply(wire, config({"x": "1"}), "one")).code == 201
    assert (await apply(wire, config({"y": "2"}), "two")).body["data"] == {"x": "1", "y": "2"}
    refused = await apply(wire, config({"x": "9", "y": "2"}), "two")
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert refused.causes == {".data.x": 'conflict with "one"'}
    forced = await apply(wire, config({"x": "9", "y": "2"}), "two", force="true")
    assert forced.body["data"] == {"x": "9", "y": "2"}
    owners = {each["manager"]: each["fieldsV1"] for each in forced.body["metadata"]["managedFields"]}
    assert "f:x" in owners["two"]["f:data"]
    assert "one" not in owners
    assert (await apply(wire, config({"y": "2"}), "two")).body["data"] == {"y": "2"}


async def test_a_field_that_two_want_stays_until_neither_does(wire):
    await apply(wire, config({"x": "1"}), "one")
    await apply(wire, config({"x": "1"}), "two")
    assert (await apply(wire, config(), "one")).body["data"] == {"x": "1"}
    assert (await apply(wire, config(), "two")).body.get("data") is None


async def test_an_update_takes_a_field_over(wire):
    await apply(wire, config({"x": "1"}), "one")
    patch = {"data": {"x": "2"}}
    await wire.send("PATCH", wire.path("configmaps", "a") + "?fieldManager=hand", patch, type=MERGE_PATCH)
    refused = await apply(wire, config({"x": "1"}), "one")
    assert refused.code == 409
    assert next(iter(refused.causes.values())).startswith('conflict with "hand" using v1')


async def test_lists_by_key_are_merged_and_atomic_ones_replaced(wire):
    labels = {"app": "d"}

    def body(containers, **pod):
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **pod}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}

    async def applied(manager, *arguments, **query):
        return await apply(wire, *arguments, manager, "deployments", "apps/v1", **query)

    base = {"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}
    toleration = {"key": "a", "operator": "Exists"}
    assert (await applied("one", body([base], tolerations=[toleration]))).code == 201
    added = {"name": "c", "env": [{"name": "B", "value": "2"}], "ports": [{"containerPort": 80}]}
    merged = await applied("two", body([added, {"name": "s", "image": "j"}]))
    container = merged.body["spec"]["template"]["spec"]["containers"][0]
    assert [each["name"] for each in container["env"]] == ["A", "B"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    refused = await applied("two", body([added], tolerations=[{"key": "b", "operator": "Exists"}]))
    assert set(refused.causes) == {".spec.template.spec.tolerations"}
    left = await applied("two", body([{"name": "c"}]))
    assert [each["name"] for each in left.body["spec"]["template"]["spec"]["containers"]] == ["c"]
    assert "ports" not in left.body["spec"]["template"]["spec"]["containers"][0]


async def test_what_an_apply_must_say(wire):
    path = wire.path("configmaps", "a")
    assert (await wire.send("PATCH", path, config(), type=APPLY_PATCH)).code == 422
    odd = await wire.send("PATCH", f"{path}?fieldManager=m", {**config(), "dat": 1}, type=APPLY_PATCH)
    assert (odd.code, "field not declared in schema" in odd.message) == (500, True)
    managed = await apply(wire, config(managedFields=[{"manager": "x"}]), "m")
    assert managed.code == 400
    yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: 'yes'}\n"
    assert (await wire.send("PATCH", f"{path}?fieldManager=m", yaml, type=APPLY_PATCH)).body["data"] == {"x": "yes"}


async def test_status_is_applied_through_its_own_door(wire):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}], "type": "LoadBalancer"},
    }
    await wire.send("POST", wire.path("services"), service)
    point = {"ip": "1.2.3.4", "ipMode": "VIP"}
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "status": {"loadBalancer": {"ingress": [point]}},
    }
    answer = await wire.send(
        "PATCH", wire.path("services", "s/status") + "?fieldManager=lb&force=true", body, type=APPLY_PATCH
    )
    assert answer.body["status"]["loadBalancer"]["ingress"] == [point]
    entry = next(each for each in answer.body["metadata"]["managedFields"] if each["manager"] == "lb")
    assert (entry["operation"], entry["subresource"]) == ("Apply", "status")
