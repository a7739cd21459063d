import pytest
from api_world import config_map, definition, deployment, pod, with_world

from argosy.errors import Conflict, Forbidden, Invalid, NotFound
from argosy.kinds import CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, NAMESPACE, POD
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

A = Key("default", "a")
WIDGET = Kind("example.com", "v1", "Widget", "widgets")


def held(name="a"):
    made = config_map(name)
    made["metadata"]["finalizers"] = ["example.com/hold"]
    return made


async def gone(world, kind, key):
    with pytest.raises(NotFound):
        await world.client.get(kind, key.name, key.namespace)


def test_what_nothing_holds_goes_at_once():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map())
        status = await world.client.delete(CONFIG_MAP, A)
        assert status["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
        await gone(world, CONFIG_MAP, A)

    with_world(check)


def test_a_finalizer_holds_it_until_it_is_taken_away():
    async def check(world):
        await world.client.create(CONFIG_MAP, held())
        marked = await world.client.delete(CONFIG_MAP, A)
        assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:00Z"
        again = await world.client.delete(CONFIG_MAP, A)
        assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
        with pytest.raises(Invalid):
            await world.client.patch(
                CONFIG_MAP, A, {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}}
            )
        await world.client.patch(CONFIG_MAP, A, {"metadata": {"finalizers": []}})
        await gone(world, CONFIG_MAP, A)

    with_world(check)


def test_a_pod_without_a_node_goes_at_once():
    async def check(world):
        await world.client.create(POD, pod())
        final = await world.client.delete(POD, A)
        assert final["metadata"]["deletionGracePeriodSeconds"] == 0
        await gone(world, POD, A)

    with_world(check)


def test_a_running_pod_has_its_grace_which_may_only_be_shortened():
    async def check(world):
        await world.client.create(POD, pod(nodeName="n"))
        marked = await world.client.delete(POD, A)
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
        assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:30Z"
        assert marked["metadata"]["generation"] == 2
        shorter = await world.client.delete(POD, A, grace_seconds=10)
        assert shorter["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:10Z"
        longer = await world.client.delete(POD, A, grace_seconds=60)
        assert longer["metadata"]["deletionGracePeriodSeconds"] == 10
        await world.client.delete(POD, A, grace_seconds=0)
        await gone(world, POD, A)

    with_world(check)


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_its_mark(policy, finalizer):
    async def check(world):
        await world.client.create(DEPLOYMENT, deployment("a"))
        marked = await world.client.delete(DEPLOYMENT, A, propagation=policy)
        assert marked["metadata"]["finalizers"] == [finalizer]
        await world.client.delete(DEPLOYMENT, A, propagation="Background")
        await gone(world, DEPLOYMENT, A)

    with_world(check)


def test_preconditions():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map())
        with pytest.raises(Conflict) as caught:
            await world.client.delete(CONFIG_MAP, A, uid="other")
        assert "the UID in the precondition (other) does not match" in caught.value.message
        body = {"preconditions": {"resourceVersion": "1"}}
        code, _, _ = await world.send("DELETE", CONFIG_MAP.path("default", "a"), body)
        assert code == 409
        await world.client.delete(CONFIG_MAP, A, uid=made["metadata"]["uid"])

    with_world(check)


def test_a_dry_run_deletes_nothing():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map())
        code, _, _ = await world.send("DELETE", CONFIG_MAP.path("default", "a") + "?dryRun=All")
        assert code == 200
        assert await world.client.get(CONFIG_MAP, "a", "default")

    with_world(check)


def test_collections_go_by_selector():
    async def check(world):
        for name, labels in (("a", {"x": "1"}), ("b", {}), ("c", {"x": "1"})):
            made = config_map(name)
            made["metadata"]["labels"] = labels
            await world.client.create(CONFIG_MAP, made)
        code, body, _ = await world.send("DELETE", CONFIG_MAP.path("default") + "?labelSelector=x=1")
        assert (code, [item["metadata"]["name"] for item in body["items"]]) == (200, ["a", "c"])
        left = await world.client.list(CONFIG_MAP, "default")
        assert [item["metadata"]["name"] for item in left.items] == ["b"]

    with_world(check)


def test_a_namespace_stays_until_it_is_finalized_and_takes_nothing_new():
    async def check(world):
        await world.namespace("x")
        marked = await world.client.delete(NAMESPACE, Key("", "x"))
        assert marked["status"]["phase"] == "Terminating"
        with pytest.raises(Forbidden) as caught:
            await world.client.create(CONFIG_MAP, config_map("a", "x"))
        assert "because it is being terminated" in caught.value.message
        await world.send("PUT", "/api/v1/namespaces/x/finalize", marked | {"spec": {"finalizers": []}})
        await gone(world, NAMESPACE, Key("", "x"))

    with_world(check)


def test_some_namespaces_may_not_go():
    async def check(world):
        with pytest.raises(Forbidden):
            await world.client.delete(NAMESPACE, Key("", "default"))

    with_world(check)


