import asyncio
import socket

import pytest
from api_world import ADMIN, deployment, pod, with_world

from argosy.client.requests import Request
from argosy.engine.apiserver.backends import ContainerUsage, PodUsage
from argosy.errors import BadRequest, Conflict, Invalid, TooManyRequests
from argosy.kinds import DEPLOYMENT, ENDPOINT_SLICE, NODE, POD, POD_DISRUPTION_BUDGET, SERVICE
from argosy.meta.conditions import is_true
from argosy.meta.objects import Key

A = Key("default", "a")


class Node:
    """A node that answers with what it was asked."""

    def __init__(self):
        self.asked = None

    async def logs(self, pod, container, options):
        self.asked = (container, options)
        for line in (b"one\n", b"two\n"):
            yield line

    def socket(self, family, type):
        return socket.socket(family, type)

    async def usage(self):
        return [PodUsage("default", "a", [ContainerUsage("c", 0.25, 2048)])]


def test_scale_is_a_view_of_the_number_of_replicas():
    async def check(world):
        await world.client.create(DEPLOYMENT, deployment(replicas=2))
        _, shown, _ = await world.send("GET", DEPLOYMENT.path("default", "d", "scale"))
        assert (shown["kind"], shown["spec"], shown["status"]) == (
            "Scale",
            {"replicas": 2},
            {"replicas": 0, "selector": "app=d"},
        )
        shown = await world.client.patch(
            DEPLOYMENT, Key("default", "d"), {"spec": {"replicas": 0}}, subresource="scale"
        )
        assert shown["spec"] == {}
        stored = await world.client.get(DEPLOYMENT, "d", "default")
        assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (0, 2)
        with pytest.raises(Invalid):
            await world.client.patch(DEPLOYMENT, Key("default", "d"), {"spec": {"replicas": -1}}, subresource="scale")

    with_world(check)


def test_a_pod_is_bound_once():
    async def check(world):
        await world.client.create(POD, pod())
        binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n1"}}
        await world.client.create_subresource(POD, A, "binding", binding)
        bound = await world.client.get(POD, "a", "default")
        assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("n1", 1)
        assert is_true(bound, "PodScheduled")
        with pytest.raises(Conflict) as caught:
            await world.client.create_subresource(POD, A, "binding", binding)
        assert 'pod a is already assigned to node "n1"' in caught.value.message
        with pytest.raises(BadRequest):
            await world.client.create_subresource(POD, A, "binding", binding | {"metadata": {"name": "b"}})

    with_world(check)


def test_logs_come_from_the_node():
    async def check(world):
        node = world.app.nodes = Node()
        await world.client.create(POD, pod(nodeName="n"))
        code, text, headers = await world.send("GET", POD.path("default", "a", "log") + "?tailLines=2&timestamps=true")
        assert (code, text, headers["content-type"]) == (200, "one\ntwo\n", "text/plain")
        container, options = node.asked
        assert (container, options.tail_lines, options.timestamps, options.follow) == ("c", 2, True, False)
        followed = [chunk async for chunk in world.client.logs(POD, A, follow=True)]
        assert followed == [b"one\n", b"two\n"]
        code, body, _ = await world.send("GET", POD.path("default", "a", "log") + "?container=x")
        assert (code, body["message"]) == (400, "container x is not valid for pod a")
        two = [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]
        await world.client.create(POD, pod("b", nodeName="n", containers=two))
        _, body, _ = await world.send("GET", POD.path("default", "b", "log"))
        assert body["message"] == "a container name must be specified for pod b, choose one of: [c d]"

    with_world(check)


def test_without_a_node_nothing_can_be_reached():
    async def check(world):
        await world.client.create(POD, pod(nodeName="n"))
        for path in (
            POD.path("default", "a", "log"),
            POD.path("default", "a", "proxy/"),
            "/apis/metrics.k8s.io/v1beta1/pods",
        ):
            assert (await world.send("GET", path))[0] == 503

    with_world(check)


def test_usage():
    async def check(world):
        world.app.nodes = Node()
        await world.client.create(NODE, {"metadata": {"name": "n"}})
        await world.client.create(POD, pod(nodeName="n"))
        _, listed, _ = await world.send("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods")
        assert listed["items"][0]["containers"] == [{"name": "c", "usage": {"cpu": "250000000n", "memory": "2Ki"}}]
        _, one, _ = await world.send("GET", "/apis/metrics.k8s.io/v1beta1/nodes/n")
        assert one["usage"] == {"cpu": "250000000n", "memory": "2Ki"}
        _, groups, _ = await world.send("GET", "/apis")
        assert "metrics.k8s.io" in [group["name"] for group in groups["groups"]]

    with_world(check)


