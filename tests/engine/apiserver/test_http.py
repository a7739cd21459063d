import asyncio
import json
import ssl
import subprocess
from datetime import UTC, datetime

import aiohttp
import pytest
from api_world import config_map, pod, with_world
from http_world import over_http, served

from argosy.clock import SystemClock
from argosy.engine.apiserver import pki
from argosy.kinds import CONFIG_MAP, POD
from argosy.meta.objects import Key
from kubectls import USUAL, installed

NOW = datetime.now(UTC)


def kubectls():
    """Every kubectl that is installed, as parameters."""
    found = installed()
    marks = [] if len(found) == 1 else pytest.mark.slow
    return [pytest.param(path, id=name, marks=() if name in USUAL else marks) for name, path in found.items()]


def test_requests_and_answers():
    async def check(world, session, edge):
        path = "/api/v1/namespaces/default/configmaps"
        many = config_map(**{f"x{count}": None for count in range(300)})
        async with session.post(f"{path}?dryRun=All", json=many) as answer:
            assert (answer.status, len(answer.headers.getall("warning"))) == (201, 100)
        async with session.post(path, json=config_map(foo=1)) as answer:
            assert (answer.status, answer.content_type) == (201, "application/json")
            assert answer.headers.getall("warning") == ['299 - "unknown field \\"foo\\""']
        async with session.get(path) as answer:
            assert [item["metadata"]["name"] for item in (await answer.json())["items"]] == ["a"]
        async with session.get(f"{path}/a", headers={"authorization": "Bearer alice"}) as answer:
            assert answer.status == 403
        async with session.get(f"{path}/a", headers={"authorization": "Bearer wrong"}) as answer:
            body = await answer.json()
            assert (answer.status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")

    over_http(check)


def test_connections_are_kept():
    async def check(world, session, edge):
        connections = set()
        for _ in range(3):
            async with session.get("/healthz") as answer:
                connections.add(id(answer.connection.transport) if answer.connection else 0)
                await answer.read()
        assert len(session.connector._conns) == 1

    over_http(check)


def test_bodies_have_a_limit():
    async def check(world, session, edge):
        big = config_map(data={"k": "x" * (3 << 20)})
        async with session.post("/api/v1/namespaces/default/configmaps", json=big) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (413, "RequestEntityTooLarge")

        async def endless():
            for _ in range(64):
                yield b"x" * (1 << 16)

        async with session.post("/api/v1/namespaces/default/configmaps", data=endless()) as answer:
            assert answer.status == 413

    over_http(check)


def test_watch_events_arrive_as_they_happen():
    async def check(world, session, edge):
        async with session.get("/api/v1/configmaps?watch=true&resourceVersion=" + str(world.store.revision)) as watch:
            for name in ("a", "b"):
                await world.client.create(CONFIG_MAP, config_map(name))
                event = json.loads(await asyncio.wait_for(watch.content.readline(), 5))
                assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)

    over_http(check)


def test_many_watchers_hear_everything_and_leave_nothing_behind():
    async def check(world, session, edge):
        since = world.store.revision
        watches = [await session.get(f"/api/v1/configmaps?watch=true&resourceVersion={since}") for _ in range(20)]
        for number in range(10):
            await world.client.create(CONFIG_MAP, config_map(f"c{number}"))
        for watch in watches:
            lines = [json.loads(await asyncio.wait_for(watch.content.readline(), 5)) for _ in range(10)]
            assert [line["object"]["metadata"]["name"] for line in lines] == [f"c{n}" for n in range(10)]
            watch.close()
        hub = world.store._hubs["configmaps"]
        for _ in range(500):
            if not hub.watches:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{len(hub.watches)} watches are left")

    over_http(check)


def test_a_write_is_carried_out_although_its_client_has_gone():
    async def check(world):
        followed = world.client.watch(CONFIG_MAP, since=str(world.store.revision))
        async with served(world) as (url, _):
            body = json.dumps(config_map("left")).encode()
            head = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin\r\n"
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            writer.close()
            event = await asyncio.wait_for(anext(followed), 5)
            assert (event.type, event.obj["metadata"]["name"]) == ("ADDED", "left")
        await followed.aclose()

    with_world(check, clock=SystemClock())


def test_stopping_ends_watches_and_refuses_what_comes_after():
    async def check(world, session, edge):
        async with session.get("/api/v1/namespaces/default/configmaps?watch=true") as watch:
            edge.stop()
            assert await asyncio.wait_for(watch.content.read(), 5) == b""
        async with session.get("/api/v1/configmaps") as answer:
            assert answer.status == 503

    over_http(check)


def test_client_certificates_name_their_user(tmp_path):
    async def check(world):
        async with served(world, tmp_path) as (url, _):
            authority = pki.Authority(tmp_path, NOW)
            credential = authority.client("kim", ["system:masters"], "admin")
            assert credential == authority.client("kim", ["system:masters"], "admin")
            trusting = ssl.create_default_context(cadata=authority.pem)
            known = ssl.create_default_context(cadata=authority.pem)
            known.load_cert_chain(tmp_path / "admin.crt", tmp_path / "admin.key")
            for context, expected in ((known, 200), (trusting, 403)):
                connector = aiohttp.TCPConnector(ssl=context)
                async with (
                    aiohttp.ClientSession(url, connector=connector) as session,
                    session.get("/api/v1/pods") as answer,
                ):
                    assert answer.status == expected

    with_world(check, clock=SystemClock())


