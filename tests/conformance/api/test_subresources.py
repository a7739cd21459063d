"""The doors of objects: status, scale, eviction, binding, tokens of accounts."""

from __future__ import annotations

import base64
import json

import pytest

from argosy.client.requests import MERGE_PATCH
from conformance.wire import Wire, deployment


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


def pod(name, **labels):
    meta = {"name": name, "labels": labels}
    spec = {"containers": [{"name": "c", "image": "i:1"}], "schedulerName": "nobody"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


async def test_status_and_spec_change_through_their_own_doors(wire):
    await wire.send("POST", wire.path("deployments", group="apps/v1"), deployment("d"))
    path = wire.path("deployments", "d", "apps/v1")
    told = await wire.send(
        "PATCH", f"{path}/status", {"status": {"replicas": 3}, "spec": {"paused": True}}, type=MERGE_PATCH
    )
    assert (told.body["status"]["replicas"], "paused" in told.body["spec"]) == (3, False)
    changed = await wire.send("PATCH", path, {"spec": {"paused": True}, "status": {"replicas": 9}}, type=MERGE_PATCH)
    assert changed.body["spec"]["paused"] is True
    assert changed.body["status"].get("replicas") != 9
    assert changed.body["metadata"]["generation"] > told.body["metadata"]["generation"]
    odd = await wire.send("PATCH", f"{path}/status", {"status": {"replicas": -1}}, type=MERGE_PATCH)
    assert odd.code == 422


async def test_scale_is_read_and_written(wire):
    await wire.send("POST", wire.path("deployments", group="apps/v1"), deployment("d"))
    path = wire.path("deployments", "d/scale", "apps/v1")
    scale = (await wire.send("GET", path)).body
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {}, "app=d")
    scaled = await wire.send("PATCH", path, {"spec": {"replicas": 2}}, type=MERGE_PATCH)
    assert scaled.body["spec"]["replicas"] == 2
    scaled.body["spec"]["replicas"] = -1
    assert (await wire.send("PUT", path, scaled.body)).code == 422
    zero = {**scale, "spec": {"replicas": 0}}
    zero["metadata"] = {key: value for key, value in scale["metadata"].items() if key != "resourceVersion"}
    assert (await wire.send("PUT", path, zero)).code == 200


async def test_a_pod_is_bound_once(wire):
    await wire.send("POST", wire.path("pods"), pod("p"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "far-away"},
    }
    assert (await wire.send("POST", wire.path("pods", "p/binding"), binding)).code == 201
    bound = (await wire.send("GET", wire.path("pods", "p"))).body
    assert bound["spec"]["nodeName"] == "far-away"
    assert any(each["type"] == "PodScheduled" and each["status"] == "True" for each in bound["status"]["conditions"])
    again = await wire.send("POST", wire.path("pods", "p/binding"), binding)
    assert (again.code, "is already assigned to node" in again.message) == (409, True)
    await wire.send("DELETE", wire.path("pods", "p"), {"gracePeriodSeconds": 0})


async def test_an_eviction_asks_the_budgets(wire):
    await wire.send("POST", wire.path("pods"), pod("p", app="p"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert (await wire.send("POST", wire.path("pods", "p/eviction") + "?dryRun=All", eviction)).code == 201
    assert (await wire.send("POST", wire.path("pods", "p/eviction"), eviction)).code == 201
    assert (await wire.send("GET", wire.path("pods", "p"))).code == 404
    assert (await wire.send("POST", wire.path("pods", "p/eviction"), eviction)).code == 404


@pytest.mark.needs("controllers")
async def test_tokens_of_accounts(wire):
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600, "audiences": ["a"]},
    }
    made = await wire.send("POST", wire.path("serviceaccounts", "default/token"), body)
    assert made.code == 201
    claims = made.body["status"]["token"].split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert said["sub"] == f"system:serviceaccount:{wire.namespace.name}:default"
    assert said["aud"] == ["a"]
    assert 595 <= said["exp"] - said["iat"] <= 605
    short = {**body, "spec": {"expirationSeconds": 10}}
    assert (await wire.send("POST", wire.path("serviceaccounts", "default/token"), short)).code == 422
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": made.body["status"]["token"], "audiences": ["a"]},
    }
    seen = await wire.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert (seen.body["status"]["authenticated"], seen.body["status"]["user"]["username"]) == (True, said["sub"])
