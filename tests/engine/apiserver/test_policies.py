"""Rules in CEL at the API's edge: those of CustomResourceDefinitions, and ValidatingAdmissionPolicies."""

from api_world import ALICE, config_map, definition, with_world

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
MERGE = "application/merge-patch+json"


def policy(*validations, **spec):
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": list(validations), **spec}
    return {"metadata": {"name": "p"}, "spec": spec}


def binding(*actions, **spec):
    return {"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": list(actions), **spec}}


async def bind(world, made, bound):
    assert (await world.send("POST", f"{ADMISSION}/validatingadmissionpolicies", made))[0] == 201
    assert (await world.send("POST", f"{ADMISSION}/validatingadmissionpolicybindings", bound))[0] == 201


def test_a_policy_denies():
    async def check(world):
        few = {"expression": "variables.n < 2", "messageExpression": "'has ' + string(variables.n)"}
        kept = {
            "expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'keep'",
            "reason": "Forbidden",
        }
        made = policy(
            few, kept,
            variables=[{"name": "n", "expression": "object != null && has(object.data) ? size(object.data) : 0"}],
            matchConditions=[{"name": "free", "expression": "request.name != 'free'"}],
        )  # fmt: skip
        await bind(world, made, binding("Deny"))
        code, body, _ = await world.send("POST", MAPS, config_map("a", data={"x": "1", "y": "2"}))
        why = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: has 2"
        assert (code, body["reason"], body["message"]) == (422, "Invalid", f'configmaps "a" is forbidden: {why}')
        assert body["details"]["causes"] == [{"message": why}]
        assert (await world.send("POST", MAPS, config_map("free", data={"x": "1", "y": "2"})))[0] == 201
        assert (await world.send("POST", MAPS, config_map("keep")))[0] == 201
        patch = {"data": {"x": "1", "y": "2"}}
        assert (await world.send("PATCH", f"{MAPS}/keep", patch, type=MERGE))[0] == 422
        code, body, _ = await world.send("DELETE", f"{MAPS}/keep")
        assert (code, body["message"].endswith(f"failed expression: {kept['expression']}")) == (403, True)

    with_world(check)


def test_a_policy_warns_and_chooses():
    async def check(world):
        made = policy({"expression": "object.data.x == params.data.x", "message": "not x"}, failurePolicy="Ignore",
                      paramKind={"apiVersion": "v1", "kind": "ConfigMap"})  # fmt: skip
        ref = {"name": "wanted", "namespace": "default", "parameterNotFoundAction": "Allow"}
        chosen = {"objectSelector": {"matchLabels": {"held": "yes"}}}
        await bind(world, made, binding("Warn", "Audit", paramRef=ref, matchResources=chosen))
        await world.send("POST", MAPS, config_map("wanted", data={"x": "1"}))
        held = config_map("a", data={"x": "2"})
        assert "warning" not in (await world.send("POST", MAPS, held))[2]
        held["metadata"] |= {"name": "b", "labels": {"held": "yes"}}
        code, _, headers = await world.send("POST", MAPS, held)
        said = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': not x"
        assert (code, headers["warning"]) == (201, f'299 - "{said}"')

    with_world(check)


def test_a_definition_with_rules():
    async def check(world):
        number = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "grows"}]}
        spec = {"type": "object", "properties": {"a": number}, "x-kubernetes-validations": [{"rule": "self.a < 10"}]}
        schema = {"type": "object", "properties": {"spec": spec}}
        assert (await world.send("POST", CRDS, definition(schema=schema)))[0] == 201
        made = {"metadata": {"name": "w"}, "spec": {"a": 50}}
        code, body, _ = await world.send("POST", WIDGETS, made)
        assert code == 422
        assert body["details"]["causes"][0] == {
            "reason": "FieldValueInvalid", "field": "spec", "message": "Invalid value: failed rule: self.a < 10",
        }  # fmt: skip
        made["spec"]["a"] = 5
        assert (await world.send("POST", WIDGETS, made))[0] == 201
        code, body, _ = await world.send("PATCH", f"{WIDGETS}/w", {"spec": {"a": 4}}, type=MERGE)
        assert (code, body["details"]["causes"][0]["field"]) == (422, "spec.a")
        bad = definition("gadgets", schema={**schema, "x-kubernetes-validations": [{"rule": "self.b == 1"}]})
        code, body, _ = await world.send("POST", CRDS, bad)
        assert (code, "undefined field 'b'" in body["message"]) == (422, True)

    with_world(check)


def test_a_policy_may_ask_what_the_user_may_do():
    async def check(world):
        secrets = "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()"
        own = "authorizer.requestResource.check('create').allowed() && !authorizer.path('/x').check('get').errored()"
        await bind(world, policy({"expression": secrets}, {"expression": own}), binding("Deny"))
        rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}]
        await world.send("POST", f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": rules})
        who = {"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"}
        await world.send("POST", f"{rbac}/rolebindings", {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [who]})
        assert (await world.send("POST", MAPS, config_map("by-an-admin")))[0] == 201
        code, body, _ = await world.send("POST", MAPS, config_map("by-alice"), user=ALICE)
        assert (code, body["message"].endswith(f"denied request: failed expression: {secrets}")) == (422, True)

    with_world(check)
