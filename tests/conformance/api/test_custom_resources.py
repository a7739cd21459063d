"""Kinds of the user's own: schemas, versions, subresources, columns, rules in CEL, discovery."""

from __future__ import annotations

import asyncio

import pytest

from argosy import kinds
from argosy.client.requests import APPLY_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from conformance.wire import TABLE, Wire

SPEC = {
    "type": "object",
    "required": ["size"],
    "x-kubernetes-validations": [
        {"rule": "self.size <= self.most", "message": "at most what is most"},
        {"rule": "self.size >= oldSelf.size", "message": "never smaller", "fieldPath": ".size", "reason": "FieldValueInvalid"},
    ],
    "properties": {
        "size": {"type": "integer", "minimum": 0},
        "most": {"type": "integer", "default": 10},
        "color": {"type": "string", "enum": ["red", "blue"]},
        "replicas": {"type": "integer", "default": 1},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "maxItems": 5,
                  "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}  # fmt: skip
STATUS = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


class Kind:
    """A kind that is served, in a group of the test's own."""

    def __init__(self, wire):
        self.wire, self.group = wire, f"{wire.namespace.name}.example.com"

    def path(self, name="", version="v1"):
        return self.wire.path("gadgets", name, f"{self.group}/{version}")

    def body(self, name="g", **spec):
        return {
            "apiVersion": f"{self.group}/v1",
            "kind": "Gadget",
            "metadata": {"name": name},
            "spec": {"size": 1, **spec},
        }

    async def make(self, name="g", **spec):
        return await self.wire.send("POST", self.path(), self.body(name, **spec))


@pytest.fixture
def gadget(loop, wire):
    kind = Kind(wire)
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}}
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    v1 = {
        "name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}, "scale": scale},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }  # fmt: skip
    old = {
        "selectableFields": v1["selectableFields"],
        "name": "v1beta1",
        "served": True,
        "storage": False,
        "schema": schema,
        "deprecated": True,
    }
    spec = {
        "group": kind.group,
        "scope": "Namespaced",
        "versions": [v1, old],
        "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"]},
    }
    made = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{kind.group}"},
        "spec": spec,
    }

    async def served():
        await wire.namespace.create(kinds.CUSTOM_RESOURCE_DEFINITION, made)

        def established(each):
            return any(
                c["type"] == "Established" and c["status"] == "True"
                for c in (each.get("status") or {}).get("conditions") or ()
            )

        await wire.namespace.until(kinds.CUSTOM_RESOURCE_DEFINITION, f"gadgets.{kind.group}", established)
        async with asyncio.timeout(30):
            while (await wire.send("GET", kind.path())).code != 200:  # noqa: ASYNC110 (a server tells nobody)
                await asyncio.sleep(0.1)

    loop.run(served())
    return kind


async def test_objects_are_completed_pruned_and_checked(wire, gadget):
    made = await wire.send("POST", gadget.path(), {**gadget.body(other=1, free={"x": {"y": 1}}), "more": 1})
    assert made.body["spec"] == {"size": 1, "most": 10, "replicas": 1, "free": {"x": {"y": 1}}}
    assert ("more" in made.body, made.body["metadata"]["generation"]) == (False, 1)
    strict = await wire.send("POST", gadget.path() + "?fieldValidation=Strict", gadget.body("h", other=1))
    assert (strict.code, 'unknown field "spec.other"' in strict.message) == (400, True)
    bad = await gadget.make("h", size=-1, color="green", parts=[{"name": "a"}, {"name": "a"}])
    assert (bad.code, set(bad.causes) >= {"spec.size", "spec.color", "spec.parts[1]"}) == (422, True)
    none = await wire.send("POST", gadget.path(), {**gadget.body("h"), "spec": {}})
    assert none.causes["spec.size"] == "Required value"
    typed = await gadget.make("h", size="many")
    assert "must be of type integer" in typed.message


