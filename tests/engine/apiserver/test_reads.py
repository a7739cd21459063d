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
        _, body, _ = await world.send("GET", "/api/v1/configmaps?labelSelector=a=none", accept=accept)
        assert body["items"] is None

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


def test_a_column_of_texts_shows_numbers_nulls_and_lists_as_go_prints_them():
    async def check(world):
        columns = [{"name": "V", "type": "string", "jsonPath": ".spec.v"}]
        spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"type": "object", "properties": {"spec": spec}}
        await world.client.create(
            CUSTOM_RESOURCE_DEFINITION, definition(additionalPrinterColumns=columns, schema=schema)
        )
        path = "/apis/example.com/v1/namespaces/default/widgets"
        for value, shown in (
            (1.5, "1.5"), (1234567.5, "1.2345675e+06"), (0.00001, "1e-05"), (-0.25, "-0.25"), (2, "2"), (None, "<no value>"),
            ({"b": "<", "a": None}, '{"a":null,"b":"\\u003c"}'), ([1, "x"], '[1,"x"]'), ("", ""), (True, "true"),
        ):  # fmt: skip
            widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"v": value}}
            await world.send("POST", path, widget)
            _, table, _ = await world.send("GET", f"{path}/w", accept=TABLE)
            assert table["rows"][0]["cells"] == ["w", shown]
            await world.send("DELETE", f"{path}/w")

    with_world(check)


def test_what_nobody_can_produce():
    html, partial = "text/html", "application/json;as=PartialObjectMetadata{};v=v1;g=meta.k8s.io"
    offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    refused = "406: Not Acceptable\n\nAvailable representations: "
    asked = "you requested PartialObjectMetadata"
    shape = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.Namespace)"
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    included = (
        "Unable to convert to Table as requested: includeObject: Invalid value: \"Foo\": must be 'Metadata', 'Object', 'None',"
        " or empty"
    )

    async def check(world):
        await world.client.create(CUSTOM_RESOURCE_DEFINITION, definition())
        for accept, path, code, message in (
            (html, "/api/v1/pods", 406, f"{refused}{offered}, {streams}"),
            ("application/*", "/api/v1/namespaces/default", 406, f"{refused}{offered}"),
            (html, "/api/v1/namespaces/default/pods/x/log", 406, f"{refused}text/plain, {offered}"),
            (html, widgets, 406, f"only the following media types are accepted: {offered}"),
            (partial.format(""), "/api/v1/pods", 406, f"{asked}, but the requested object is a list (*core.PodList)"),
            (partial.format(""), "/apis/rbac.authorization.k8s.io/v1/clusterroles", 406,
             f"{asked}, but the requested object is a list (*rbac.ClusterRoleList)"),
            (partial.format(""), widgets, 406,
             f"{asked}, but the requested object is a list (*unstructured.UnstructuredList)"),
            (partial.format("List"), "/api/v1/namespaces/default", 406, shape),
            (TABLE, "/api/v1/pods?includeObject=Foo", 400, included),
        ):  # fmt: skip
            answer, body, _ = await world.send("GET", path, accept=accept)
            assert (answer, body["message"]) == (code, message)
            assert ("details" in body) == message.startswith("406")

    with_world(check)


def test_one_object_is_watched_by_its_own_path_only_below_watch():
    async def check(world):
        await fill(world, 1)
        path = "/api/v1/namespaces/default"
        _, body, _ = await world.send("GET", f"{path}?watch=true&timeoutSeconds=1")
        assert body["kind"] == "Namespace"
        code, _, _ = await world.send("GET", "/api/v1/namespaces/none?watch=true")
        assert code == 404
        _, events, _ = await world.send("GET", "/api/v1/watch/namespaces/default?timeoutSeconds=1")
        assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("ADDED", "default")]
        code, _, _ = await world.send("DELETE", "/api/v1/watch/namespaces/default/configmaps/c0")
        assert code == 405

    with_world(check)


