"""Objects come, change and go: names by lot, dry runs, preconditions, the kinds of patches, finalizers, collections."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.client.requests import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from conformance.wire import PARTIAL, Wire, config_map, deployment


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


async def test_an_object_is_made_read_changed_and_deleted(wire):
    made = await wire.send("POST", wire.path("configmaps"), config_map("a"))
    assert made.code == 201
    meta = made.body["metadata"]
    assert meta["uid"]
    assert meta["creationTimestamp"]
    again = await wire.send("POST", wire.path("configmaps"), config_map("a"))
    assert (again.code, again.body["reason"]) == (409, "AlreadyExists")
    changed = await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", {"a": "2"}))
    assert changed.body["metadata"]["resourceVersion"] != meta["resourceVersion"]
    assert changed.body["metadata"]["uid"] == meta["uid"]
    same = await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", {"a": "2"}))
    assert same.body["metadata"]["resourceVersion"] == changed.body["metadata"]["resourceVersion"]
    gone = await wire.send("DELETE", wire.path("configmaps", "a"))
    assert (gone.code, gone.body["status"], gone.body["details"]["uid"]) == (200, "Success", meta["uid"])
    missing = await wire.send("GET", wire.path("configmaps", "a"))
    assert (missing.code, missing.message) == (404, 'configmaps "a" not found')


async def test_a_name_is_drawn_by_lot(wire):
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "lot-"}}
    names = {(await wire.send("POST", wire.path("configmaps"), body)).body["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("lot-") and len(name) == 9 for name in names)


async def test_a_dry_run_is_answered_as_the_real_thing_and_kept_nowhere(wire):
    made = await wire.send("POST", wire.path("deployments", group="apps/v1") + "?dryRun=All", deployment("d"))
    assert (made.code, made.body["spec"]["strategy"]["type"]) == (201, "RollingUpdate")
    assert (await wire.send("GET", wire.path("deployments", "d", "apps/v1"))).code == 404
    await wire.send("POST", wire.path("configmaps"), config_map("a"))
    patched = await wire.send(
        "PATCH", wire.path("configmaps", "a") + "?dryRun=All", {"data": {"b": "2"}}, type=MERGE_PATCH
    )
    assert patched.body["data"] == {"a": "1", "b": "2"}
    assert (await wire.send("DELETE", wire.path("configmaps", "a") + "?dryRun=All")).code == 200
    assert (await wire.send("GET", wire.path("configmaps", "a"))).body["data"] == {"a": "1"}
    odd = await wire.send("POST", wire.path("configmaps") + "?dryRun=some", config_map("b"))
    assert odd.code == 422 or odd.code == 400


async def test_writes_name_the_version_and_the_object_that_they_mean(wire):
    made = (await wire.send("POST", wire.path("configmaps"), config_map("a"))).body["metadata"]
    stale = await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", resourceVersion="1"))
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"a": "9"}}
    assert (await wire.send("PATCH", wire.path("configmaps", "a"), patch, type=MERGE_PATCH)).code == 409
    other = await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", uid="x"))
    assert other.code == 409
    options = {"preconditions": {"uid": "not-mine"}}
    refused = await wire.send("DELETE", wire.path("configmaps", "a"), options)
    assert (refused.code, "the UID in the precondition (not-mine)" in refused.message) == (409, True)
    good = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert (await wire.send("DELETE", wire.path("configmaps", "a"), good)).code == 200


async def test_the_four_kinds_of_patches(wire):
    await wire.send("POST", wire.path("deployments", group="apps/v1"), deployment("d"))
    path = wire.path("deployments", "d", "apps/v1")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "s", "image": "i:2"}]}}}}
    merged = await wire.send("PATCH", path, sidecar, type=STRATEGIC_PATCH)
    assert {each["name"] for each in merged.body["spec"]["template"]["spec"]["containers"]} == {"c", "s"}
    replaced = await wire.send("PATCH", path, sidecar, type=MERGE_PATCH)
    assert [each["name"] for each in replaced.body["spec"]["template"]["spec"]["containers"]] == ["s"]
    steps = [
        {"op": "test", "path": "/spec/replicas", "value": 0},
        {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "z"}},
        {"op": "copy", "from": "/metadata/annotations/x~1y", "path": "/metadata/annotations/w"},
    ]
    stepped = await wire.send("PATCH", path, steps, type=JSON_PATCH)
    assert stepped.body["metadata"]["annotations"]["w"] == "z"
    steps[0]["value"] = 7
    assert (await wire.send("PATCH", path, steps, type=JSON_PATCH)).code == 422
    gone = {
        "spec": {"template": {"spec": {"containers": [{"$patch": "delete", "name": "s"}, {"name": "n", "image": "i"}]}}}
    }
    left = await wire.send("PATCH", path, gone, type=STRATEGIC_PATCH)
    assert [each["name"] for each in left.body["spec"]["template"]["spec"]["containers"]] == ["n"]
    assert (await wire.send("PATCH", path, {}, type="application/xml")).code == 415


async def test_unknown_fields_are_refused_told_or_dropped_as_asked(wire):
    body = {**config_map("a"), "dat": {}}
    strict = await wire.send("POST", wire.path("configmaps") + "?fieldValidation=Strict", body)
    assert (strict.code, 'unknown field "dat"' in strict.message) == (400, True)
    warned = await wire.send("POST", wire.path("configmaps"), body)
    assert (
        warned.code,
        'unknown field \\"dat\\"' in " ".join(warned.warnings) or "dat" in " ".join(warned.warnings),
    ) == (
        201,
        True,
    )
    ignored = await wire.send(
        "POST", wire.path("configmaps") + "?fieldValidation=Ignore", {**config_map("b"), "dat": {}}
    )
    assert (ignored.code, ignored.warnings, "dat" in ignored.body) == (201, (), False)


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(wire):
    await wire.send("POST", wire.path("configmaps"), config_map("a", finalizers=["example.com/hold"]))
    held = await wire.send("DELETE", wire.path("configmaps", "a"))
    assert held.body["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    assert (await wire.send("PATCH", wire.path("configmaps", "a"), more, type=MERGE_PATCH)).code == 422
    free = {"metadata": {"finalizers": []}}
    assert (await wire.send("PATCH", wire.path("configmaps", "a"), free, type=MERGE_PATCH)).code == 200
    assert (await wire.send("GET", wire.path("configmaps", "a"))).code == 404


@pytest.mark.needs("controllers")
async def test_what_is_owned_goes_with_its_owner_or_stays(namespace, wire):
    for name, policy in (("back", "Background"), ("fore", "Foreground"), ("kept", "Orphan")):
        owner = (await wire.send("POST", wire.path("configmaps"), config_map(name))).body
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": owner["metadata"]["uid"]}
        blocking = {**reference, "blockOwnerDeletion": True}
        await wire.send("POST", wire.path("configmaps"), config_map(f"{name}-owned", ownerReferences=[blocking]))
        await wire.send("DELETE", wire.path("configmaps", name), {"propagationPolicy": policy})
    for name in ("back-owned", "fore", "fore-owned", "kept"):
        await namespace.until_gone(kinds.CONFIG_MAP, name)
    kept = await wire.send("GET", wire.path("configmaps", "kept-owned"))
    assert (kept.code, kept.body["metadata"].get("ownerReferences")) == (200, None)


async def test_collections_are_deleted_by_selector_and_listed_in_part(wire):
    for number in range(4):
        await wire.send("POST", wire.path("configmaps"), config_map(f"c{number}", labels={"half": str(number % 2)}))
    await wire.send("DELETE", wire.path("configmaps") + "?labelSelector=half%3D1".replace("%3D", "="))
    left = await wire.send("GET", wire.path("configmaps") + "?labelSelector=half", accept=PARTIAL)
    assert left.body["kind"] == "PartialObjectMetadataList"
    assert [each["metadata"]["name"] for each in left.body["items"]] == ["c0", "c2"]
    assert all("data" not in each for each in left.body["items"])


async def test_errors_say_what_is_wrong_where(wire):
    body = deployment("d", selector={"matchLabels": {"other": "x"}}, replicas=-1)
    bad = await wire.send("POST", wire.path("deployments", group="apps/v1"), body)
    assert (bad.code, bad.body["reason"]) == (422, "Invalid")
    assert set(bad.causes) == {"spec.replicas", "spec.template.metadata.labels"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 0}]}}
    odd = await wire.send("POST", wire.path("services"), service)
    assert odd.causes["spec.ports[0].port"] == "Invalid value: 0: must be between 1 and 65535, inclusive"
    assert (await wire.send("POST", wire.path("configmaps"), b"{")).code == 400
    elsewhere = await wire.send("POST", wire.path("configmaps"), config_map("a", namespace="elsewhere"))
    assert (elsewhere.code, "does not match the namespace" in elsewhere.message) == (400, True)
