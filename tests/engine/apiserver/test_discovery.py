import pytest
from api_world import definition, with_world

from argosy.client.requests import Request
from argosy.engine.apiserver.openapi_v2 import TYPES
from argosy.engine.apiserver.served import version_rank
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION
from argosy.meta.objects import Key

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList,application/json"


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_old_form_with_and_without_a_slash(slash):
    async def check(world):
        _, versions, _ = await world.send("GET", f"/api{slash}")
        assert versions["versions"] == ["v1"]
        _, groups, _ = await world.send("GET", f"/apis{slash}")
        assert {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}} in groups["groups"]  # fmt: skip
        _, resources, _ = await world.send("GET", f"/apis/apps/v1{slash}")
        named = {entry["name"]: entry for entry in resources["resources"]}
        assert named["deployments"]["shortNames"] == ["deploy"]
        assert named["deployments/scale"]["kind"] == "Scale"
        assert named["deployments/scale"]["group"] == "autoscaling"

    with_world(check)


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_the_aggregated_form(version):
    async def check(world):
        for path, group in (("/api", None), ("/apis", "apps")):
            _, body, headers = await world.send("GET", path, accept=AGGREGATED.format(version))
            assert body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
            assert f"v={version}" in headers["content-type"]
            assert group in [item["metadata"].get("name") for item in body["items"]]

    with_world(check)


def test_it_follows_definitions():
    async def check(world):
        crd = definition(subresources={"status": {}})
        crd["spec"]["names"]["shortNames"] = ["w"]
        await world.client.create(CUSTOM_RESOURCE_DEFINITION, crd)
        _, body, _ = await world.send("GET", "/apis", accept=AGGREGATED.format("v2"))
        (group,) = [item for item in body["items"] if item["metadata"]["name"] == "example.com"]
        (resource,) = group["versions"][0]["resources"]
        assert (resource["shortNames"], resource["subresources"][0]["subresource"]) == (["w"], "status")
        await world.client.delete(CUSTOM_RESOURCE_DEFINITION, Key("", "widgets.example.com"))
        watch = world.client.watch(CUSTOM_RESOURCE_DEFINITION, since=str(world.store.revision - 1))
        while (await anext(watch)).type != "DELETED":
            pass
        await watch.aclose()
        _, groups, _ = await world.send("GET", "/apis")
        assert "example.com" not in [each["name"] for each in groups["groups"]]

    with_world(check)


def test_openapi_documents_change_their_hash_when_they_change():
    async def check(world):
        _, before, _ = await world.send("GET", "/openapi/v3")
        await world.client.create(CUSTOM_RESOURCE_DEFINITION, definition())
        _, after, _ = await world.send("GET", "/openapi/v3")
        assert before["paths"]["api/v1"] == after["paths"]["api/v1"]
        assert "apis/example.com/v1" not in before["paths"]
        url = after["paths"]["apis/example.com/v1"]["serverRelativeURL"]
        _, document, _ = await world.send("GET", url)
        patch = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
        assert patch["x-kubernetes-group-version-kind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
        assert "fieldValidation" in [parameter["name"] for parameter in patch["parameters"]]
        assert (await world.send("GET", "/openapi/v3/apis/nothing/v1"))[0] == 404

    with_world(check)


def test_every_reference_in_a_document_leads_somewhere():
    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    async def check(world):
        for path in ("api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1"):
            _, document, _ = await world.send("GET", f"/openapi/v3/{path}")
            known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
            assert set(references(document)) <= known

    with_world(check)


def test_the_second_version_is_there_for_old_clients_only():
    async def check(world):
        assert (await world.send("GET", "/openapi/v2"))[0] == 404
        response = await world.app.handle(
            Request("GET", "/openapi/v2", headers={"accept": TYPES[0]}, user=world.admin), wire=True
        )
        assert response.headers["content-type"] == TYPES[1]
        assert b"group: apps\nkind: Deployment\nversion: v1\n" in response.body
        assert b'group: ""\nkind: Pod\nversion: v1\n' in response.body

    with_world(check)


def test_version_and_health():
    async def check(world):
        _, version, _ = await world.send("GET", "/version/")
        assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "36", "v1.36.0+argosy")
        for path in ("/healthz", "/livez", "/readyz"):
            assert (await world.send("GET", path))[1] == "ok"
        world.app.ready = False
        assert (await world.send("GET", "/readyz"))[0] == 500
        assert (await world.send("GET", "/livez"))[0] == 200
        _, text, _ = await world.send("GET", "/metrics")
        assert "apiserver_request_total" in text

    with_world(check)


def test_versions_in_order_of_preference():
    given = ["v1alpha1", "foo", "v2", "v1beta2", "v10", "v1", "v1beta1", "v2alpha1"]
    assert sorted(given, key=version_rank, reverse=True) == [
        "v10",
        "v2",
        "v1",
        "v1beta2",
        "v1beta1",
        "v2alpha1",
        "v1alpha1",
        "foo",
    ]
