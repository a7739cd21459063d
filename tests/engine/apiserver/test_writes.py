import asyncio

import pytest
from api_world import ADMIN, config_map, deployment, pod, with_world

from argosy.client.requests import JSON_PATCH, STRATEGIC_PATCH
from argosy.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound, UnsupportedMediaType
from argosy.kinds import CONFIG_MAP, DEPLOYMENT, JOB, LEASE, POD, SECRET
from argosy.meta.json import thaw
from argosy.meta.objects import Key, key_of

A = Key("default", "a")


def test_a_create_fills_in_what_the_server_knows():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map(data={"k": "v"}))
        meta = made["metadata"]
        assert meta["uid"]
        assert meta["resourceVersion"] == str(world.store.revision)
        assert meta["creationTimestamp"] == "2026-01-01T12:00:00Z"
        assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
        assert await world.client.get(CONFIG_MAP, "a", "default") == made

    with_world(check)


def test_the_callers_object_stays_as_it_is():
    async def check(world):
        mine = pod()
        before = thaw(mine)
        await world.client.create(POD, mine)
        assert mine == before

    with_world(check)


def test_a_second_create_meets_the_first():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists) as caught:
            await world.client.create(CONFIG_MAP, config_map())
        assert caught.value.message == 'configmaps "a" already exists'

    with_world(check)


def test_of_many_creates_of_one_name_exactly_one_wins():
    async def check(world):
        tasks = [world.client.create(CONFIG_MAP, config_map(data={"n": str(n)})) for n in range(20)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 1
        assert sum(isinstance(result, AlreadyExists) for result in results) == 19

    with_world(check)


def test_generated_names_differ_and_keep_their_beginning():
    async def check(world):
        obj = config_map()
        obj["metadata"] = {"generateName": "x-", "namespace": "default"}
        names = {(await world.client.create(CONFIG_MAP, obj))["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20
        assert all(name.startswith("x-") and len(name) == 7 for name in names)

    with_world(check)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"metadata": {"name": "A b", "namespace": "default"}}, Invalid, "a lowercase RFC 1123 subdomain"),
        ({"metadata": {"namespace": "default"}}, Invalid, "name or generateName is required"),
        ({"metadata": {"name": "a", "namespace": "nowhere"}}, NotFound, 'namespaces "nowhere" not found'),
        ({"apiVersion": "v2"}, BadRequest, "does not match the expected API version (v1)"),
        ({"data": 5}, BadRequest, "cannot unmarshal number"),
    ],
)
def test_what_cannot_be_created_says_why(change, error, words):
    async def check(world):
        with pytest.raises(error) as caught:
            await world.client.create(CONFIG_MAP, config_map() | change)
        assert words in caught.value.message

    with_world(check)


def test_a_dry_run_answers_and_keeps_nothing():
    async def check(world):
        revision = world.store.revision
        made = await world.client.create(CONFIG_MAP, config_map(), dry_run=True)
        assert made["metadata"]["uid"]
        assert "resourceVersion" not in made["metadata"]
        assert world.store.revision == revision

    with_world(check)


def test_unknown_fields_are_refused_warned_of_or_passed_over():
    async def check(world):
        path = "/api/v1/namespaces/default/configmaps"
        code, body, _ = await world.send("POST", f"{path}?fieldValidation=Strict", config_map(foo=1))
        assert code == 400
        assert body["message"].endswith('strict decoding error: unknown field "foo"')
        code, body, headers = await world.send("POST", path, config_map(foo=1))
        assert (code, headers["warning"]) == (201, '299 - "unknown field \\"foo\\""')
        assert "foo" not in body
        code, _, headers = await world.send("POST", f"{path}?fieldValidation=Ignore", config_map("b", foo=1))
        assert code == 201
        assert "warning" not in headers

    with_world(check)


def test_duplicate_keys_are_noticed_in_json_and_yaml():
    async def check(world):
        path = "/api/v1/namespaces/default/configmaps?fieldValidation=Strict"
        json = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"a":"1","a":"2"}}'
        code, body, _ = await world.send("POST", path, json)
        assert code == 400
        assert body["message"].endswith('duplicate field "data.a"')
        for odd in (b'"a" :"1","a":"2"', b'"a":"1","a":"\\u0022:"', b'"a": "1", "a": "2"', b'"a":"1\\":","a":"2"'):
            body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"k"},"data":{%b}}' % odd
            code, body, _ = await world.send("POST", path, body)
            assert (code, body["message"][-24:]) == (400, 'duplicate field "data.a"')
        once = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l"},"data":{"a" : "\\u0022:", "b":"\\":"}}'
        assert (await world.send("POST", path, once))[0] == 201
        yaml = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata: {}\ndata: {}\n"
        code, body, _ = await world.send("POST", path, yaml, type="application/yaml")
        assert code == 400
        assert 'line 6: key "data" already set in map' in body["message"]

    with_world(check)


def test_an_update_needs_the_current_version_where_it_names_one():
    async def check(world):
        first = await world.client.create(CONFIG_MAP, config_map())
        second = await world.client.update(CONFIG_MAP, thaw(first) | {"data": {"k": "1"}})
        assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
        with pytest.raises(Conflict) as caught:
            await world.client.update(CONFIG_MAP, thaw(first) | {"data": {"k": "2"}})
        assert caught.value.message == (
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to'
            " the latest version and try again"
        )
        unconditional = await world.client.update(CONFIG_MAP, config_map(data={"k": "3"}))
        assert unconditional["data"] == {"k": "3"}

    with_world(check)


