"""Services of every sort, by address, name, port name and node port; EndpointSlices; affinity; names in DNS."""

from __future__ import annotations

import json

import pytest

from argosy import kinds
from argosy.errors import ApiError
from argosy.meta.json import dig
from argosy.meta.objects import labels_of
from conformance.cluster import refused
from conformance.manifests import pod_spec, sleeper
from conformance.town import Town

pytestmark = pytest.mark.needs("pods")


def _addresses(slices, name):
    """Address to readiness, over all slices of a Service."""
    mine = [each for each in slices.values() if labels_of(each).get("kubernetes.io/service-name") == name]
    points = [point for each in mine for point in each.get("endpoints") or ()]
    return {point["addresses"][0]: dig(point, "conditions", "ready") for point in points}


async def test_a_service_spreads_over_its_ready_pods(town: Town):
    one, two = await town.server("one", app="web"), await town.server("two", app="web")
    service = await town.service("web")
    await town.visitor()
    address = service["spec"]["clusterIP"]
    assert service["spec"]["clusterIPs"] == [address]
    await town.until_reached(address, 80)
    seen = set()
    await town.until(lambda: town.names_seen(seen, address, 80, {"one", "two"}))
    assert (await town.ask("web", 80))["name"] in ("one", "two"), "by its name"
    slices = await town.namespace.observe(
        kinds.ENDPOINT_SLICE, lambda found: _addresses(found, "web") == {one: True, two: True} and found
    )
    (slice_,) = slices.values()
    assert slice_["addressType"] == "IPv4"
    assert [(port["name"], port["port"], port["protocol"]) for port in slice_["ports"]] == [("http", 8080, "TCP")]
    assert {point["targetRef"]["name"] for point in slice_["endpoints"]} == {"one", "two"}
    assert all(point["nodeName"] for point in slice_["endpoints"])


async def test_a_pod_that_is_not_ready_gets_no_connections(town: Town):
    await town.server("one", app="web")
    await town.server("two", app="web")
    await town.service("web")
    await town.visitor()
    seen = set()
    await town.until(lambda: town.names_seen(seen, "web", 80, {"one", "two"}))
    await town.namespace.says("two", "touch", "/tmp/unwell")
    await town.namespace.observe(
        kinds.ENDPOINT_SLICE, lambda found: sorted(_addresses(found, "web").values()) == [False, True]
    )
    await town.until(lambda: town.only("one", "web", 80))
    await town.namespace.remove(kinds.POD, "one")
    await town.until_refused("web", 80)


async def test_unready_pods_are_published_where_that_is_wanted(town: Town):
    container = town.container()
    container["readinessProbe"] = {"exec": {"command": ["false"]}}
    await town.namespace.pod("never", pod_spec(container), labels={"app": "web"})
    await town.service("web", publishNotReadyAddresses=True)
    await town.visitor()
    await town.until_reached("web", 80)


async def test_ports_by_name_follow_each_pod(town: Town):
    """Two pods call different ports `http`; the Service leads to the one that each means."""
    await town.server("one", app="web")
    other = town.container()
    other["ports"] = [{"name": "http", "containerPort": 9090}]
    await town.namespace.pod("two", pod_spec(other), labels={"app": "web"})
    await town.namespace.ready("two")
    ports = [{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 81, "targetPort": 8080}]
    await town.service("web", ports=ports)
    await town.visitor()
    found = {}

    async def both():
        answer = await town.ask("web", 80)
        if "name" in answer:
            found[answer["name"]] = answer["port"]
        return found == {"one": 8080, "two": 9090}

    await town.until(both)
    assert (await town.ask("web", 81))["port"] == 8080


@pytest.mark.needs("cluster DNS")
async def test_ports_have_names_of_their_own(town: Town):
    await town.service("web", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}])
    await town.visitor()
    name = f"web.{town.namespace.name}.svc.cluster.local"
    assert await town.service_records(f"_b._tcp.{name}") == [81]
    assert await town.service_records(f"_c._tcp.{name}") == []


async def test_datagrams_are_served_too(town: Town):
    await town.server("one", app="web")
    await town.service("web", ports=[{"port": 53, "targetPort": 5300, "protocol": "UDP"}])
    await town.visitor()

    async def answered():
        return (await town.ask("web", 53, kind="udp")).get("name") == "one"

    await town.until(answered)


