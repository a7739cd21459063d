import pytest
from api_world import definition, with_world

from argosy.errors import AlreadyExists, Conflict, Invalid, NotFound, UnsupportedMediaType
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION as CRD
from argosy.meta.crd import MADE_FROM
from argosy.meta.json import thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

WIDGET = Kind("example.com", "v1", "Widget", "widgets")
W = Key("default", "w")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
                "replicas": {"type": "integer"},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def widget(name="w", **spec):
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def test_a_definition_is_served_when_its_create_is_answered():
    async def check(world):
        answered = await world.client.create(CRD, definition(schema=SCHEMA))
        assert answered["status"] == {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": ["v1"],
        }
        assert (await world.client.list(WIDGET, "default")).items == []
        stored = await world.client.get(CRD, "widgets.example.com")
        assert {c["type"]: c["status"] for c in stored["status"]["conditions"]} == {
            "NamesAccepted": "True",
            "Established": "True",
        }
        _, groups, _ = await world.send("GET", "/apis/example.com")
        assert groups["preferredVersion"] == {"groupVersion": "example.com/v1", "version": "v1"}
        code, document, _ = await world.send("GET", "/openapi/v3/apis/example.com/v1")
        assert (code, "com.example.v1.Widget" in document["components"]["schemas"]) == (200, True)

    with_world(check)


def test_objects_are_defaulted_pruned_and_held_against_the_schema():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA))
        made = await world.client.create(WIDGET, widget(size=1, odd=2))
        assert made["spec"] == {"size": 1, "color": "red"}
        assert made["metadata"]["generation"] == 1
        for spec, words in (
            ({}, "spec.size: Required value"),
            ({"size": "x"}, 'spec.size in body must be of type integer: "string"'),
            ({"size": 0}, "spec.size in body should be greater than or equal to 1"),
            ({"size": 1, "color": "green"}, 'Unsupported value: "green"'),
        ):
            with pytest.raises(Invalid) as caught:
                await world.client.create(WIDGET, widget("bad", **spec))
            assert words in caught.value.message

    with_world(check)


def test_status_has_a_door_of_its_own():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA, subresources={"status": {}}))
        made = await world.client.create(WIDGET, widget(size=1) | {"status": {"a": 1}})
        assert "status" not in made
        told = await world.client.patch(WIDGET, W, {"status": {"a": 2}, "spec": {"size": 9}}, subresource="status")
        assert (told["status"], told["spec"]["size"], told["metadata"]["generation"]) == ({"a": 2}, 1, 1)
        changed = await world.client.patch(WIDGET, W, {"status": {"a": 3}, "spec": {"size": 2}})
        assert (changed["status"], changed["spec"]["size"], changed["metadata"]["generation"]) == ({"a": 2}, 2, 2)
        told = await world.client.update(WIDGET, {**changed, "status": {"a": 4}}, subresource="status")
        assert (told["status"], told["metadata"]["generation"]) == ({"a": 4}, 2)

    with_world(check)


def test_without_that_door_it_is_a_field_like_any_other():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA))
        made = await world.client.create(WIDGET, widget(size=1) | {"status": {"a": 1}})
        assert made["status"] == {"a": 1}
        with pytest.raises(NotFound):
            await world.client.patch(WIDGET, W, {"status": {"a": 2}}, subresource="status")

    with_world(check)


def test_scale():
    async def check(world):
        scale = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
        await world.client.create(CRD, definition(schema=SCHEMA, subresources={"scale": scale}))
        await world.client.create(WIDGET, widget(size=1, replicas=2) | {"status": {"replicas": 1, "selector": "a=b"}})
        _, shown, _ = await world.send("GET", WIDGET.path("default", "w", "scale"))
        assert (shown["spec"], shown["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
        shown = await world.client.patch(WIDGET, W, {"spec": {"replicas": 5}}, subresource="scale")
        assert shown["spec"] == {"replicas": 5}
        assert (await world.client.get(WIDGET, "w", "default"))["spec"]["replicas"] == 5

    with_world(check)


def test_versions_differ_in_name_only():
    async def check(world):
        crd = definition(schema=SCHEMA)
        second = thaw(crd["spec"]["versions"][0]) | {"name": "v2", "storage": False, "deprecated": True}
        crd["spec"]["versions"].append(second)
        await world.client.create(CRD, crd)
        await world.client.create(WIDGET, widget(size=1))
        code, shown, headers = await world.send("GET", "/apis/example.com/v2/namespaces/default/widgets/w")
        assert (code, shown["apiVersion"], headers["warning"]) == (
            200,
            "example.com/v2",
            '299 - "example.com/v2 Widget is deprecated"',
        )
        _, listed, _ = await world.send("GET", "/apis/example.com/v2/widgets")
        assert listed["items"][0]["apiVersion"] == "example.com/v2"
        body = shown | {"spec": {"size": 7}}
        code, _, _ = await world.send("PUT", "/apis/example.com/v2/namespaces/default/widgets/w", body)
        assert code == 200
        stored = await world.client.get(WIDGET, "w", "default")
        assert (stored["apiVersion"], stored["spec"]["size"]) == ("example.com/v1", 7)
        _, events, _ = await world.send("GET", "/apis/example.com/v2/widgets?watch=1&timeoutSeconds=1")
        assert events[0]["object"]["apiVersion"] == "example.com/v2"

    with_world(check)


def test_what_custom_kinds_do_not_take():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA))
        await world.client.create(WIDGET, widget(size=1))
        with pytest.raises(UnsupportedMediaType):
            await world.client.patch(WIDGET, W, {}, content_type="application/strategic-merge-patch+json")
        code, body, _ = await world.send("PUT", WIDGET.path("default", "w"), widget(size=2))
        assert (code, "must be specified for an update" in body["message"]) == (422, True)

    with_world(check)


