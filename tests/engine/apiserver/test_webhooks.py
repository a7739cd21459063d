"""Admission webhooks, asked over HTTPS as on any cluster: here a server of the test's own on this machine."""

import base64
import json

from aiohttp import web
from api_world import config_map, definition, deployment, pod
from hook_world import EVERY_MAP, with_hooks

from argosy.client.requests import MERGE_PATCH

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def patched(*operations):
    encoded = base64.b64encode(json.dumps(list(operations)).encode()).decode()
    return {"patchType": "JSONPatch", "patch": encoded}


async def configure(world, sort, *hooks, name="c"):
    plural = f"{sort.lower()}webhookconfigurations"
    code, body, _ = await world.send("POST", f"{ADMISSION}/{plural}", {"metadata": {"name": name}, "webhooks": hooks})
    assert code == 201, body


def test_one_changes_what_is_created_and_another_says_no(tmp_path):
    async def check(world, hooks):
        hooks.answers["m"] = patched({"op": "add", "path": "/data", "value": {"by": "hook"}})
        hooks.answers["v"] = lambda r: (
            {"warnings": ["be careful"]}
            if r["object"]["metadata"]["name"] != "bad"
            else {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "not that one"}}
        )
        await configure(world, "Mutating", hooks.hook("m"))
        await configure(world, "Validating", hooks.hook("v"))
        code, made, headers = await world.send("POST", MAPS, config_map("a"))
        assert (code, made["data"], headers["warning"]) == (201, {"by": "hook"}, '299 - "be careful"')
        path, request = hooks.asked[1]
        assert path == "v"
        assert request["object"]["data"] == {"by": "hook"}
        assert request["object"]["kind"] == "ConfigMap"
        assert (request["operation"], request["oldObject"], request["dryRun"]) == ("CREATE", None, False)
        assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
        assert request["options"]["kind"] == "CreateOptions"
        code, body, _ = await world.send("POST", MAPS, config_map("bad"))
        assert (code, body["reason"]) == (403, "Forbidden")
        assert body["message"] == 'admission webhook "a.example.com" denied the request: not that one'
        assert (await world.send("GET", f"{MAPS}/bad"))[0] == 404

    with_hooks(tmp_path, check)