def test_a_definition_takes_its_objects_with_it():
    async def check(world):
        await world.client.create(CUSTOM_RESOURCE_DEFINITION, definition())
        path = "/apis/example.com/v1/namespaces/default/widgets"
        for name, finalizers in (("free", []), ("held", ["example.com/hold"])):
            meta = {"name": name, "finalizers": finalizers}
            body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta}
            assert (await world.send("POST", path, body))[0] == 201
        since = str(world.store.revision)
        watch = world.client.watch(CUSTOM_RESOURCE_DEFINITION, since=since)
        widgets = world.client.watch(WIDGET, since=since)
        await world.client.delete(CUSTOM_RESOURCE_DEFINITION, Key("", "widgets.example.com"))
        assert (await anext(watch)).obj["metadata"]["deletionTimestamp"]
        seen = {event.obj["metadata"]["name"]: event.type for event in [await anext(widgets), await anext(widgets)]}
        assert seen == {"free": "DELETED", "held": "MODIFIED"}
        await world.client.patch(WIDGET, Key("default", "held"), {"metadata": {"finalizers": None}})
        while (await anext(watch)).type != "DELETED":
            pass
        await watch.aclose()
        await widgets.aclose()
        assert (await world.send("GET", path))[0] == 404
        assert (await world.send("GET", "/apis/example.com"))[0] == 404

    with_world(check)


def test_whoever_deletes_a_job_is_warned_that_its_pods_stay():
    async def check(world):
        pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
        body = {"metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}}
        for query, warned in (("", True), ("?propagationPolicy=Background", False)):
            assert (await world.send("POST", "/apis/batch/v1/namespaces/default/jobs", body))[0] == 201
            _, _, headers = await world.send("DELETE", f"/apis/batch/v1/namespaces/default/jobs/j{query}")
            said = [value for name, value in dict(headers).items() if name.lower() == "warning"]
            assert any("child pods are preserved by default" in str(each) for each in said) is warned
            await world.send(
                "PATCH", "/apis/batch/v1/namespaces/default/jobs/j", {"metadata": {"finalizers": None}},
                type="application/merge-patch+json",
            )  # fmt: skip

    with_world(check)


def test_what_was_deleted_is_answered_at_the_revision_of_its_removal():
    async def check(world):
        path = "/api/v1/namespaces/default/serviceaccounts"
        _, made, _ = await world.send("POST", path, {"metadata": {"name": "gone"}})
        _, last, _ = await world.send("DELETE", f"{path}/gone")
        assert int(last["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
        assert last["metadata"]["uid"] == made["metadata"]["uid"]

    with_world(check)


UNMARSHAL = "json: cannot unmarshal {} into Go struct field DeleteOptions.{} of type {}"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"preconditions": 5}, 400, UNMARSHAL.format("number", "preconditions", "v1.Preconditions")),
        ({"gracePeriodSeconds": 1.5}, 400, UNMARSHAL.format("number 1.5", "gracePeriodSeconds", "int64")),
        ({"dryRun": "All"}, 400, UNMARSHAL.format("string", "dryRun", "[]string")),
        ({"propagationPolicy": 5}, 400, UNMARSHAL.format("number", "propagationPolicy", "v1.DeletionPropagation")),
        ({"orphanDependents": "yes"}, 400, UNMARSHAL.format("string", "orphanDependents", "bool")),
        ({"propagationPolicy": ""}, 422, 'Unsupported value: "": supported values: "Foreground", "Background", "Orphan", "nil"'),
        ({"preconditions": {"resourceVersion": ""}}, 409, "the ResourceVersion in the precondition () does not match"),
    ],
)  # fmt: skip
def test_options_of_the_wrong_form_delete_nothing(options, code, message):
    async def check(world):
        path = "/api/v1/namespaces/default/configmaps"
        await world.send("POST", path, {"metadata": {"name": "kept"}})
        answer, body, _ = await world.send("DELETE", f"{path}/kept", options)
        assert (answer, message in body["message"]) == (code, True)
        assert (await world.send("GET", f"{path}/kept"))[0] == 200

    with_world(check)


def test_a_body_overrules_the_query_and_an_empty_dry_run_is_refused():
    async def check(world):
        path = "/api/v1/namespaces/default/configmaps"
        code, body, _ = await world.send("POST", f"{path}?dryRun=", {"metadata": {"name": "a"}})
        assert (code, body["details"]["kind"]) == (422, "CreateOptions")
        held = {"metadata": {"name": "a", "finalizers": ["example.com/x"]}}
        _, made, _ = await world.send("POST", path, held)
        code, body, _ = await world.send("POST", f"{path}?dryRun=Foo", held)
        assert code == 422
        _, kept, _ = await world.send("DELETE", f"{path}/a?dryRun=All")
        assert kept["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        code, _, _ = await world.send(
            "DELETE", f"{path}/a?dryRun=Foo&gracePeriodSeconds=abc", {"orphanDependents": False}
        )
        assert code == 202
        code, body, _ = await world.send(
            "PATCH",
            f"{path}/b?fieldManager=m",
            {"apiVersion": "v1", "kind": "ConfigMap"},
            type="application/apply-patch+yaml",
        )
        why = "the name of the object (b based on URL) was undeterminable: name must be provided"
        assert (code, body["message"]) == (400, why)

    with_world(check)


def test_options_in_the_body_alone_count_where_there_are_both():
    async def check(world):
        path = "/api/v1/namespaces/default/configmaps"
        held = {"metadata": {"name": "a", "finalizers": ["example.com/x"]}}
        await world.send("POST", path, held)
        for _ in range(2):
            code, body, _ = await world.send("DELETE", f"{path}/a?dryRun=All", {"orphanDependents": False})
            assert (code, "deletionTimestamp" in body["metadata"]) == (202, True)
        _, body, _ = await world.send("GET", f"{path}/a")
        assert body["metadata"]["deletionTimestamp"]
        code, _, _ = await world.send("DELETE", f"{path}/a?propagationPolicy=")
        assert code == 422

    with_world(check)
