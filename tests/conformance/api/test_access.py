"""Who may do what: roles, what may not be given away, impersonation, reviews."""

from __future__ import annotations

import pytest

from conformance.wire import Wire, config_map

RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


def role(name, *rules):
    return {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": name}, "rules": list(rules)}


def binding(name, to, user, kind="Role"):
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": to}
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": reference,
        "subjects": [subject],
    }


READ = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


async def granted(wire, user, *rules):
    await wire.send("POST", wire.path("roles", group=RBAC), role(user, *rules))
    await wire.send("POST", wire.path("rolebindings", group=RBAC), binding(user, user, user))
    return wire.user(user)


async def test_a_role_allows_what_it_says_and_no_more(wire):
    ann = await granted(wire, "ann", READ, {**READ, "verbs": ["update"], "resourceNames": ["mine"]})
    await wire.send("POST", wire.path("configmaps"), config_map("mine"))
    assert (await ann.send("GET", wire.path("configmaps"))).code == 200
    assert (await ann.send("PUT", wire.path("configmaps", "mine"), config_map("mine", {"x": "1"}))).code == 200
    refused = await ann.send("POST", wire.path("configmaps"), config_map("new"))
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert 'User "ann" cannot create resource "configmaps" in API group ""' in refused.message
    assert (await ann.send("GET", wire.path("secrets"))).code == 403
    assert (await ann.send("GET", "/api/v1/namespaces/default/configmaps")).code == 403


async def test_nobody_gives_away_what_he_does_not_have(wire):
    manage = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create"]}
    ann = await granted(wire, "ann", manage, READ)
    assert (await ann.send("POST", wire.path("roles", group=RBAC), role("same", READ))).code == 201
    more = await ann.send("POST", wire.path("roles", group=RBAC), role("more", {**READ, "resources": ["secrets"]}))
    assert (more.code, "is attempting to grant RBAC permissions not currently held" in more.message) == (403, True)
    await wire.send("POST", wire.path("roles", group=RBAC), role("strong", {**READ, "resources": ["secrets"]}))
    assert (await ann.send("POST", wire.path("rolebindings", group=RBAC), binding("b", "strong", "bob"))).code == 403
    bind = {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles"],
        "verbs": ["bind"],
        "resourceNames": ["strong"],
    }
    await wire.send("PUT", wire.path("roles", "ann", RBAC), role("ann", manage, READ, bind))
    assert (await ann.send("POST", wire.path("rolebindings", group=RBAC), binding("b", "strong", "bob"))).code == 201


async def test_a_binding_keeps_its_role(wire):
    await granted(wire, "ann", READ)
    changed = await wire.send("PUT", wire.path("rolebindings", "ann", RBAC), binding("ann", "other", "ann"))
    assert changed.causes["roleRef"].endswith("cannot change roleRef")


async def test_impersonation_is_itself_a_right(wire):
    ann = await granted(wire, "ann", READ)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    seen = await wire.user("ann", "team").send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    info = seen.body["status"]["userInfo"]
    assert (info["username"], set(info["groups"]) >= {"team", "system:authenticated"}) == ("ann", True)
    assert (await ann.send("GET", wire.path("configmaps"))).code == 200


async def test_reviews_say_what_requests_would_be_told(wire):
    await granted(wire, "ann", READ)
    attributes = {"namespace": wire.namespace.name, "verb": "get", "resource": "configmaps"}

    async def allowed(user, **more):
        spec = {"user": user, "resourceAttributes": {**attributes, **more}}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await wire.send("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return answer.body["status"]["allowed"]

    assert await allowed("ann") is True
    assert await allowed("ann", verb="delete") is False
    assert await allowed("bob") is False
    spec = {"namespace": wire.namespace.name}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": spec}
    rules = await wire.user("ann").send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]} in rules.body["status"][
        "resourceRules"
    ]
