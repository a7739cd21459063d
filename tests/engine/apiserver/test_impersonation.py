import pytest
from api_world import ADMIN, ALICE, with_world

from argosy.client.requests import Request
from argosy.meta.json import decode, encode

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


async def whoami(world, user, **headers):
    named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    response = await world.app.handle(Request("POST", WHOAMI, {}, named, encode({}), user=user), wire=True)
    body = decode(response.body)
    return response.status, body["status"]["userInfo"] if response.status == 201 else body["message"]


def test_who_one_is_then():
    async def check(world):
        code, info = await whoami(world, ADMIN, impersonate_user="bob", impersonate_group="a\nb", impersonate_uid="7")
        assert (code, info) == (201, {"username": "bob", "uid": "7", "groups": ["a", "b", "system:authenticated"]})
        account = "system:serviceaccount:ns:robot"
        code, info = await whoami(world, ADMIN, impersonate_user=account, **{"impersonate_extra_a%2Fb": "x\ny"})
        groups = ["system:authenticated", "system:serviceaccounts", "system:serviceaccounts:ns"]
        assert info == {"username": account, "groups": groups, "extra": {"a/b": ["x", "y"]}}
        assert (await whoami(world, ADMIN, impersonate_group="a"))[0] == 400

    with_world(check)


@pytest.mark.parametrize(
    ("headers", "resource"),
    [
        ({"impersonate_user": "bob"}, 'users "bob"'),
        ({"impersonate_user": "system:serviceaccount:ns:robot"}, 'serviceaccounts "robot"'),
    ],
)
def test_who_may_not(headers, resource):
    async def check(world):
        code, message = await whoami(world, ALICE, **headers)
        assert (code, message.startswith(f'{resource} is forbidden: User "alice" cannot impersonate')) == (403, True)

    with_world(check)


def test_only_as_whom_a_role_says():
    async def check(world):
        rule = {
            "apiGroups": [""],
            "resources": ["users", "groups"],
            "resourceNames": ["bob", "dev"],
            "verbs": ["impersonate"],
        }
        await world.send("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "as-bob"}, "rules": [rule]})
        subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "alice"}
        ref = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "as-bob"}
        made = {"metadata": {"name": "as-bob"}, "roleRef": ref, "subjects": [subject]}
        assert (await world.send("POST", f"{RBAC}/clusterrolebindings", made))[0] == 201
        assert (await whoami(world, ALICE, impersonate_user="bob", impersonate_group="dev"))[0] == 201
        assert (await whoami(world, ALICE, impersonate_user="bob", impersonate_group="system:masters"))[0] == 403

    with_world(check)