def test_metadata_alone_and_tables_are_of_what_is_stored():
    async def check(world):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        path = "/apis/apps/v1/namespaces/default/daemonsets"
        await world.send("POST", path, {"metadata": {"name": "d"}, "spec": spec})
        _, whole, _ = await world.send("GET", f"{path}/d")
        assert whole["metadata"]["annotations"]
        for accept in (TABLE, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"):
            _, body, _ = await world.send("GET", f"{path}/d", accept=accept)
            part = body["rows"][0]["object"] if body["kind"] == "Table" else body
            assert "annotations" not in part["metadata"]
        ref = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
        metrics = [
            {
                "type": "Resource",
                "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 5}},
            }
        ]
        scaler = {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": ref, "maxReplicas": 3, "metrics": metrics}}
        await world.send("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler)
        _, table, _ = await world.send(
            "GET", "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/h", accept=TABLE
        )
        assert table["rows"][0]["cells"][2] == "memory: <unknown>/5%"
        assert "annotations" not in table["rows"][0]["object"]["metadata"]

    with_world(check)


def test_every_column_of_a_built_in_kind_says_what_it_is_about():
    async def check(world):
        for path in (
            "/api/v1/podtemplates", "/api/v1/namespaces", "/api/v1/resourcequotas", "/apis/storage.k8s.io/v1/csidrivers",
            "/apis/networking.k8s.io/v1/ipaddresses", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "/apis/apps/v1/deployments",
            "/apis/storage.k8s.io/v1/volumeattachments", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
        ):  # fmt: skip
            _, table, _ = await world.send("GET", path, accept=TABLE)
            assert all(column["description"] for column in table["columnDefinitions"]), path
            assert table["columnDefinitions"][0]["name"] == "Name"

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


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=", 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ("limit=1.5", 400, 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("limit=9999999999999999999", 400, 'strconv.ParseInt: parsing "9999999999999999999": value out of range'),
        ("continue=~~", 400, "illegal base64 data at input byte 0"),
        ("continue=MTIz", 400, "json: cannot unmarshal number into Go value of type storage.continueToken"),
        ("continue=eyJhIjoxfQ", 400, "server does not recognize this encoded version "),
        ("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ", 400, "encoded start key empty (version meta.k8s.io/v1)"),
        ("resourceVersion=18446744073709551616", 400, '18446744073709551616": value out of range'),
        ("sendInitialEvents=false", 422, "sendInitialEvents is forbidden for list"),
        ("watch=1&resourceVersion=5&resourceVersionMatch=Exact", 422, 'Unsupported value: "Exact": supported values: "NotOlderThan"'),
        ("watch=1&continue=abc", 422, "resourceVersionMatch is forbidden when continue is provided"),
    ],
)  # fmt: skip
def test_parameters_of_lists_that_make_no_sense(query, code, message):
    async def check(world):
        answer, body, _ = await world.send("GET", f"/api/v1/configmaps?{query}")
        assert answer == code
        assert message in body["message"]
        if "watch" not in query:  # a deletion of a collection is held against the same rules
            answer, body, _ = await world.send("DELETE", f"/api/v1/namespaces/default/configmaps?{query}")
            assert (answer, message in body["message"]) == (code, True)

    with_world(check)


def test_services_are_selected_by_address_and_type():
    async def check(world):
        path = "/api/v1/namespaces/default/services"
        for name, address in (("a", "None"), ("b", None)):
            spec = {"ports": [{"port": 80}], **({"clusterIP": address} if address else {})}
            await world.send("POST", path, {"metadata": {"name": name}, "spec": spec})
        for selector, names in (("spec.clusterIP=None", ["a"]), ("spec.type=ClusterIP", ["a", "b"])):
            _, body, _ = await world.send("GET", f"{path}?fieldSelector={selector}")
            assert [
                item["metadata"]["name"] for item in body["items"] if item["metadata"]["name"] != "kubernetes"
            ] == names
        for path, message in (
            ("/apis/batch/v1/jobs", 'field label "a" not supported for Job'),
            ("/apis/resource.k8s.io/v1/resourceslices",
             "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a"),
        ):  # fmt: skip
            _, body, _ = await world.send("GET", f"{path}?fieldSelector=a=1")
            assert message in body["message"]

    with_world(check)


def test_a_list_as_old_as_it_likes_comes_whole():
    async def check(world):
        await fill(world, 3)
        _, body, _ = await world.send("GET", "/api/v1/configmaps?limit=1&resourceVersion=0&labelSelector=odd")
        assert len(body["items"]) == 3
        assert "continue" not in body["metadata"]
        _, body, _ = await world.send(
            "GET", "/api/v1/configmaps?labelSelector=odd notin ()&fieldSelector=metadata.name!=c0"
        )
        assert {"c1", "c2"} <= {item["metadata"]["name"] for item in body["items"]}
        for selector, why in (("metadata.name=c\\0", "invalid escape sequence: \\0"),
                              ("metadata.name=a=b", "unescaped character in value: 61")):  # fmt: skip
            code, body, _ = await world.send("GET", f"/api/v1/configmaps?fieldSelector={selector}")
            assert (code, body["message"].endswith(f"invalid field selector: {why}")) == (400, True)

    with_world(check)
