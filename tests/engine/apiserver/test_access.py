import pytest
from api_world import ADMIN, ALICE, config_map, pod, with_world

from argosy.client.requests import User
from argosy.engine.apiserver.authn import Authenticator, certificate_user, read_token_file, static_user
from argosy.engine.apiserver.authz import Attributes, covers, rule_allows
from argosy.errors import Forbidden, NotFound, Unauthorized, UserError
from argosy.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, POD, ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from argosy.meta.objects import Key

RBAC = "rbac.authorization.k8s.io"


def rule(verbs="get", groups="", resources="", names=(), paths=""):
    made = {"verbs": verbs.split()}
    if paths:
        return made | {"nonResourceURLs": paths.split()}
    made |= {"apiGroups": [g if g != "core" else "" for g in groups.split()], "resources": resources.split()}
    return made | ({"resourceNames": list(names)} if names else {})


async def grant(world, rules, subject=("User", "alice"), role="r"):
    meta = {"name": role, "namespace": "default"}
    await world.client.create(ROLE, {"metadata": meta, "rules": rules})
    subjects = [{"kind": subject[0], "name": subject[1], "apiGroup": RBAC if subject[0] != "ServiceAccount" else ""}]
    if subject[0] == "ServiceAccount":
        subjects[0]["namespace"] = "default"
    ref = {"apiGroup": RBAC, "kind": "Role", "name": role}
    await world.client.create(ROLE_BINDING, {"metadata": meta, "roleRef": ref, "subjects": subjects})


@pytest.mark.parametrize(
    ("given", "wanted", "allowed"),
    [
        (rule("*", "*", "*"), Attributes("delete", "apps", "deployments"), True),
        (rule("get", "core", "pods"), Attributes("get", "", "pods", "p"), True),
        (rule("get", "core", "pods"), Attributes("list", "", "pods"), False),
        (rule("get", "core", "pods"), Attributes("get", "", "pods/log", "p"), False),
        (rule("get", "core", "pods/log"), Attributes("get", "", "pods/log", "p"), True),
        (rule("get", "core", "*/status"), Attributes("get", "", "pods/status", "p"), True),
        (rule("get", "apps", "pods"), Attributes("get", "", "pods"), False),
        (rule("get", "core", "pods", ["p"]), Attributes("get", "", "pods", "q"), False),
        (rule("get", "core", "pods", ["p"]), Attributes("list", "", "pods"), False),
        (rule("get", paths="/healthz /apis/*"), Attributes("get", path="/apis/apps"), True),
        (rule("get", paths="/healthz"), Attributes("get", path="/healthz/x"), False),
    ],
)  # fmt: skip
def test_what_a_rule_allows(given, wanted, allowed):
    assert rule_allows(given, wanted) is allowed


def test_what_rules_do_not_cover():
    held = [rule("get list", "core", "pods"), rule("*", "apps", "*")]
    assert covers(held, rule("get", "core apps", "pods")) == []
    assert covers(held, rule("get delete", "core", "pods")) == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}
    ]


def test_the_wording_of_a_refusal():
    async def check(world):
        alice = world.as_user(ALICE)
        with pytest.raises(Forbidden) as caught:
            await alice.get(POD, "p", "default")
        assert caught.value.message == (
            'pods "p" is forbidden: User "alice" cannot get resource "pods" in API group "" in the namespace "default"'
        )
        with pytest.raises(Forbidden) as caught:
            await alice.list(CLUSTER_ROLE)
        assert caught.value.message == (
            'clusterroles.rbac.authorization.k8s.io is forbidden: User "alice" cannot list resource "clusterroles" in API'
            ' group "rbac.authorization.k8s.io" at the cluster scope'
        )
        code, body, _ = await world.send("GET", "/metrics", user=ALICE)
        assert (code, body["message"]) == (403, 'forbidden: User "alice" cannot get path "/metrics"')

    with_world(check)


def test_a_role_counts_in_its_namespace_only():
    async def check(world):
        await world.namespace("other")
        await grant(world, [rule("get list", "core", "configmaps")])
        alice = world.as_user(ALICE)
        assert (await alice.list(CONFIG_MAP, "default")).items == []
        with pytest.raises(NotFound):
            await alice.get(CONFIG_MAP, "a", "default")
        for namespace in ("other", ""):
            with pytest.raises(Forbidden):
                await alice.list(CONFIG_MAP, namespace)

    with_world(check)


def test_rights_begin_and_end_with_their_binding():
    async def check(world):
        alice = world.as_user(ALICE)
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
        binding = {
            "metadata": {"name": "b"},
            "roleRef": ref,
            "subjects": [{"kind": "Group", "name": "system:authenticated"}],
        }
        await world.client.create(CLUSTER_ROLE_BINDING, binding)
        assert (await alice.list(POD)).items == []
        with pytest.raises(Forbidden):
            await alice.create(POD, pod())
        await world.client.delete(CLUSTER_ROLE_BINDING, Key("", "b"))
        with pytest.raises(Forbidden):
            await alice.list(POD)

    with_world(check)


def test_nobody_grants_what_they_do_not_have():
    async def check(world):
        await grant(world, [rule("create", RBAC, "roles rolebindings"), rule("get", "core", "pods")])
        alice = world.as_user(ALICE)
        with pytest.raises(Forbidden) as caught:
            await alice.create(
                ROLE, {"metadata": {"name": "more", "namespace": "default"}, "rules": [rule("get", "core", "secrets")]}
            )
        assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in caught.value.message
        rules = [rule("get", "core", "pods")]
        assert await alice.create(ROLE, {"metadata": {"name": "same", "namespace": "default"}, "rules": rules})
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
        meta = {"name": "up", "namespace": "default"}
        subjects = [{"kind": "User", "name": "alice", "apiGroup": RBAC}]
        with pytest.raises(Forbidden):
            await alice.create(ROLE_BINDING, {"metadata": meta, "roleRef": ref, "subjects": subjects})

    with_world(check)