async def test_rules_in_cel_see_the_old_object_too(wire, gadget):
    high = await gadget.make(size=11)
    assert (high.code, "at most what is most" in high.message) == (422, True)
    await gadget.make(size=5)
    smaller = await wire.send("PATCH", gadget.path("g"), {"spec": {"size": 4}}, type=MERGE_PATCH)
    assert smaller.causes["spec.size"].endswith("never smaller")
    assert (await wire.send("PATCH", gadget.path("g"), {"spec": {"size": 6}}, type=MERGE_PATCH)).code == 200


async def test_status_scale_and_columns(wire, gadget):
    await gadget.make()
    patch = {"status": {"replicas": 2, "selector": "a=b"}, "spec": {"size": 9}}
    told = (await wire.send("PATCH", gadget.path("g/status"), patch, type=MERGE_PATCH)).body
    assert (told["status"]["replicas"], told["spec"]["size"], told["metadata"]["generation"]) == (2, 1, 1)
    scale = (await wire.send("PATCH", gadget.path("g/scale"), {"spec": {"replicas": 4}}, type=MERGE_PATCH)).body
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 4, "a=b")
    table = (await wire.send("GET", gadget.path(), accept=TABLE)).body
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["g", 1]


async def test_fields_that_can_be_selected(wire, gadget):
    await gadget.make("r", color="red")
    await gadget.make("b", color="blue")
    found = await wire.send("GET", gadget.path() + "?fieldSelector=spec.color=red")
    assert [each["metadata"]["name"] for each in found.body["items"]] == ["r"]
    assert (await wire.send("GET", gadget.path() + "?fieldSelector=spec.size=1")).code == 400


async def test_versions_say_that_they_are_old(wire, gadget):
    await gadget.make()
    old = await wire.send("GET", gadget.path("g", "v1beta1"))
    assert old.body["apiVersion"] == f"{gadget.group}/v1beta1"
    assert "v1beta1 Gadget is deprecated" in " ".join(old.warnings)


async def test_patches_of_custom_objects(wire, gadget):
    await gadget.make(parts=[{"name": "a", "n": 1}])
    assert (await wire.send("PATCH", gadget.path("g"), {}, type=STRATEGIC_PATCH)).code == 415
    body = {**gadget.body(), "spec": {"parts": [{"name": "b", "n": 2}]}}
    applied = await wire.send("PATCH", gadget.path("g") + "?fieldManager=m", body, type=APPLY_PATCH)
    assert [each["name"] for each in applied.body["spec"]["parts"]] == ["a", "b"]
    put = await wire.send("PUT", gadget.path("g"), gadget.body())
    assert (put.code, "must be specified for an update" in put.message) == (422, True)


async def test_discovery_and_openapi_know_the_kind(wire, gadget):
    found = (await wire.send("GET", f"/apis/{gadget.group}/v1")).body
    assert {each["name"] for each in found["resources"]} == {"gadgets", "gadgets/status", "gadgets/scale"}
    assert found["resources"][0]["shortNames"] == ["gd"]
    async with asyncio.timeout(30):
        while (answer := await wire.send("GET", f"/openapi/v3/apis/{gadget.group}/v1")).code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    schemas = answer.body["components"]["schemas"]
    gadget_schema = next(each for name, each in schemas.items() if name.endswith(".Gadget"))
    assert gadget_schema["properties"]["spec"]["properties"]["color"]["enum"] == ["red", "blue"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array"}, "must be object at the root"),
        ({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}, "must be of type string"),
        ({"type": "object", "x-kubernetes-validations": [{"rule": "self.nope"}]}, "undefined field 'nope'"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "must be specified"),
    ],
)  # fmt: skip
async def test_definitions_that_cannot_be(wire, schema, words):
    group = "broken.example.com"
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    spec = {"group": group, "scope": "Namespaced", "versions": versions, "names": {"plural": "bads", "kind": "Bad"}}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"bads.{group}"},
        "spec": spec,
    }
    answer = await wire.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All", body)
    assert (answer.code, words in answer.message) == (422, True), answer.message
