import pytest
from api_world import config_map, definition, pod, with_world

from argosy.errors import BadRequest, Invalid, NotFound, Timeout
from argosy.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, NODE, POD, SECRET

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"


async def fill(world, count=5):
    for number in range(count):
        made = config_map(f"c{number}")
        made["metadata"]["labels"] = {"odd": str(number % 2), **({"x": ""} if number == 3 else {})}
        await world.client.create(CONFIG_MAP, made)


def names(listed):
    return [item["metadata"]["name"] for item in listed.items]


def test_get_says_what_is_missing():
    async def check(world):
        with pytest.raises(NotFound) as caught:
            await world.client.get(SECRET, "nothing", "default")
        assert caught.value.message == 'secrets "nothing" not found'
        assert caught.value.details == {"name": "nothing", "kind": "secrets"}

    with_world(check)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("odd=1", ["c1", "c3"]), ("odd!=1", ["c0", "c2", "c4"]), ("odd in (0,2)", ["c0", "c2", "c4"]), ("x", ["c3"]),
        ("!x,odd=1", ["c1"]), ("odd>0", ["c1", "c3"]), ("nothing", []),
    ],
)  # fmt: skip
def test_lists_by_label(selector, expected):
    async def check(world):
        await fill(world)
        assert names(await world.client.list(CONFIG_MAP, "default", labels=selector)) == expected

    with_world(check)


def test_lists_by_field():
    async def check(world):
        await world.client.create(POD, pod("a", nodeName="n1"))
        await world.client.create(POD, pod("b"))
        assert names(await world.client.list(POD, fields="spec.nodeName=n1")) == ["a"]
        assert names(await world.client.list(POD, fields="status.phase=Pending,metadata.name!=a")) == ["b"]
        assert names(await world.client.list(POD, fields="metadata.name=b,")) == ["b"]
        for kind, field, words in (
            (POD, "spec.priority=1", "field label not supported: spec.priority"),
            (CONFIG_MAP, "data=x", '"data" is not a known field selector: only "metadata.name", "metadata.namespace"'),
            (CONFIG_MAP, "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ):
            with pytest.raises(BadRequest) as caught:
                await world.client.list(kind, "default", fields=field)
            assert caught.value.message == words

    with_world(check)


def test_pages_lead_to_the_end():
    async def check(world):
        await fill(world)
        seen, token, left = [], "", []
        while True:
            query = f"?limit=2{f'&continue={token}' if token else ''}"
            _, page, _ = await world.send("GET", f"/api/v1/namespaces/default/configmaps{query}")
            seen += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue")
            left.append(page["metadata"].get("remainingItemCount"))
            if not token:
                break
        assert seen == ["c0", "c1", "c2", "c3", "c4"]
        assert left == [3, 1, None]

    with_world(check)


def test_items_of_built_in_lists_do_not_repeat_their_kind():
    async def check(world):
        await fill(world, 1)
        code, body, _ = await world.send("GET", "/api/v1/namespaces/default/configmaps")
        assert (code, body["kind"], body["apiVersion"]) == (200, "ConfigMapList", "v1")
        assert list(body["items"][0]) == ["metadata"]
        in_process = (await world.client.list(CONFIG_MAP, "default")).items[0]
        assert (in_process["kind"], in_process["apiVersion"]) == ("ConfigMap", "v1")

    with_world(check)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("resourceVersion=999999", Timeout), ("resourceVersion=x", BadRequest), ("limit=x", BadRequest),
        ("resourceVersion=0&resourceVersionMatch=Exact", Invalid), ("resourceVersionMatch=Exact", Invalid),
        ("sendInitialEvents=true", Invalid), ("continue=nonsense", BadRequest),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(query, error):
    async def check(world):
        code, body, headers = await world.send("GET", f"/api/v1/configmaps?{query}")
        assert (code, body["reason"]) == (error.code, error.reason)
        if error is Timeout:
            assert headers["retry-after"] == "1"

    with_world(check)


def test_tables_of_lists_and_of_one():
    async def check(world):
        await world.client.create(POD, pod())
        world.clock.advance(minutes=3)
        path = "/api/v1/namespaces/default/pods"
        _, table, _ = await world.send("GET", path, accept=TABLE)
        assert [column["name"] for column in table["columnDefinitions"]][:5] == [
            "Name",
            "Ready",
            "Status",
            "Restarts",
            "Age",
        ]
        assert table["rows"][0]["cells"][:5] == ["a", "0/1", "Pending", "0", "3m"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        _, table, _ = await world.send("GET", f"{path}/a?includeObject=Object", accept=TABLE)
        assert table["rows"][0]["object"]["spec"]
        _, table, _ = await world.send("GET", f"{path}/a?includeObject=None", accept=TABLE)
        assert table["rows"][0]["object"] is None

    with_world(check)


def test_metadata_alone():
    async def check(world):
        await fill(world, 1)
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        _, body, _ = await world.send("GET", "/api/v1/configmaps", accept=accept)
        assert (body["kind"], list(body["items"][0])) == (
            "PartialObjectMetadataList",
            ["kind", "apiVersion", "metadata"],
        )

    with_world(check)


def test_tables_of_custom_kinds_follow_their_columns():
    async def check(world):
        columns = [
            {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Since", "type": "date", "jsonPath": ".spec.since"},
        ]
        crd = definition(additionalPrinterColumns=columns)
        await world.client.create(CUSTOM_RESOURCE_DEFINITION, crd)
        path = "/apis/example.com/v1/namespaces/default/widgets"
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        conditions = [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]
        widget |= {"spec": {"size": 3, "since": "2026-01-01T11:00:00Z"}, "status": {"conditions": conditions}}
        code, _, _ = await world.send("POST", path, widget)
        assert code == 201
        _, table, _ = await world.send("GET", path, accept=TABLE)
        assert table["rows"][0]["cells"] == ["w", "True", 3, "60m"]

    with_world(check)


def test_what_nobody_can_produce():
    async def check(world):
        code, body, _ = await world.send("GET", "/api/v1/pods", accept="text/html")
        assert (code, body["reason"]) == (406, "NotAcceptable")

    with_world(check)


def test_paths_and_methods_that_are_not_there():
    async def check(world):
        for method, path, expected in (
            ("GET", "/nothing", 404), ("GET", "/apis/nothing/v1/things", 404), ("GET", "/api/v1/nothings", 404),
            ("GET", "/api/v1/namespaces/default/nodes", 404), ("GET", "/api/v1/namespaces/default/pods/p/nothing", 404),
            ("PUT", "/api/v1/namespaces/default/pods", 405), ("POST", "/api/v1/namespaces/default/pods/p", 405),
            ("OPTIONS", "/api/v1/pods", 405), ("POST", "/version", 405), ("DELETE", "/api/v1/services", 405),
        ):  # fmt: skip
            code, body, _ = await world.send(method, path, {} if method in ("PUT", "POST") else None)
            assert code == expected, f"{method} {path}: {body}"

    with_world(check)


def test_cluster_scoped_kinds_have_no_namespace():
    async def check(world):
        made = await world.client.create(NODE, {"metadata": {"name": "n", "namespace": "ignored"}})
        assert "namespace" not in made["metadata"]

    with_world(check)
