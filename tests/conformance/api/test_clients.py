"""The request shapes of the clients that people build on: client-go and controller-runtime, kr8s, lightkube, kubectl's discovery."""

from __future__ import annotations

import asyncio

import pytest

from argosy.client.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH
from conformance.wire import PARTIAL, Wire, config_map, deployment

PROTOBUF_OR_JSON = "application/vnd.kubernetes.protobuf,application/json"
DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


async def test_discovery_in_one_request_and_in_many(wire):
    for root, group in (("/api", ""), ("/apis", "apps")):
        answer = (await wire.send("GET", root, accept=DISCOVERY)).body
        assert answer["kind"] == "APIGroupDiscoveryList"
        entry = next(each for each in answer["items"] if each["metadata"].get("name", "") == group)
        assert entry["versions"][0]["version"] == "v1"
        names = {each["resource"] for each in entry["versions"][0]["resources"]}
        assert names >= ({"pods", "services"} if not group else {"deployments", "statefulsets"})
    for path in ("/api", "/api/", "/apis/", "/version/", "/api/v1/"):
        assert (await wire.send("GET", path)).code == 200
    groups = {each["name"] for each in (await wire.send("GET", "/apis")).body["groups"]}
    assert groups >= {"apps", "batch", "networking.k8s.io", "rbac.authorization.k8s.io", "apiextensions.k8s.io"}
    resources = (await wire.send("GET", "/apis/apps/v1")).body["resources"]
    deployments = next(each for each in resources if each["name"] == "deployments")
    assert set(deployments["verbs"]) == {
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    }
    assert (deployments["shortNames"], "all" in deployments["categories"]) == (["deploy"], True)


async def test_a_client_that_prefers_protobuf_is_answered(wire):
    made = await wire.send("POST", wire.path("configmaps"), config_map("a"), accept=f"{PROTOBUF_OR_JSON},*/*")
    assert made.code == 201


async def test_controllers_patch_with_the_version_that_they_saw(wire):
    made = (await wire.send("POST", wire.path("configmaps"), config_map("a"))).body
    seen = made["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": seen, "finalizers": ["example.com/mine"]}}
    assert (await wire.send("PATCH", wire.path("configmaps", "a"), patch, type=MERGE_PATCH)).code == 200
    late = {"metadata": {"resourceVersion": seen, "finalizers": []}}
    refused = await wire.send("PATCH", wire.path("configmaps", "a"), late, type=MERGE_PATCH)
    assert (refused.code, "the object has been modified" in refused.message) == (409, True)
    steps = [
        {"op": "test", "path": "/metadata/finalizers/0", "value": "example.com/mine"},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]
    assert (await wire.send("PATCH", wire.path("configmaps", "a"), steps, type=JSON_PATCH)).code == 200


async def test_an_informer_lists_by_watching_and_goes_on(wire):
    await wire.send("POST", wire.path("configmaps"), config_map("a", labels={"mine": "1"}))
    path = wire.path("configmaps") + "?labelSelector=mine=1&allowWatchBookmarks=true"
    first = await wire.watch(path, seconds=1, resourceVersionMatch="NotOlderThan", sendInitialEvents="true")
    assert [each["type"] for each in first] == ["ADDED", "BOOKMARK"]
    version = first[-1]["object"]["metadata"]["resourceVersion"]
    change = wire.send("PUT", wire.path("configmaps", "a"), config_map("a", {"b": "2"}, labels={"mine": "1"}))
    events, _ = await asyncio.gather(wire.watch(path, seconds=2, resourceVersion=version), change)
    assert [each["object"]["data"] for each in events if each["type"] == "MODIFIED"] == [{"b": "2"}]


async def test_of_two_candidates_one_leads(wire):
    path = wire.path("leases", group="coordination.k8s.io/v1")
    now = "2026-01-01T00:00:00.000000Z"

    def lease(holder, transitions=0, **meta):
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "leader", **meta},
            "spec": spec,
        }

    answers = await asyncio.gather(*(wire.send("POST", path, lease(each)) for each in ("one", "two")))
    assert sorted(each.code for each in answers) == [201, 409]
    held = (await wire.send("GET", f"{path}/leader")).body
    version = held["metadata"]["resourceVersion"]
    takers = (wire.send("PUT", f"{path}/leader", lease(each, 1, resourceVersion=version)) for each in ("one", "two"))
    assert sorted(each.code for each in await asyncio.gather(*takers)) == [200, 409]
    assert (await wire.send("PUT", f"{path}/leader", lease("three"))).code == 422


async def test_what_kr8s_and_lightkube_ask(wire):
    await wire.send("POST", wire.path("configmaps"), config_map("a"), accept="*/*")
    kr8s = await wire.send(
        "GET", wire.path("configmaps") + "?fieldSelector=metadata.name=a,&labelSelector=", accept="*/*"
    )
    assert [each["metadata"]["name"] for each in kr8s.body["items"]] == ["a"]
    lightkube = await wire.watch(wire.path("configmaps") + "?fieldSelector=metadata.name=a", seconds=1)
    assert [each["type"] for each in lightkube] == ["ADDED"]


