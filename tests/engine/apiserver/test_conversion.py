"""Custom kinds whose versions differ in more than their name: a webhook converts them, over HTTPS as on any cluster."""

import asyncio

from api_world import ADMIN, definition
from hook_world import with_hooks

from argosy.client.requests import MERGE_PATCH, Request
from argosy.meta.json import decode

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
V1, V2 = (f"/apis/example.com/{version}/namespaces/default/widgets" for version in ("v1", "v2"))
APPLY = "application/apply-patch+yaml"


def fields(*names):
    spec = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    spec["properties"]["color"] = {"type": "string", "default": "red"}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def convertible(hooks, **webhook):
    """A kind with `spec.host` and `spec.port` in v1 (stored), and `spec.address` in v2."""
    crd = definition()
    first = {"name": "v1", "served": True, "storage": True, "schema": fields("host", "port")}
    second = {"name": "v2", "served": True, "storage": False, "schema": fields("address")}
    config = {"clientConfig": {"url": f"{hooks.url}/convert", "caBundle": hooks.bundle}}
    crd["spec"]["versions"] = [first, second]
    crd["spec"]["conversion"] = {
        "strategy": "Webhook", "webhook": {**config, "conversionReviewVersions": ["v1"], **webhook},
    }  # fmt: skip
    return crd


def converted(request):
    def one(obj):
        spec = dict(obj["spec"])
        if request["desiredAPIVersion"].endswith("v2"):
            spec["address"] = f"{spec.pop('host')}:{spec.pop('port')}"
        else:
            spec["host"], spec["port"] = spec.pop("address").split(":")
        labels = {**obj["metadata"].get("labels", {}), "converted": "yes"}
        meta = {**obj["metadata"], "labels": labels, "creationTimestamp": "1970-01-01T00:00:00Z"}
        return {**obj, "apiVersion": request["desiredAPIVersion"], "metadata": meta, "spec": {**spec, "junk": 1}}

    return {"result": {"status": "Success"}, "convertedObjects": [one(obj) for obj in request["objects"]]}


def widget(version, name="w", **spec):
    return {"apiVersion": f"example.com/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def test_every_verb_shows_and_takes_the_version_that_was_asked_for(tmp_path):
    async def check(world, hooks):
        hooks.answers["convert"] = converted
        assert (await world.send("POST", CRDS, convertible(hooks)))[0] == 201
        code, made, _ = await world.send("POST", V2, widget("v2", address="h:80"))
        assert (code, made["spec"]) == (201, {"address": "h:80", "color": "red"})
        _, stored, _ = await world.send("GET", f"{V1}/w")
        assert stored["spec"] == {"host": "h", "port": "80", "color": "red"}  # pruned, and with its defaults
        assert stored["metadata"]["labels"] == {"converted": "yes"}
        assert stored["metadata"]["creationTimestamp"] != "1970-01-01T00:00:00Z"
        await world.send("POST", V1, widget("v1", "x", host="g", port="1"))
        before = len(hooks.asked)
        _, listed, _ = await world.send("GET", V2)
        assert [item["spec"]["address"] for item in listed["items"]] == ["h:80", "g:1"]
        assert {item["apiVersion"] for item in listed["items"]} == {"example.com/v2"}
        assert len(hooks.asked) == before + 1  # all at once
        code, patched, _ = await world.send("PATCH", f"{V2}/w", {"spec": {"address": "h:81"}}, type=MERGE_PATCH)
        assert (code, patched["spec"]["address"]) == (200, "h:81")
        config = widget("v2", color="blue")
        code, applied, _ = await world.send("PATCH", f"{V2}/w?fieldManager=m&force=true", config, type=APPLY)
        assert (code, applied["spec"]) == (200, {"address": "h:81", "color": "blue"})
        _, table, _ = await world.send("GET", V2, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        assert [row["object"]["metadata"]["name"] for row in table["rows"]] == ["w", "x"]
        assert (await world.send("GET", f"{V1}/w"))[1]["spec"] == {"host": "h", "port": "81", "color": "blue"}
        assert (await world.send("DELETE", f"{V2}/w"))[0] == 200

    with_hooks(tmp_path, check)


def test_a_watch_is_told_in_the_version_that_it_asked_for(tmp_path):
    async def check(world, hooks):
        hooks.answers["convert"] = converted
        await world.send("POST", CRDS, convertible(hooks))
        request = Request("GET", V2, {"watch": "true"}, {"accept": "application/json"}, user=ADMIN)
        response = await world.app.handle(request, wire=True)
        await world.send("POST", V1, widget("v1", host="h", port="1"))
        async with asyncio.timeout(5):
            event = decode(await anext(response.chunks))
        assert (event["type"], event["object"]["spec"]["address"]) == ("ADDED", "h:1")
        await response.chunks.aclose()

    with_hooks(tmp_path, check)


def test_what_cannot_be_converted_is_refused_with_the_reason(tmp_path):
    async def check(world, hooks):
        hooks.answers["convert"] = converted
        await world.send("POST", CRDS, convertible(hooks))
        await world.send("POST", V1, widget("v1", host="h", port="1"))

        async def said(answer):
            hooks.answers["convert"] = answer
            code, body, _ = await world.send("GET", f"{V2}/w")
            assert code == 500
            assert "reason" not in body
            return body["message"]

        head = "conversion webhook for example.com/v1, Kind=Widget "
        failed = {"result": {"status": "Failure", "message": "no such port"}}
        assert await said(failed) == f"{head}failed: no such port"
        assert (
            await said({**failed, "uid": "x"})
            == f'{head}failed: expected response.uid="{hooks.asked[-1][1]["uid"]}", got "x"'
        )
        renamed = [widget("v2", "other", address="h:1")]
        good = {"result": {"status": "Success"}}
        assert "must have the same name: w != other" in await said({**good, "convertedObjects": renamed})
        assert "invalid groupVersion" in await said({**good, "convertedObjects": [widget("v1")]})
        assert "returned 0 objects, expected 1" in await said(good)
        assert (await world.send("GET", f"{V1}/w"))[0] == 200  # the stored version needs nobody

    with_hooks(tmp_path, check)


def test_objects_that_were_stored_in_another_version_are_converted_too(tmp_path):
    async def check(world, hooks):
        hooks.answers["convert"] = converted
        crd = convertible(hooks)
        await world.send("POST", CRDS, crd)
        await world.send("POST", V1, widget("v1", host="h", port="1"))
        for version in crd["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        change = {"spec": {"versions": crd["spec"]["versions"]}}
        code, changed, _ = await world.send("PATCH", f"{CRDS}/{crd['metadata']['name']}", change, type=MERGE_PATCH)
        assert (code, changed["status"]["storedVersions"]) == (200, ["v1", "v2"])
        _, shown, _ = await world.send("GET", f"{V2}/w")
        assert (shown["apiVersion"], shown["spec"]["address"]) == ("example.com/v2", "h:1")
        before = len(hooks.asked)
        assert (await world.send("GET", f"{V1}/w"))[1]["spec"]["host"] == "h"
        assert len(hooks.asked) == before

    with_hooks(tmp_path, check)
