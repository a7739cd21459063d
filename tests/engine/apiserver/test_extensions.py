"""API servers of others under this one: found, believed to and by, discovered, and told of when they are not there."""

import asyncio
import base64
import ssl
from datetime import timedelta

from aiohttp import web
from api_world import ALICE, START, pod, with_world
from test_subresources import Node

from argosy.client.requests import Request
from argosy.engine.apiserver import certificates
from argosy.engine.apiserver.extensions.conditions import PASSED, reachable, with_health
from argosy.engine.apiserver.pki import Authority
from argosy.kinds import API_SERVICE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ENDPOINT_SLICE, POD, SERVICE
from argosy.meta.conditions import is_true
from argosy.meta.objects import Key

GROUP = "/apis/custom.metrics.k8s.io/v1beta2"
RESOURCES = [
    {"name": "pods/requests", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"], "singularName": ""},
    {"name": "things", "namespaced": True, "kind": "Thing", "verbs": ["get", "list"], "singularName": "thing"},
]


class Adapter:
    """An extension API server that tells who it was asked by."""

    def __init__(self):
        self.asked = []

    async def answer(self, request):
        self.asked.append(request)
        if request.path == GROUP:
            return web.json_response({"kind": "APIResourceList", "groupVersion": GROUP[6:], "resources": RESOURCES})
        if request.path.startswith("/openapi"):
            return web.Response(status=404)
        return web.json_response({"items": [{"value": "5"}], "path": request.path_qs})


async def started(adapter, tmp_path, authority):
    """The adapter's port: it takes only clients that bear a certificate of the cluster's authority."""
    until = START + timedelta(days=36500)
    own = certificates.authority(START - timedelta(days=3650), until)
    leaf = certificates.Leaf("adapter", (), ("adapter.default.svc",), START - timedelta(days=3650), until)
    (tmp_path / "pem").write_bytes(b"".join(certificates.signed(leaf, *own)))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    tls.load_verify_locations(cadata=authority.pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", adapter.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    return runner, runner.addresses[0][1], base64.b64encode(own[0]).decode()


def with_adapter(tmp_path, check):
    authority = Authority(tmp_path / "pki", START)

    async def inner(world):
        world.app.nodes = Node()
        adapter = Adapter()
        runner, port, bundle = await started(adapter, tmp_path, authority)
        try:
            await world.client.create(
                SERVICE, {"metadata": {"name": "adapter", "namespace": "default"}, "spec": {"ports": [{"port": 443}]}}
            )
            spec = {
                "group": "custom.metrics.k8s.io", "version": "v1beta2", "caBundle": bundle,
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"name": "adapter", "namespace": "default"},
            }  # fmt: skip
            await world.client.create(
                API_SERVICE, {"metadata": {"name": "v1beta2.custom.metrics.k8s.io"}, "spec": spec}
            )
            await check(world, adapter, port)
        finally:
            await runner.cleanup()

    with_world(inner, front_proxy=lambda: authority.client_files("front-proxy-client"))


async def appear(world, port):
    await world.client.create(POD, pod("adapter"))
    status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    await world.client.patch(POD, Key("default", "adapter"), {"status": status}, subresource="status")
    slice_ = {
        "metadata": {"name": "a-1", "namespace": "default", "labels": {
            "kubernetes.io/service-name": "adapter", "endpointslice.kubernetes.io/managed-by": "test"}},
        "addressType": "IPv4", "ports": [{"port": port}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }  # fmt: skip
    await world.client.create(ENDPOINT_SLICE, slice_)
    await available(world, wanted=True)


async def available(world, *, wanted):
    """The condition, once it says so."""
    key = Key("", "v1beta2.custom.metrics.k8s.io")
    async with asyncio.timeout(10):
        while True:
            now = await world.client.get(API_SERVICE, key.name)
            (condition,) = now.get("status", {}).get("conditions") or ({},)
            if condition and is_true(now, "Available") is wanted:
                return condition
            async for event in world.client.watch(API_SERVICE, since=now["metadata"]["resourceVersion"]):
                if event.type == "MODIFIED":
                    break


def test_requests_are_handed_over_with_the_name_of_who_asks(tmp_path):
    async def check(world, adapter, port):
        condition = await available(world, wanted=False)
        assert condition["reason"] == "EndpointsNotFound"
        code, body, _ = await world.send("GET", f"{GROUP}/namespaces/default/things")
        assert (code, body["message"]) == (503, 'no endpoints available for service "adapter"')
        await appear(world, port)
        path = f"{GROUP}/namespaces/default/pods/*/requests"
        headers = {"x-remote-user": "system:admin", "accept": "application/json"}
        rules = [{"apiGroups": ["custom.metrics.k8s.io"], "resources": ["pods/requests"], "verbs": ["get"]}]
        assert (await world.send("GET", path, user=ALICE))[0] == 403
        await world.client.create(CLUSTER_ROLE, {"metadata": {"name": "reads"}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"}
        alice = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}
        await world.client.create(
            CLUSTER_ROLE_BINDING, {"metadata": {"name": "reads"}, "roleRef": role, "subjects": [alice]}
        )
        response = await world.app.handle(
            Request("GET", path, {"metricLabelSelector": "a=b"}, headers, user=ALICE), wire=True
        )
        body = b"".join([chunk async for chunk in response.chunks])
        assert b"/pods/*/requests?metricLabelSelector=a%3Db" in body
        asked = adapter.asked[-1]
        assert asked.headers.getall("X-Remote-User") == ["alice"]
        assert asked.headers.getall("X-Remote-Group") == ["system:authenticated"]

    with_adapter(tmp_path, check)


def test_what_others_serve_is_discovered(tmp_path):
    async def check(world, adapter, port):
        await appear(world, port)
        _, groups, _ = await world.send("GET", "/apis")
        assert "custom.metrics.k8s.io" in [group["name"] for group in groups["groups"]]
        form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        _, found, _ = await world.send("GET", "/apis", accept=form)
        (group,) = [item for item in found["items"] if item["metadata"]["name"] == "custom.metrics.k8s.io"]
        pods, things = group["versions"][0]["resources"]
        assert pods["subresources"][0]["responseKind"]["kind"] == "MetricValueList"
        assert (things["resource"], things["scope"], things["verbs"]) == ("things", "Namespaced", ["get", "list"])
        await world.client.delete(API_SERVICE, Key("", "v1beta2.custom.metrics.k8s.io"))
        assert (await world.send("GET", f"{GROUP}/namespaces/default/things"))[0] == 404

    with_adapter(tmp_path, check)


def test_how_one_fares():
    service = {"spec": {"ports": [{"name": "https", "port": 443}]}}
    slice_ = {"ports": [{"name": "https", "port": 8443}], "endpoints": [{"addresses": ["10.0.0.1"]}]}

    def reason(*given):
        found = reachable(*given, "n", "s", 443)
        return found.reason if found else ""

    assert reason(None, []) == "ServiceNotFound"
    assert reason({"spec": {"ports": [{"port": 80}]}}, [slice_]) == "ServicePortError"
    assert reason(service, []) == "EndpointsNotFound"
    assert reason(service, [{**slice_, "endpoints": []}]) == "MissingEndpoints"
    assert reason(service, [slice_]) == ""
    told = with_health({"metadata": {}}, PASSED, START)
    assert told is not None
    assert with_health(told, PASSED, START + timedelta(seconds=9)) is None