async def test_openapi_knows_what_kubectl_explains(wire):
    index = (await wire.send("GET", "/openapi/v3")).body["paths"]
    where, _, query = index["apis/apps/v1"]["serverRelativeURL"].partition("?")
    schemas = (await wire.send("GET", f"{where}?{query}")).body["components"]["schemas"]
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]
    assert "progressDeadlineSeconds" in schemas["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]
    assert "template" in schemas["io.k8s.api.apps.v1.DeploymentSpec"]["required"]


async def test_a_cache_of_metadata_alone(wire):
    await wire.send("POST", wire.path("configmaps"), config_map("a", labels={"mine": "1"}))
    path = wire.path("configmaps") + "?labelSelector=mine=1"
    listed = (await wire.send("GET", path, accept=PARTIAL)).body
    assert listed["kind"] == "PartialObjectMetadataList"
    assert "data" not in listed["items"][0]
    one = PARTIAL.replace("MetadataList", "Metadata")
    version = listed["metadata"]["resourceVersion"]
    watch = f"{path}&watch=true&timeoutSeconds=2&resourceVersion={version}&allowWatchBookmarks=true"
    change = wire.send("PUT", wire.path("configmaps", "a"), config_map("a", {"b": "2"}, labels={"mine": "1"}))
    told, _ = await asyncio.gather(wire.send("GET", watch, accept=one), change)
    seen = [each["object"] for each in told.body if each["type"] == "MODIFIED"]
    assert [(each["kind"], each["metadata"]["name"], "data" in each) for each in seen] == [
        ("PartialObjectMetadata", "a", False)
    ]


async def test_create_or_update_writes_only_what_changed(wire):
    path = wire.path("networkpolicies", group="networking.k8s.io/v1")
    wanted = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "n"}}
    wanted["spec"] = {"podSelector": {}}
    assert (await wire.send("GET", f"{path}/n")).code == 404
    assert (await wire.send("POST", path, wanted)).code == 201
    assert (await wire.send("POST", path, wanted)).code == 409
    seen = (await wire.send("GET", f"{path}/n")).body
    again = await wire.send("PUT", f"{path}/n", seen)
    assert (again.code, again.body["metadata"]) == (200, seen["metadata"])
    seen["spec"]["podSelector"] = {"matchLabels": {"mine": "1"}}
    changed = await wire.send("PUT", f"{path}/n", seen)
    assert (changed.code, changed.body["metadata"]["generation"]) == (200, seen["metadata"]["generation"] + 1)
    assert (await wire.send("PUT", f"{path}/n", seen)).code == 409


async def test_a_status_is_applied_by_who_owns_it(wire):
    where = wire.path("deployments", "d", group="apps/v1")
    await wire.send("POST", wire.path("deployments", group="apps/v1"), deployment("d", paused=True))
    condition = {"type": "Mine", "status": "True", "reason": "Told", "message": "m"}
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "status": {"conditions": [condition]}}
    config["metadata"] = {"name": "d"}
    told = await wire.send("PATCH", f"{where}/status?fieldManager=ctl&force=true", config, type=APPLY_PATCH)
    assert told.code == 200, told
    assert "Mine" in [each["type"] for each in told.body["status"]["conditions"]]
    owned = [each for each in told.body["metadata"]["managedFields"] if each["manager"] == "ctl"]
    assert [(each["operation"], each.get("subresource")) for each in owned] == [("Apply", "status")]
    config["status"] = {"conditions": []}
    gone = await wire.send("PATCH", f"{where}/status?fieldManager=ctl&force=true", config, type=APPLY_PATCH)
    assert "Mine" not in [each["type"] for each in gone.body["status"].get("conditions", ())]


async def test_everything_of_a_selector_is_deleted_and_finalizers_hold(wire):
    await wire.send("POST", wire.path("configmaps"), config_map("a", labels={"mine": "1"}))
    await wire.send(
        "POST", wire.path("configmaps"), config_map("b", labels={"mine": "1"}, finalizers=["example.com/f"])
    )
    await wire.send("POST", wire.path("configmaps"), config_map("c"))
    path = wire.path("configmaps")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    assert (await wire.send("DELETE", f"{path}?labelSelector=mine=1", options)).code == 200
    assert (await wire.send("GET", f"{path}/a")).code == 404
    assert (await wire.send("GET", f"{path}/c")).code == 200
    held = (await wire.send("GET", f"{path}/b")).body
    assert held["metadata"]["deletionTimestamp"]
    del held["metadata"]["finalizers"]
    assert (await wire.send("PUT", f"{path}/b", held)).code == 200
    assert (await wire.send("GET", f"{path}/b")).code == 404