async def answer(reader, writer):
    """A tiny HTTP server: tells what it was asked, in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    said = head.split(b"\r\n")[0] + b"|" + (b"chunked" if b"X-Many" in head or b"x-many" in head else b"")
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (said, b"!"):
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


def test_proxies_pass_requests_on_and_answers_back():
    async def check(world):
        world.app.nodes = Node()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        containers = [{"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": port}]}]
        await world.client.create(POD, pod(nodeName="n", containers=containers))
        status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        await world.client.patch(POD, A, {"status": status}, subresource="status")
        await world.client.create(
            SERVICE, {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
        )
        slice_ = {
            "metadata": {"name": "s-1", "namespace": "default", "labels": {
                "kubernetes.io/service-name": "s", "endpointslice.kubernetes.io/managed-by": "test"}},
            "addressType": "IPv4", "ports": [{"port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        }  # fmt: skip
        await world.client.create(ENDPOINT_SLICE, slice_)
        for path in (
            f"pods/a:{port}/proxy/x/y",
            "pods/a:web/proxy/x/y",
            "pods/http:a:web/proxy/x/y",
            "services/s/proxy/x/y",
        ):
            request = Request("POST", f"/api/v1/namespaces/default/{path}", {"q": "1"}, body=b"body", user=ADMIN)
            response = await world.app.handle(request, wire=True)
            body = b"".join([chunk async for chunk in response.chunks])
            assert (response.status, body) == (201, b"POST /x/y?q=1 HTTP/1.1|!")
            assert response.headers["content-type"] == "text/x"
        code, _, _ = await world.send("GET", "/api/v1/namespaces/default/services/s:nothing/proxy/")
        assert code == 400
        server.close()

    with_world(check)


def test_evictions_spend_the_budget():
    async def check(world):
        labels = {"app": "a"}
        spec = {"minAvailable": 1, "selector": {"matchLabels": labels}}
        await world.client.create(
            POD_DISRUPTION_BUDGET, {"metadata": {"name": "b", "namespace": "default"}, "spec": spec}
        )
        for name in ("a", "b"):
            await world.client.create(POD, pod(name, meta={"labels": labels}, nodeName="n"))
            running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            await world.client.patch(POD, Key("default", name), {"status": running}, subresource="status")
        eviction = {"metadata": {"name": "a"}}
        with pytest.raises(TooManyRequests) as caught:
            await world.client.create_subresource(POD, A, "eviction", eviction)
        assert caught.value.retry_after_seconds == 10
        status = {
            "observedGeneration": 1,
            "disruptionsAllowed": 1,
            "currentHealthy": 2,
            "desiredHealthy": 1,
            "expectedPods": 2,
        }
        budget = Key("default", "b")
        await world.client.patch(POD_DISRUPTION_BUDGET, budget, {"status": status}, subresource="status")
        await world.client.create_subresource(POD, A, "eviction", eviction)
        evicted = await world.client.get(POD, "a", "default")
        assert evicted["metadata"]["deletionTimestamp"]
        mark = next(each for each in evicted["status"]["conditions"] if each["type"] == "DisruptionTarget")
        assert (mark["status"], mark["reason"]) == ("True", "EvictionByEvictionAPI")
        assert mark["message"] == "Eviction API: evicting"
        with pytest.raises(TooManyRequests):
            await world.client.create_subresource(POD, Key("default", "b"), "eviction", {"metadata": {"name": "b"}})

    with_world(check)


def test_a_resize_changes_resources_alone():
    async def check(world):
        await world.client.create(POD, pod())
        wanted = {"name": "c", "image": "other", "resources": {"requests": {"cpu": "1"}}}
        merge = "application/strategic-merge-patch+json"
        made = await world.client.patch(
            POD, A, {"spec": {"containers": [wanted]}}, subresource="resize", content_type=merge
        )
        (container,) = made["spec"]["containers"]
        assert (container["image"], container["resources"]) == ("i:1", {"requests": {"cpu": "1"}})

    with_world(check)


def test_streams_need_a_node():
    async def check(world):
        await world.client.create(POD, pod(nodeName="n"))
        code, body, _ = await world.send("GET", POD.path("default", "a", "exec") + "?command=ls")
        assert code == 503
        assert body["message"] == "no node runs pods here, so there is nothing to connect to"

    with_world(check)