def test_updates_and_deletes_are_asked_about(tmp_path):
    async def check(world, hooks):
        hooks.answers["v"] = lambda r: {"allowed": r["operation"] != "DELETE"}
        await world.send("POST", MAPS, config_map("a"))
        await configure(world, "Validating", hooks.hook("v"))
        code, _, _ = await world.send("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, type=MERGE_PATCH)
        assert code == 200
        code, body, _ = await world.send("DELETE", f"{MAPS}/a")
        assert (code, body["message"]) == (
            400, 'admission webhook "a.example.com" denied the request without explanation',
        )  # fmt: skip
        (_, update), (_, removal) = hooks.asked
        assert (update["operation"], update["oldObject"].get("data")) == ("UPDATE", None)
        assert (update["object"]["data"], update["options"]["kind"]) == ({"x": "1"}, "PatchOptions")
        assert (removal["object"], removal["oldObject"]["data"]) == (None, {"x": "1"})

    with_hooks(tmp_path, check)


def test_who_is_not_meant_is_not_asked(tmp_path):
    async def check(world, hooks):
        hooks.answers["v"] = {"allowed": False}
        chosen = {"matchLabels": {"guarded": "yes"}}
        await configure(
            world, "Validating",
            hooks.hook("v", "other.example.com", rules=[{**EVERY_MAP, "resources": ["secrets"]}]),
            hooks.hook("v", "object.example.com", objectSelector=chosen),
            hooks.hook("v", "namespace.example.com", namespaceSelector=chosen),
            hooks.hook("v", "condition.example.com", matchConditions=[{"name": "n", "expression": "object.metadata.name == 'b'"}]),
        )  # fmt: skip
        assert (await world.send("POST", MAPS, config_map("a")))[0] == 201
        assert hooks.asked == []
        _, body, _ = await world.send("POST", MAPS, config_map("b"))
        assert 'webhook "condition.example.com"' in body["message"]
        labelled = config_map("a2")
        labelled["metadata"]["labels"] = {"guarded": "yes"}
        _, body, _ = await world.send("POST", MAPS, labelled)
        assert 'webhook "object.example.com"' in body["message"]
        # The configurations themselves are never asked about, or nobody could take a bad one back.
        assert (await world.send("DELETE", f"{ADMISSION}/validatingwebhookconfigurations/c"))[0] == 200

    with_hooks(tmp_path, check)


def test_a_webhook_that_does_not_answer_decides_by_its_failure_policy(tmp_path):
    async def check(world, hooks):
        hooks.answers["broken"] = lambda r: web.Response(status=500, text="oh no")
        hooks.answers["odd"] = {"uid": "another"}
        await configure(world, "Validating", hooks.hook("broken"), name="broken")
        code, body, _ = await world.send("POST", MAPS, config_map("a"))
        assert (code, body["reason"]) == (500, "InternalError")
        assert body["message"].startswith('Internal error occurred: failed calling webhook "a.example.com": failed to ')
        await world.send("DELETE", f"{ADMISSION}/validatingwebhookconfigurations/broken")
        await configure(world, "Validating", hooks.hook("odd"), name="odd")
        code, body, _ = await world.send("POST", MAPS, config_map("a"))
        assert (code, "received invalid webhook response: expected response.uid=" in body["message"]) == (500, True)
        await world.send("DELETE", f"{ADMISSION}/validatingwebhookconfigurations/odd")
        nobody = {"service": {"namespace": "default", "name": "nobody", "path": "/x"}}
        await configure(world, "Validating", hooks.hook("x", clientConfig=nobody, failurePolicy="Ignore"), name="gone")
        assert (await world.send("POST", MAPS, config_map("a")))[0] == 201

    with_hooks(tmp_path, check)


def test_a_dry_run_says_that_it_is_one(tmp_path):
    async def check(world, hooks):
        hooks.answers["v"] = {}
        await configure(world, "Validating", hooks.hook("v"), name="a")
        assert (await world.send("POST", f"{MAPS}?dryRun=All", config_map("a")))[0] == 201
        assert hooks.asked[0][1]["dryRun"] is True

    with_hooks(tmp_path, check)


def test_an_injected_container_is_completed_and_one_that_asked_is_asked_again(tmp_path):
    async def check(world, hooks):
        rule = [{**EVERY_MAP, "resources": ["pods"], "operations": ["CREATE"]}]
        sidecar = {"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "s:1"}}
        hooks.answers["first"] = {}
        hooks.answers["inject"] = patched(sidecar)
        await configure(
            world, "Mutating", hooks.hook("first", "first.example.com", rules=rule, reinvocationPolicy="IfNeeded"),
            hooks.hook("inject", "inject.example.com", rules=rule),
        )  # fmt: skip
        code, made, _ = await world.send("POST", PODS, pod("p"))
        assert code == 201
        assert [path for path, _ in hooks.asked] == ["first", "inject", "first"]
        one, side = made["spec"]["containers"]
        assert side["terminationMessagePath"] == "/dev/termination-log"
        assert side["volumeMounts"] == one["volumeMounts"]
        assert len(made["spec"]["volumes"]) == 1
        again = hooks.asked[2][1]["object"]["spec"]["containers"]
        assert [c["name"] for c in again] == ["c", "side"]

    with_hooks(tmp_path, check)


def test_a_write_that_others_overtook_meanwhile_is_done_over(tmp_path):
    async def check(world, hooks):
        await world.send("POST", MAPS, config_map("a", data={"n": "0"}))
        raced = []

        async def race(request):
            if not raced:
                raced.append(True)
                other = {"data": {"other": "1"}, "metadata": {"labels": {"skip": "yes"}}}
                await world.send("PATCH", f"{MAPS}/a", other, type=MERGE_PATCH)
            return {}

        hooks.answers["v"] = race
        unskipped = {"matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}]}
        hook = hooks.hook("v", objectSelector=unskipped)
        hook["matchConditions"] = [{"name": "n", "expression": "has(object.data.mine)"}]
        await configure(world, "Validating", hook)
        code, made, _ = await world.send("PATCH", f"{MAPS}/a", {"data": {"mine": "1"}}, type=MERGE_PATCH)
        assert code == 200
        assert made["data"] == {"n": "0", "other": "1", "mine": "1"}

    with_hooks(tmp_path, check)


def test_custom_kinds_are_asked_about_in_the_version_that_a_rule_names(tmp_path):
    async def check(world, hooks):
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        crd = definition()
        crd["spec"]["versions"].append({"name": "v2", "served": True, "storage": False, "schema": schema})
        await world.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        hooks.answers["v"] = {}
        rule = {"apiGroups": ["example.com"], "apiVersions": ["v2"], "operations": ["CREATE"], "resources": ["widgets"]}
        await configure(world, "Validating", hooks.hook("v", rules=[rule]))
        await configure(
            world, "Validating", hooks.hook("v", "exact.example.com", rules=[rule], matchPolicy="Exact"), name="exact"
        )
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        assert (await world.send("POST", "/apis/example.com/v1/namespaces/default/widgets", widget))[0] == 201
        ((_, request),) = hooks.asked
        assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v2", "v1")
        assert request["object"]["apiVersion"] == "example.com/v2"

    with_hooks(tmp_path, check)


def test_scale_bindings_and_evictions_are_asked_about_as_what_they_are(tmp_path):
    async def check(world, hooks):
        hooks.answers["m"] = lambda r: patched({"op": "replace", "path": "/spec/replicas", "value": 2})
        hooks.answers["v"] = lambda r: {"allowed": False, "status": {"message": f"no {r['kind']['kind']}"}}
        inner = {"apiGroups": ["", "apps"], "apiVersions": ["v1"], "operations": ["*"]}
        await world.send("POST", "/apis/apps/v1/namespaces/default/deployments", deployment("d"))
        await world.send("POST", PODS, pod("p"))
        await configure(world, "Mutating", hooks.hook("m", rules=[{**inner, "resources": ["deployments/scale"]}]))
        where = "/apis/apps/v1/namespaces/default/deployments/d/scale"
        code, scale, _ = await world.send("PATCH", where, {"spec": {"replicas": 5}}, type=MERGE_PATCH)
        assert (code, scale["spec"]["replicas"]) == (200, 2)
        _, request = hooks.asked[-1]
        assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        assert (request["subResource"], request["object"]["spec"]["replicas"]) == ("scale", 5)
        assert request["resource"]["resource"] == "deployments"
        rule = {**inner, "resources": ["pods/binding", "pods/eviction"]}
        await configure(world, "Validating", hooks.hook("v", rules=[rule]))
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n"}}
        code, body, _ = await world.send("POST", f"{PODS}/p/binding", binding)
        assert (code, body["message"].endswith("denied the request: no Binding")) == (400, True)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        code, body, _ = await world.send("POST", f"{PODS}/p/eviction", eviction)
        assert (code, body["message"].endswith("denied the request: no Eviction")) == (400, True)
        assert (await world.send("GET", f"{PODS}/p"))[0] == 200

    with_hooks(tmp_path, check)