def test_keys_are_the_owners_alone_and_certificates_last(tmp_path):
    authority = pki.Authority(tmp_path / "pki", NOW)
    authority.server(["127.0.0.1", "localhost"])
    first = (tmp_path / "pki/server.crt").read_bytes()
    again = pki.Authority(tmp_path / "pki", NOW)
    assert again.pem == authority.pem
    again.server(["127.0.0.1"])
    assert (tmp_path / "pki/server.crt").read_bytes() == first
    again.server(["127.0.0.1", "10.96.0.1", "kubernetes.default.svc"])
    assert (tmp_path / "pki/server.crt").read_bytes() != first
    assert pki.signing_key(tmp_path / "pki") == pki.signing_key(tmp_path / "pki")
    for path in (tmp_path / "pki").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_without_its_certificate_is_made_anew(tmp_path):
    """As a crash leaves it that came between the two."""
    authority = pki.Authority(tmp_path, NOW)
    authority.server(["127.0.0.1"])
    old = {path: path.read_bytes() for path in (tmp_path / "server.crt", tmp_path / "server.json")}
    authority.server(["127.0.0.1", "other"])
    for path, content in old.items():
        path.write_bytes(content)
    assert isinstance(authority.server(["127.0.0.1"]), ssl.SSLContext)
    (tmp_path / "ca.crt").unlink()
    again = pki.Authority(tmp_path, NOW)
    assert again.pem != authority.pem
    assert isinstance(again.server(["127.0.0.1"]), ssl.SSLContext)


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "i:1"}]}
"""


async def kubectl(binary, kubeconfig, *arguments, stdin=""):
    process = await asyncio.create_subprocess_exec(
        binary, "--kubeconfig", str(kubeconfig), "--cache-dir", str(kubeconfig.parent / "cache"), *arguments,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 20)
    return process.returncode, out.decode()


@pytest.mark.parametrize("binary", kubectls() or [""])
def test_kubectl_works(binary, tmp_path):
    if not binary:
        pytest.skip("kubectl is not installed")

    async def check(world):
        async with served(world, tmp_path / "pki") as (url, _):
            kubeconfig = tmp_path / "config"
            authority = tmp_path / "pki/ca.crt"
            kubeconfig.write_text(
                json.dumps(
                    {
                        "apiVersion": "v1", "kind": "Config", "current-context": "c",
                        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": str(authority)}}],
                        "users": [{"name": "u", "user": {"token": "admin"}}],
                        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    }
                )
            )  # fmt: skip

            async def run(*arguments, stdin="", code=0):
                found, out = await kubectl(binary, kubeconfig, *arguments, stdin=stdin)
                assert found == code, f"kubectl {' '.join(arguments)}: {out}"
                return out

            assert "created" in await run("apply", "-f", "-", stdin=MANIFEST)
            assert "unchanged" in await run("apply", "-f", "-", stdin=MANIFEST)
            changed = MANIFEST.replace("i:1", "i:2")
            assert "configured" in await run("apply", "-f", "-", stdin=changed)
            assert "serverside-applied" in await run("apply", "--server-side", "-f", "-", stdin=changed)
            assert "0/2" in await run("get", "deployments", "-o", "wide")
            assert "scaled" in await run("scale", "deploy/web", "--replicas=3")
            assert "labeled" in await run("label", "deploy/web", "x=y")
            assert "patched" in await run(
                "patch", "deploy/web", "-p", '{"spec":{"template":{"metadata":{"labels":{"n":"1"}}}}}'
            )
            assert "image updated" in await run("set", "image", "deploy/web", "c=i:3")
            assert "StrategyType" in await run("describe", "deploy/web")
            assert "FIELD" in await run("explain", "deploy.spec.replicas")
            assert "created" in await run("create", "configmap", "made", "--from-literal=a=b")
            assert "created" in await run("create", "deployment", "other", "--image=i")
            strict = await run("create", "-f", "-", stdin=json.dumps(config_map("bad", foo=1)), code=1)
            assert 'unknown field "foo"' in strict
            assert "deployment.apps/web" in await run("get", "all", "-o", "name")
            assert "yes" in await run("auth", "can-i", "get", "pods")
            await world.client.create(POD, pod("ready"))
            status = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
            await world.client.patch(POD, Key("default", "ready"), {"status": status}, subresource="status")
            assert "condition met" in await run("wait", "--for=condition=Ready", "pod/ready", "--timeout=10s")
            assert "deleted" in await run("delete", "pod/ready")
            assert "deleted" in await run("delete", "-f", "-", stdin=MANIFEST)

    with_world(check, clock=SystemClock())


def test_too_many_requests_are_told_to_come_back():
    async def check(world, session, edge):
        edge.most_at_work = 0
        async with session.get("/api/v1/namespaces") as answer:
            body = await answer.json()
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert (body["reason"], body["details"]) == ("TooManyRequests", {"retryAfterSeconds": 1})
        async with session.get("/api/v1/namespaces?watch=true&timeoutSeconds=30") as stream:
            assert await stream.content.readline()  # streams do not count: any number may begin at once
            edge.most_at_work = 1
            async with session.get("/api/v1/namespaces") as answer:
                assert answer.status == 200

    over_http(check)


def test_a_large_list_comes_in_pieces_and_whole():
    async def check(world, session, edge):
        for number in range(12):
            await world.client.create(CONFIG_MAP, config_map(f"large-{number}", data={"text": "x" * 100_000}))
        async with session.get("/api/v1/namespaces/default/configmaps") as answer:
            body = await answer.read()
            assert int(answer.headers["Content-Length"]) == len(body) > 1_200_000
            assert len(json.loads(body)["items"]) >= 12

    over_http(check)
