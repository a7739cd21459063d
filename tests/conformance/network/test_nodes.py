"""Services and the nodes: NodePorts from within, and which node's pods answer whom."""

from __future__ import annotations

import pytest

from argosy import kinds
from argosy.meta.json import Obj
from conformance.cluster import refused
from conformance.manifests import pod_spec
from conformance.town import Town

pytestmark = pytest.mark.needs("pods")


async def _on_each_node(town: Town) -> dict[str, tuple[str, str]]:
    """A visitor on every node that takes pods: node -> (visitor, the node's own address)."""
    await town.visitors("visitors")
    pods = await town.namespace.list(kinds.POD)
    return {each["spec"]["nodeName"]: (each["metadata"]["name"], each["status"]["hostIP"]) for each in pods}


async def _server_on(town: Town, node: str, name: str = "one") -> None:
    spec = pod_spec(town.container(), nodeSelector={"kubernetes.io/hostname": node})
    await town.namespace.pod(name, spec, labels={"app": "web"})
    await town.namespace.ready(name)


async def test_a_node_port_is_open_to_pods_on_every_node(town: Town):
    there = await _on_each_node(town)
    await town.server("one", app="web")
    service = await town.service("web", type="NodePort")
    port = service["spec"]["ports"][0]["nodePort"]
    for visitor, _ in there.values():
        for _, address in there.values():
            await town.until_reached(address, port, visitor)


@pytest.mark.needs("nodes", "clients told apart")
async def test_internal_traffic_may_stay_on_the_node_of_the_client(town: Town):
    there = await _on_each_node(town)
    (near, (neighbour, _)), (far, (stranger, _)), *_ = sorted(there.items())
    await _server_on(town, near)
    service = await town.service("web", internalTrafficPolicy="Local")
    assert service["spec"]["internalTrafficPolicy"] == "Local"
    await town.until_reached("web", 80, neighbour)
    assert not await town.reaches("web", 80, stranger), "nobody answers on that node"
    await _server_on(town, far, "two")
    await town.until_reached("web", 80, stranger)
    for _ in range(5):
        assert (await town.ask("web", 80, visitor=neighbour))["name"] == "one"
        assert (await town.ask("web", 80, visitor=stranger))["name"] == "two"
    await town.namespace.patch(kinds.SERVICE, "web", {"spec": {"internalTrafficPolicy": "Cluster"}})
    seen: set[str] = set()

    async def both():
        seen.add((await town.ask("web", 80, visitor=neighbour)).get("name"))
        return seen == {"one", "two"}

    await town.until(both)


@pytest.mark.needs("nodes")
async def test_external_traffic_may_stay_on_the_node_that_it_came_to(town: Town):
    """What a load balancer is told by each node's health check, and who answers there."""
    there = await _on_each_node(town)
    (near, (neighbour, here)), (_, (_, elsewhere)), *_ = sorted(there.items())
    await _server_on(town, near)
    service = await town.service("web", type="LoadBalancer", externalTrafficPolicy="Local")
    check, port = service["spec"]["healthCheckNodePort"], service["spec"]["ports"][0]["nodePort"]
    await town.until_reached(here, port, neighbour)

    async def told(address: str) -> Obj:
        return await town.ask(address, check, visitor=neighbour)

    async def healthy():
        return (await told(here)).get("localEndpoints") == 1

    await town.until(healthy)
    assert (await told(here))["service"] == {"namespace": town.namespace.name, "name": "web"}
    assert " 503 " in (await told(elsewhere))["error"]
    await town.namespace.says("one", "touch", "/tmp/unwell")

    async def unhealthy():
        return " 503 " in (await told(here)).get("error", "")

    await town.until(unhealthy)


async def test_a_pod_reaches_itself_through_its_service(town: Town):
    await town.server("one", app="web")
    await town.service("web")
    await town.until_reached("web", 80, "one")


@pytest.mark.slow
async def test_affinity_ends_after_its_time(town: Town):
    for name in ("one", "two", "three"):
        await town.server(name, app="web")
    config = {"clientIP": {"timeoutSeconds": 2}}
    await town.service("web", sessionAffinity="ClientIP", sessionAffinityConfig=config)
    await town.visitor()
    await town.until_reached("web", 80)
    seen = set()

    async def others():
        """Whoever comes again in time is led to the same pod; whoever waits is not bound to it."""
        seen.add((await town.ask("web", 80)).get("name"))
        await town.namespace.says("visitor", "sleep", "4")  # a silence is what is tried
        return len(seen) > 1

    await town.until(others)


async def test_a_host_port_is_open_to_pods(town: Town):
    container = town.container()
    container["ports"][0]["hostPort"] = 18764
    await town.namespace.pod("one", pod_spec(container))
    host = (await town.namespace.ready("one"))["status"]["hostIP"]
    await town.visitor()
    await town.until_reached(host, 18764)


@pytest.mark.needs("controllers", only=True)
async def test_one_family_of_addresses_or_two(town: Town):
    """Who prefers two is content with what the cluster has; who requires two is refused where there is one."""
    found = await town.service("prefers", ipFamilyPolicy="PreferDualStack")
    families, addresses = found["spec"]["ipFamilies"], found["spec"]["clusterIPs"]
    assert found["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    assert len(families) == len(addresses)
    requires = town.service("requires", ipFamilyPolicy="RequireDualStack")
    if len(families) == 1:
        assert "this cluster is not configured for dual-stack services" in str(await refused(requires))
    else:
        assert len((await requires)["spec"]["clusterIPs"]) == 2
