"""Ways around who may do what: each is tried by somebody who may read the ConfigMaps of one namespace and nothing else."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime

import aiohttp
import pytest
from api_world import ADMIN, ALICE, config_map, definition, with_world
from http_world import line, over_http, served
from test_subresources import Node

from argosy.client.requests import Request
from argosy.clock import SystemClock
from argosy.engine.apiserver import pki
from argosy.engine.apiserver.jwt import Signer
from argosy.kinds import NAMESPACE, POD, ROLE, ROLE_BINDING, SECRET, SERVICE
from argosy.meta.json import encode

HIDDEN = b"dGhlIHNlY3JldA=="
OPEN = "/api/v1/namespaces/default/configmaps"


async def alice_reads_maps(world, *verbs):
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs or ("get", "list"))}]
    await world.client.create(ROLE, {"metadata": {"name": "maps", "namespace": "default"}, "rules": rules})
    subjects = [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}]
    ref = {"kind": "Role", "name": "maps", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "maps", "namespace": "default"}, "subjects": subjects, "roleRef": ref}
    await world.client.create(ROLE_BINDING, binding)
    await world.client.create(NAMESPACE, {"metadata": {"name": "other"}})
    for place in ("default", "other"):
        await world.client.create(
            SECRET, {"metadata": {"name": "s", "namespace": place}, "data": {"k": HIDDEN.decode()}}
        )
        await world.send("POST", f"/api/v1/namespaces/{place}/configmaps", config_map("m", place, data={"k": place}))


PATHS = [
    f"{OPEN}/../secrets/s", f"{OPEN}/%2e%2e/secrets/s", f"{OPEN}/..%2fsecrets/s", f"{OPEN}/%252e%252e/secrets/s",
    f"{OPEN}/..%252fsecrets%252fs", f"{OPEN}//../secrets/s", "//api/v1/namespaces/default/secrets/s", "/api//v1/secrets",
    "/api/v1/secrets", "/API/v1/secrets", "/api/V1/secrets", "/api/v1/Secrets", "/api/v1/namespaces/default/SECRETS/s",
    "/api/v1/namespaces/default/secrets%2fs", "/api/v1/namespaces%2fdefault%2fsecrets/s", "/api/v1/namespaces/default/secrets/s/",
    "/api/v1/namespaces/default/secrets/s/.", "/api/v1/./secrets", "/api/v1/namespaces/default/secrets;/s", "/api/v1/secrets%00",
    "/api/v1/watch/secrets", "/api/v1/proxy/namespaces/default/secrets/s", "/apis//v1/secrets", "/apis/v1/secrets",
    "/api/v1/namespaces/default/configmaps/m/../../secrets/s", "/api/v1/namespaces/default%2f..%2fdefault/secrets/s",
    "/api/v1/namespaces/other/configmaps/m", "/api/v1/namespaces/other%2f../configmaps", "/api/v1/configmaps",
    "/api/v1/namespaces/default/../other/configmaps", "/api/v1/namespaces/%64efault/secrets/s", "http://x/api/v1/secrets",
    "/metrics", "/metrics/", "/healthz/../metrics", "/healthz/%2e%2e/metrics", "/api/../metrics", "//metrics",
    f"{OPEN}?watch=true", f"{OPEN}?watch", f"{OPEN}?watch=1&watch=false", f"{OPEN}?watch=false&watch=1",
    f"{OPEN}/m/proxy/../../secrets/s",
]  # fmt: skip


def test_no_spelling_of_a_path_leads_further():
    async def check(world, session, edge):
        await alice_reads_maps(world)
        url = f"http://127.0.0.1:{session._base_url.port}"
        for path in PATHS:
            async with line(url) as spoken:
                await spoken.say(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\r\n".encode())
                status, body = await spoken.answer()
                assert 400 <= status < 500 or path.endswith("=false&watch=1"), (path, status)
                assert HIDDEN not in body, path
                assert b"other" not in body or status != 200, path
        async with session.get(f"{OPEN}/m", headers={"authorization": "Bearer alice"}) as answer:
            assert answer.status == 200

    over_http(check)


@pytest.mark.parametrize(
    "headers",
    [
        "Impersonate-User: argosy-admin", "Impersonate-User: x\r\nImpersonate-Group: system:masters", "Impersonate-Group: system:masters",
        "impersonate-user: argosy-admin", "IMPERSONATE-USER: argosy-admin", "Impersonate-User:\r\nImpersonate-Group: system:masters",
        "Impersonate-User: system:serviceaccount:kube-system:x", "Impersonate-Uid: 1", "Impersonate-Extra-scopes: all",
        "Impersonate-User: alice\r\nImpersonate-User: argosy-admin", "Impersonate-User: alice\r\nImpersonate-Group: a\r\nImpersonate-Group: system:masters",
        "X-Remote-User: argosy-admin\r\nX-Remote-Group: system:masters", "Authorization: Bearer admin",
        "X-Forwarded-For: 127.0.0.1\r\nX-Original-URL: /healthz",
    ],
)  # fmt: skip
def test_no_header_makes_somebody_else(headers):
    async def check(world, session, edge):
        await alice_reads_maps(world)
        async with line(f"http://127.0.0.1:{session._base_url.port}") as spoken:
            head = f"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n{headers}\r\n\r\n"
            await spoken.say(head.encode())
            status, body = await spoken.answer()
            assert status in (400, 403)
            assert HIDDEN not in body

    over_http(check)


def unsigned(claims, **head):
    parts = [base64.urlsafe_b64encode(encode(part)).rstrip(b"=") for part in ({"typ": "JWT", **head}, claims)]
    return b".".join([*parts, b""]).decode()


def test_no_token_but_the_right_one(tmp_path):
    async def check(world):
        await alice_reads_maps(world)
        _, stored, _ = await world.send("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        claims = {
            "aud": ["https://kubernetes.default.svc"], "exp": 2**40, "iat": 0, "nbf": 0, "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": "system:serviceaccount:default:default",
            "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "default", "uid": stored["metadata"]["uid"]}},
        }  # fmt: skip
        foreign = Signer(pki.signing_key(tmp_path / "foreign")).sign(claims)
        tokens = [
            unsigned(claims, alg="none"), unsigned(claims, alg="None"), unsigned(claims, alg="HS256"), unsigned(claims), foreign,
            foreign[:-3], "..", "a.b.c", "admin ", " admin", "adm\tin", "ADMIN", "admin,alice", "Bearer admin", "null", "undefined",
            ".".join([foreign.split(".")[0], foreign.split(".")[1], ""]), "\x80" * 50, "a" * 20_000,
        ]  # fmt: skip
        async with served(world) as (url, _):
            for token in tokens:
                async with line(url) as spoken:
                    raw = f"GET {OPEN} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
                    await spoken.say(raw.encode("latin-1"))
                    status, _ = await spoken.answer()
                    # Blanks around a token are none of its.
                    assert status == (200 if token.strip() == "admin" else 401), token
            for value in ("Basic YWRtaW46YWRtaW4=", "bearer", "Bearer", "Bearer ", "admin", "Negotiate admin"):
                async with (
                    aiohttp.ClientSession(url, headers={"authorization": value}) as session,
                    session.get(OPEN) as answer,
                ):
                    assert answer.status in (401, 403), value

    with_world(check, clock=SystemClock())


def test_certificates_of_others_are_refused(tmp_path):
    async def check(world):
        now = datetime.now(UTC)
        async with served(world, tmp_path / "ours") as (url, _):
            ours, other = pki.Authority(tmp_path / "ours", now), pki.Authority(tmp_path / "other", now)
            other.client("argosy-admin", ["system:masters"], "admin")
            # The server's own certificate is for servers.
            for directory, name in (("other", "admin"), ("ours", "server")):
                context = ssl.create_default_context(cadata=ours.pem)
                context.load_cert_chain(tmp_path / directory / f"{name}.crt", tmp_path / directory / f"{name}.key")
                connector = aiohttp.TCPConnector(ssl=context)
                async with aiohttp.ClientSession(url, connector=connector) as session:
                    with pytest.raises((aiohttp.ClientError, ConnectionError)):
                        await session.get("/api/v1/secrets")

    with_world(check, clock=SystemClock())


def test_a_right_to_look_is_no_right_to_watch_or_write():
    async def check(world):
        await alice_reads_maps(world, "get", "list")
        for method, path in (
            ("GET", f"{OPEN}?watch=true"), ("POST", OPEN), ("PUT", f"{OPEN}/m"), ("PATCH", f"{OPEN}/m"), ("DELETE", f"{OPEN}/m"),
            ("DELETE", OPEN), ("PUT", f"{OPEN}/m?dryRun=All"), ("PATCH", f"{OPEN}/new?fieldManager=x"),
        ):  # fmt: skip
            status, _, _ = await world.send(method, path, config_map("m"), user=ALICE)
            assert status in (403, 415), (method, path)

    with_world(check)


def test_the_proxy_reaches_pods_and_not_this_machine():
    async def check(world):
        world.app.nodes = Node()
        asked = []

        async def hear(reader, writer):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(hear, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await world.client.create(
            SERVICE, {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
        )
        for address in ("127.0.0.1", "127.0.0.53", "169.254.169.254", "0.0.0.0", "localhost", "224.0.0.1"):
            slice_ = {
                "metadata": {"name": "s-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "s"}},
                "addressType": "IPv4", "ports": [{"port": port}], "endpoints": [{"addresses": [address]}],
            }  # fmt: skip
            status, _, _ = await world.send(
                "POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_
            )
            if status == 201:
                code, answer, _ = await world.send("GET", "/api/v1/namespaces/default/services/s/proxy/")
                assert (code, answer["message"]) == (400, "address not allowed"), address
                await world.send("DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/s-1")
        assert not asked
        # What the path and headers hold stays in the path and the headers.
        containers = [{"name": "c", "image": "i"}]
        await world.client.create(
            POD,
            {"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n", "containers": containers}},
        )
        await world.send(
            "PATCH",
            "/api/v1/namespaces/default/pods/p/status",
            {"status": {"podIP": "127.0.0.1"}},
            type="application/merge-patch+json",
        )
        path = f"/api/v1/namespaces/default/pods/p:{port}/proxy/a b\r\nX-Made: up/%41"
        headers = {"authorization": "Bearer t", "impersonate-user": "root\nX-Made: up", "x-kept": "1"}
        response = await world.app.handle(
            Request("GET", path, {"q": "1"}, headers, user=ADMIN, multi_query={"q": ("1", "2")})
        )
        _ = [chunk async for chunk in response.chunks]
        (head,) = asked
        lines = head.decode().split("\r\n")
        assert lines[0] == "GET /a%20b%0D%0AX-Made:%20up/A?q=1&q=2 HTTP/1.1"
        assert [each for each in lines if each.lower().startswith(("x-made", "authorization", "impersonate"))] == []
        for bad in ("99999", "0", "²", "-1", "9" * 50):
            assert (await world.send("GET", f"/api/v1/namespaces/default/pods/p:{bad}/proxy/"))[0] == 404
        server.close()

    with_world(check)


@pytest.mark.parametrize(
    ("group", "plural"),
    [("", "pods"), ("apps", "deployments"), ("batch", "jobs"), ("rbac.authorization.k8s.io", "roles")],
)
def test_a_definition_does_not_take_the_place_of_a_kind(group, plural):
    async def check(world):
        made = definition(plural, group or "core")
        made["spec"]["group"] = group
        await world.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", made)
        kind = {
            "pods": ("api/v1", "PodList"),
            "deployments": ("apis/apps/v1", "DeploymentList"),
            "jobs": ("apis/batch/v1", "JobList"),
        }
        prefix, listed = kind.get(plural, ("apis/rbac.authorization.k8s.io/v1", "RoleList"))
        _, found, _ = await world.send("GET", f"/{prefix}/namespaces/default/{plural}")
        assert found["kind"] == listed
        body = {"metadata": {"name": "bad"}, "spec": {"anything": "goes"}}
        assert (await world.send("POST", f"/{prefix}/namespaces/default/{plural}", body))[0] in (422, 400, 201)
        _, again, _ = await world.send("GET", f"/{prefix}/namespaces/default/{plural}")
        assert all("anything" not in (each.get("spec") or {}) for each in again["items"])

    with_world(check)