def test_aggregated_roles_follow_their_parts():
    async def check(world):
        selectors = [{"matchLabels": {"part": "yes"}}]
        whole = {"metadata": {"name": "whole"}, "aggregationRule": {"clusterRoleSelectors": selectors}}
        await world.client.create(CLUSTER_ROLE, whole)
        watch = world.client.watch(CLUSTER_ROLE, since=str(world.store.revision))
        part = {"metadata": {"name": "part", "labels": {"part": "yes"}}, "rules": [rule("get", "core", "pods")]}
        await world.client.create(CLUSTER_ROLE, part)
        while (event := await anext(watch)).obj["metadata"]["name"] != "whole":
            pass
        await watch.aclose()
        assert event.obj["rules"] == part["rules"]

    with_world(check)


def test_reviews():
    async def check(world):
        await grant(world, [rule("get", "core", "pods")])
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        wanted = {"namespace": "default", "verb": "get", "resource": "pods"}
        body = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
        code, answer, _ = await world.send("POST", path, body | {"spec": {"resourceAttributes": wanted}}, user=ALICE)
        assert (code, answer["status"]["allowed"]) == (201, True)
        assert 'RoleBinding "r/default" of Role "r" to User "alice"' in answer["status"]["reason"]
        code, answer, _ = await world.send("POST", path, body | {"spec": {}}, user=ALICE)
        assert code == 422
        body = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        _, answer, _ = await world.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body, user=ALICE)
        assert answer["status"]["userInfo"] == {"username": "alice", "groups": ["system:authenticated"]}
        body = {
            "kind": "SelfSubjectRulesReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"namespace": "default"},
        }
        _, answer, _ = await world.send(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body, user=ALICE
        )
        assert rule("get", "core", "pods") in answer["status"]["resourceRules"]

    with_world(check)


def test_certificates_name_users_and_groups():
    subject = ((("organizationName", "system:masters"),), (("commonName", "kim"),))
    user = certificate_user({"subject": subject})
    assert (user.name, user.groups) == ("kim", {"system:masters", "system:authenticated"})


def test_token_files(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text('one,admin,1,"system:masters, dev"\ntwo,bob,2\n\n')
    found = read_token_file(path)
    assert found["one"] == static_user("admin", ("system:masters", "dev"), "1")
    assert found["two"].groups == {"system:authenticated"}
    path.write_text("one\n")
    with pytest.raises(UserError, match="line 1"):
        read_token_file(path)


def key():
    from argosy.engine.apiserver.certificates import private_key

    return private_key()


def test_service_account_tokens_speak_for_their_account_while_it_lives():
    async def check(world):
        authenticator = Authenticator(world.app.api.tokens, {"static": ADMIN}, world.clock)
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"expirationSeconds": 600}}
        code, answer, _ = await world.send("POST", path, request)
        assert code == 201
        token = answer["status"]["token"]
        user = authenticator.user(f"Bearer {token}", None)
        assert user.name == "system:serviceaccount:default:default"
        assert "system:serviceaccounts:default" in user.groups
        await grant(world, [rule("get", "core", "configmaps")], ("ServiceAccount", "default"))
        with pytest.raises(NotFound):
            await world.as_user(user).get(CONFIG_MAP, "a", "default")
        for bad in (token[:-4] + "AAAA", "nonsense", "a.b.c"):
            with pytest.raises(Unauthorized):
                authenticator.user(f"Bearer {bad}", None)
        assert authenticator.user("Bearer static", None) is ADMIN
        assert authenticator.user("", None).name == "system:anonymous"
        world.clock.advance(minutes=11)
        with pytest.raises(Unauthorized):
            authenticator.user(f"Bearer {token}", None)
        world.clock.advance(minutes=-11)
        await world.client.delete(SERVICE_ACCOUNT, Key("default", "default"))
        with pytest.raises(Unauthorized):
            authenticator.user(f"Bearer {token}", None)

    with_world(check, signing_key_pem=key())


def test_bound_tokens_die_with_their_pod():
    async def check(world):
        made = await world.client.create(POD, pod())
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "a", "uid": made["metadata"]["uid"]}
        body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"boundObjectRef": reference}}
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        _, answer, _ = await world.send("POST", path, body)
        authenticator = Authenticator(world.app.api.tokens, {}, world.clock)
        token = f"Bearer {answer['status']['token']}"
        assert authenticator.user(token, None).extra["authentication.kubernetes.io/pod-name"] == ("a",)
        await world.client.delete(POD, Key("default", "a"))
        with pytest.raises(Unauthorized):
            authenticator.user(token, None)
        code, _, _ = await world.send("POST", path, body)
        assert code == 404

    with_world(check, signing_key_pem=key())


def test_anonymous_sees_health_and_nothing_else():
    async def check(world):
        nobody = User("system:anonymous", frozenset({"system:unauthenticated"}))
        for path, expected in (
            ("/healthz", 200),
            ("/version", 200),
            ("/api", 403),
            ("/api/v1/pods", 403),
            ("/openapi/v3", 403),
        ):
            assert (await world.send("GET", path, user=nobody))[0] == expected

    with_world(check)


def test_somebody_without_a_name_is_anonymous():
    async def check(world):
        code, body, _ = await world.send("GET", "/api/v1/pods", user=None)
        assert (code, '"system:anonymous"' in body["message"]) == (403, True)
        await world.client.create(CONFIG_MAP, config_map())

    with_world(check)