def test_selectable_fields():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA, selectableFields=[{"jsonPath": ".spec.color"}]))
        await world.client.create(WIDGET, widget("a", size=1))
        await world.client.create(WIDGET, widget("b", size=1, color="blue"))
        listed = await world.client.list(WIDGET, fields="spec.color=blue")
        assert [item["metadata"]["name"] for item in listed.items] == ["b"]

    with_world(check)


def test_a_changed_definition_is_served_as_changed():
    async def check(world):
        await world.client.create(CRD, definition(schema=SCHEMA))
        wider = thaw(SCHEMA)
        wider["properties"]["spec"]["properties"]["odd"] = {"type": "integer"}
        versions = definition(schema=wider)["spec"]["versions"]
        await world.client.patch(CRD, Key("", "widgets.example.com"), {"spec": {"versions": versions}})
        made = await world.client.create(WIDGET, widget(size=1, odd=2))
        assert made["spec"]["odd"] == 2
        with pytest.raises((Invalid, Conflict)):
            await world.client.patch(CRD, Key("", "widgets.example.com"), {"spec": {"scope": "Cluster"}})

    with_world(check)


def test_stored_definitions_are_served_after_a_restart():
    async def check(world):
        from argosy.engine.apiserver.app import App

        await world.client.create(CRD, definition(schema=SCHEMA))
        again = App(world.store, world.app.api.settings)
        assert again.api.registry.find("example.com", "v1", "widgets") is not None

    with_world(check)


def test_two_definitions_of_one_kind_do_not_both_stand():
    async def check(world):
        await world.client.create(CRD, definition())
        rival = definition("gadgets")
        rival["spec"]["names"]["kind"] = "Widget"
        await world.client.create(CRD, rival)
        stored = await world.client.get(CRD, "gadgets.example.com")
        assert {c["type"]: c["status"] for c in stored["status"]["conditions"]} == {
            "NamesAccepted": "False",
            "Established": "False",
        }
        assert (await world.send("GET", "/apis/example.com/v1/gadgets"))[0] == 404

    with_world(check)


def test_metadata_of_a_wrong_type():
    async def check(world):
        await world.send("POST", CRDS, definition())
        for meta, why in (
            ({"labels": {"a": 1}}, "number into Go struct field ObjectMeta.labels of type string"),
            ({"labels": ["a"]}, "array into Go struct field ObjectMeta.labels of type map[string]string"),
            ({"finalizers": "x"}, "string into Go struct field ObjectMeta.finalizers of type []string"),
        ):
            code, body, _ = await world.send("POST", WIDGETS, {"metadata": {"name": "w", **meta}})
            told = f'Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal {why}'
            assert (code, body["message"]) == (400, told)
        assert (await world.send("POST", WIDGETS, {"metadata": {"name": "w"}}))[0] == 201
        patch = {"metadata": {"labels": {"a": 1}}}
        code, body, _ = await world.send("PATCH", f"{WIDGETS}/w", patch, type="application/merge-patch+json")
        assert (code, "cannot unmarshal number" in body["message"]) == (422, True)

    with_world(check)


def test_a_definition_that_came_with_argosy_gives_way_to_a_persons():
    async def check(world):
        bundled = definition()
        bundled["metadata"]["annotations"] = {MADE_FROM: "0123456789abcdef"}
        await world.client.create(CRD, bundled)
        await world.client.create(CRD, definition())  # `kubectl create -f` of the project's own
        kept = await world.client.get(CRD, definition()["metadata"]["name"])
        assert MADE_FROM not in (kept["metadata"].get("annotations") or {})
        with pytest.raises(AlreadyExists):
            await world.client.create(CRD, definition())

    with_world(check)