async def test_a_client_stays_with_its_pod_under_affinity(town: Town):
    for name in ("one", "two", "three"):
        await town.server(name, app="web")
    service = await town.service("web", sessionAffinity="ClientIP")
    assert service["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == 10800
    await town.visitor()
    await town.namespace.observe(
        kinds.ENDPOINT_SLICE, lambda found: list(_addresses(found, "web").values()) == [True] * 3
    )
    await town.until_reached("web", 80)
    first = (await town.ask("web", 80))["name"]

    async def stays():
        nonlocal first
        names = {(await town.ask("web", 80)).get("name") for _ in range(5)}
        settled, first = names == {first}, next(iter(names))
        return settled

    await town.until(stays)


async def test_a_headless_service_names_its_pods(town: Town):
    one, two = await town.server("one", app="web"), await town.server("two", app="web")
    service = await town.service("web", clusterIP="None")
    assert service["spec"]["clusterIP"] == "None"
    await town.visitor()

    async def both():
        return await town.addresses("web") == {one, two}

    await town.until(both)


async def test_a_pod_with_a_subdomain_has_a_name_of_its_own(town: Town):
    await town.service("db", clusterIP="None", selector={"app": "db"})
    spec = pod_spec(town.container(), hostname="first", subdomain="db")
    await town.namespace.pod("p", spec, labels={"app": "db"})
    address = (await town.namespace.ready("p"))["status"]["podIP"]
    await town.visitor()
    name = town.namespace.name

    async def named():
        return await town.addresses(f"first.db.{name}.svc.cluster.local") == {address}

    await town.until(named)
    assert await town.addresses("first.db") == {address}
    assert (await town.namespace.says("p", "hostname", "-f")).strip() == f"first.db.{name}.svc.cluster.local"


async def test_every_form_of_a_name_leads_to_the_service(town: Town):
    service = await town.service("web")
    await town.visitor()
    address, name = service["spec"]["clusterIP"], town.namespace.name
    for form in (
        "web",
        f"web.{name}",
        f"web.{name}.svc",
        f"web.{name}.svc.cluster.local",
        f"web.{name}.svc.cluster.local.",
    ):

        async def found(form=form):
            return await town.addresses(form) == {address}

        await town.until(found)
    assert await town.addresses("nobody") == set()
    assert await town.addresses(f"nobody.{name}.svc.cluster.local") == set()


async def test_a_service_may_stand_for_a_name_elsewhere(town: Town):
    inside = await town.service("web")
    target = f"web.{town.namespace.name}.svc.cluster.local"
    await town.namespace.create(
        kinds.SERVICE, {"metadata": {"name": "alias"}, "spec": {"type": "ExternalName", "externalName": target}}
    )
    await town.visitor()

    async def found():
        return await town.addresses("alias") == {inside["spec"]["clusterIP"]}

    await town.until(found)


async def test_a_service_without_a_selector_leads_where_somebody_says(town: Town):
    address = await town.server("one", app="web")
    await town.namespace.create(kinds.SERVICE, {"metadata": {"name": "by-hand"}, "spec": {"ports": [{"port": 80}]}})
    labels = {"kubernetes.io/service-name": "by-hand", "endpointslice.kubernetes.io/managed-by": "conformance"}
    points = {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }
    await town.namespace.create(kinds.ENDPOINT_SLICE, {"metadata": {"name": "by-hand-1", "labels": labels}, **points})
    await town.visitor()
    await town.until_reached("by-hand", 80)


async def test_pods_are_told_of_services_in_their_environment(town: Town):
    service = await town.service("my-web")
    await town.namespace.pod("told", pod_spec(sleeper()))
    await town.namespace.pod("untold", pod_spec(sleeper(), enableServiceLinks=False))
    await town.namespace.ready("told")
    await town.namespace.ready("untold")
    told = dict(line.split("=", 1) for line in (await town.namespace.says("told", "env")).splitlines() if "=" in line)
    assert told["MY_WEB_SERVICE_HOST"] == service["spec"]["clusterIP"]
    assert told["MY_WEB_SERVICE_PORT"] == "80"
    assert told["MY_WEB_PORT"] == f"tcp://{service['spec']['clusterIP']}:80"
    untold = await town.namespace.says("untold", "env")
    assert "MY_WEB_" not in untold
    assert "KUBERNETES_SERVICE_HOST=" in untold, "the API server's own are always there"


async def test_a_node_port_is_open_on_the_nodes(town: Town):
    await town.server("one", app="web")
    service = await town.service("web", type="NodePort")
    port = service["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    await town.namespace.pod("host", pod_spec(sleeper()))
    host = (await town.namespace.ready("host"))["status"]["hostIP"]
    if host.startswith("127."):  # a cluster on this machine, whose nodes are reached from here
        await town.until(lambda: town.answers_here(f"http://{host}:{port}/"))
    else:
        await town.visitor()
        await town.until_reached(host, port)


@pytest.mark.needs("load balancers")
async def test_a_load_balancer_is_given_an_address(town: Town):
    await town.server("one", app="web")
    await town.service("web", type="LoadBalancer")
    service = await town.namespace.until(
        kinds.SERVICE, "web", lambda found: dig(found, "status", "loadBalancer", "ingress")
    )
    assert {"ip", "hostname"} & set(service["status"]["loadBalancer"]["ingress"][0])
    assert (
        service["spec"]["ports"][0]["nodePort"] if service["spec"].get("allocateLoadBalancerNodePorts", True) else True
    )


@pytest.mark.needs("controllers", only=True)
async def test_addresses_and_node_ports_are_given_once(town: Town):
    first = await town.service("first", type="NodePort")
    port = first["spec"]["ports"][0]
    again = town.service("second", type="NodePort", ports=[{"port": 80, "nodePort": port["nodePort"]}])
    assert "provided port is already allocated" in str(await refused(again))
    taken = town.service("third", clusterIP=first["spec"]["clusterIP"])
    assert "provided IP is already allocated" in str(await refused(taken))


async def test_services_and_pods_are_reached_through_the_api_server(town: Town):
    await town.server("one", app="web")
    await town.service("web")
    path = f"/api/v1/namespaces/{town.namespace.name}"
    for through in ("services/web:http", "services/web:80", "pods/one:8080"):

        async def answered(through=through):
            try:
                answer = await town.get(f"{path}/{through}/proxy/deep/path")
            except ApiError:  # not yet
                return False
            return json.loads(answer)["path"] == "/deep/path"

        await town.until(answered)