def test_an_update_that_changes_nothing_makes_no_revision():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map(data={"k": "v"}))
        for write in (
            world.client.update(CONFIG_MAP, config_map(data={"k": "v"})),
            world.client.patch(CONFIG_MAP, A, {}),
            world.client.patch(CONFIG_MAP, A, {"data": {"k": "v"}}),
        ):
            assert (await write)["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    with_world(check)


def test_a_put_creates_only_the_kinds_that_allow_it():
    async def check(world):
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "l", "namespace": "default"},
        }
        assert (await world.client.update(LEASE, lease))["metadata"]["uid"]
        with pytest.raises(NotFound):
            await world.client.update(CONFIG_MAP, config_map())

    with_world(check)


def test_metadata_that_may_not_change():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map())
        with pytest.raises(Invalid) as caught:
            await world.client.patch(CONFIG_MAP, A, {"metadata": {"uid": "other"}})
        assert "metadata.uid: Invalid value" in caught.value.message
        with pytest.raises(BadRequest):
            await world.client.patch(CONFIG_MAP, A, {"metadata": {"name": "b"}})
        kept = await world.client.patch(CONFIG_MAP, A, {"metadata": {"creationTimestamp": None, "generation": 7}})
        assert kept["metadata"]["creationTimestamp"] == "2026-01-01T12:00:00Z"
        assert "generation" not in kept["metadata"]

    with_world(check)


def test_generation_counts_what_is_wanted_not_what_is():
    async def check(world):
        key = Key("default", "d")
        assert (await world.client.create(DEPLOYMENT, deployment()))["metadata"]["generation"] == 1
        labelled = await world.client.patch(DEPLOYMENT, key, {"metadata": {"labels": {"x": "y"}}})
        assert labelled["metadata"]["generation"] == 1
        scaled = await world.client.patch(DEPLOYMENT, key, {"spec": {"replicas": 3}, "status": {"replicas": 9}})
        assert (scaled["metadata"]["generation"], scaled["status"]) == (2, {})
        told = await world.client.patch(
            DEPLOYMENT, key, {"spec": {"replicas": 8}, "status": {"replicas": 2}}, subresource="status"
        )
        assert (told["metadata"]["generation"], told["spec"]["replicas"], told["status"]["replicas"]) == (2, 3, 2)

    with_world(check)


def test_patches_in_their_languages():
    async def check(world):
        await world.client.create(DEPLOYMENT, deployment())
        key = Key("default", "d")
        operations = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
        body = {"spec": {"template": {"spec": {"containers": [{"name": "s", "image": "j"}]}}}}
        path = DEPLOYMENT.path("default", "d")
        code, made, _ = await world.send("PATCH", path, operations, type=JSON_PATCH)
        assert (code, made["spec"]["replicas"]) == (200, 4)
        made = await world.client.patch(DEPLOYMENT, key, body, content_type=STRATEGIC_PATCH)
        assert [c["name"] for c in made["spec"]["template"]["spec"]["containers"]] == ["s", "c"]
        with pytest.raises(UnsupportedMediaType):
            await world.client.patch(DEPLOYMENT, key, body, content_type="application/json")
        code, refused, _ = await world.send("PATCH", path, [{"op": "remove", "path": "/nothing"}], type=JSON_PATCH)
        assert (code, refused["details"]) == (422, {})

    with_world(check)


def test_secrets_keep_text_as_bytes():
    async def check(world):
        secret = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "v"}}
        made = await world.client.create(SECRET, secret)
        assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
        assert "stringData" not in made

    with_world(check)


def test_a_job_knows_its_pods_by_its_uid():
    async def check(world):
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        made = await world.client.create(
            JOB, {"metadata": {"name": "j", "namespace": "default"}, "spec": {"template": template}}
        )
        uid = made["metadata"]["uid"]
        assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        assert made["spec"]["template"]["metadata"]["labels"]["job-name"] == "j"

    with_world(check)


def test_who_owns_which_field():
    async def check(world):
        path = CONFIG_MAP.path("default", "a")
        apply = "application/apply-patch+yaml"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "1"}}
        code, made, _ = await world.send("PATCH", f"{path}?fieldManager=one", body, type=apply)
        assert code == 201
        assert made["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:k": {}}}
        code, refused, _ = await world.send(
            "PATCH", f"{path}?fieldManager=two", body | {"data": {"k": "2"}}, type=apply
        )
        assert (code, refused["details"]["causes"][0]["field"]) == (409, ".data.k")
        query = f"{path}?fieldManager=two&force=true"
        code, made, _ = await world.send("PATCH", query, body | {"data": {"k": "2"}}, type=apply)
        assert (code, made["data"]) == (200, {"k": "2"})
        code, made, _ = await world.send("PATCH", f"{path}?fieldManager=two", body | {"data": {}}, type=apply)
        assert (code, made.get("data")) == (200, None)

    with_world(check)


def test_the_engines_own_objects_carry_no_ownership():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map(data={"k": "v"}))
        assert "managedFields" not in made["metadata"]
        patched = await world.client.patch(CONFIG_MAP, key_of(made), {"data": {"k": "w"}})
        assert "managedFields" not in patched["metadata"]

    with_world(check, untracked=frozenset({ADMIN.name}))


def test_a_workload_whose_body_names_no_kind():
    """The path has named it."""

    async def check(world):
        wanted = deployment()
        for field in ("kind", "apiVersion"):
            wanted.pop(field, None)
        assert (await world.client.create(DEPLOYMENT, wanted))["kind"] == "Deployment"

    with_world(check)
