import pytest
from network_world import endpoint, service, slice_of

from argosy.engine.network.health_port import response
from argosy.engine.network.node_places import NodePlace, node_of, places
from argosy.engine.network.services import (
    Backend,
    Listen,
    Place,
    backends,
    frontends,
    port_name_of,
    why_nobody_answers,
)


def listens(found):
    return [(f.listen.place.value, f.listen.address, f.listen.port, f.listen.protocol) for f in found]


def test_a_cluster_ip_listens_on_its_ports():
    svc = service(
        clusterIP="10.96.0.5", ports=[{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}]
    )
    slices = [slice_of("web", [endpoint("10.64.0.1"), endpoint("10.64.0.2")], {"a": 8080, "b": 5353})]
    found = frontends(svc, slices)
    assert listens(found) == [("cluster", "10.96.0.5", 80, "TCP"), ("cluster", "10.96.0.5", 53, "UDP")]
    assert found[0].backends == (Backend("10.64.0.1", 8080), Backend("10.64.0.2", 8080))
    assert found[1].backends == (Backend("10.64.0.1", 5353), Backend("10.64.0.2", 5353))
    assert found[0].affinity_seconds == 0


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"type": "ExternalName", "externalName": "example.org"}, {}], ids=str
)
def test_without_an_address_nothing_listens(spec):
    assert frontends(service(**spec), []) == ()


def test_node_ports_and_load_balancers_listen_on_the_host():
    port = {"port": 80, "nodePort": 30080}
    assert listens(frontends(service(clusterIP="10.96.0.5", type="NodePort", ports=[port]), []))[1:] == [
        ("host", "127.0.0.1", 30080, "TCP")
    ]
    assert listens(frontends(service(clusterIP="10.96.0.5", type="LoadBalancer", ports=[port]), []))[1:] == [
        ("host", "127.0.0.1", 30080, "TCP"),
        ("host", "127.0.0.1", 80, "TCP"),
    ]


def test_whom_a_load_balancer_is_for():
    port = {"port": 80, "nodePort": 30080}
    ranges = ["10.0.0.0/8", " 127.0.0.1/32"]
    svc = service(clusterIP="10.96.0.5", type="LoadBalancer", ports=[port], loadBalancerSourceRanges=ranges)
    cluster, node, balancer = frontends(svc, [])
    assert all(each.lets_in("192.0.2.1") for each in (cluster, node))
    assert balancer.lets_in("127.0.0.1")
    assert balancer.lets_in("10.1.2.3")
    assert not balancer.lets_in("192.0.2.1")
    svc["spec"]["loadBalancerSourceRanges"] = ["fd00::/8"]
    assert not frontends(svc, [])[2].lets_in("127.0.0.1")


def test_affinity():
    svc = service(clusterIP="10.96.0.5", sessionAffinity="ClientIP")
    assert frontends(svc, [])[0].affinity_seconds == 10800
    svc["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 60}}
    assert frontends(svc, [])[0].affinity_seconds == 60


def test_who_answers():
    svc = service()
    mixed = [endpoint("10.64.0.1"), endpoint("10.64.0.2", ready=False), {"addresses": ["10.64.0.3"]}]
    # A condition that is not given counts as ready.
    assert backends(svc, [slice_of("web", mixed, {"": 80})], "") == (Backend("10.64.0.1", 80), Backend("10.64.0.3", 80))
    early = service(publishNotReadyAddresses=True)
    assert len(backends(early, [slice_of("web", mixed, {"": 80})], "")) == 3
    going = [*mixed, endpoint("10.64.0.6", serving=True, terminating=True)]
    assert len(backends(early, [slice_of("web", going, {"": 80})], "")) == 3, "whoever goes is spared while others stay"
    leaving = [endpoint("10.64.0.4", ready=False, serving=True, terminating=True), endpoint("10.64.0.5", ready=False)]
    assert backends(svc, [slice_of("web", leaving, {"": 80})], "") == (Backend("10.64.0.4", 80),)
    # Slices whose ports differ: each endpoint answers on its own slice's.
    two = [slice_of("web", [endpoint("10.64.0.1")], {"": 80}), slice_of("web", [endpoint("10.64.0.2")], {"": 90})]
    assert backends(svc, two, "") == (Backend("10.64.0.1", 80), Backend("10.64.0.2", 90))
    six = {**slice_of("web", [endpoint("fd00::1")], {"": 80}), "addressType": "IPv6"}
    assert backends(svc, [six], "") == ()


def test_ports_by_number_and_name():
    svc = service(ports=[{"name": "http", "port": 80}, {"name": "grpc", "port": 9000}])
    assert port_name_of(svc, 9000) == "grpc"
    assert port_name_of(svc, "http") == "http"
    assert port_name_of(svc, 81) is None
    assert port_name_of(service(), 80) == ""


def test_why_nobody_answers():
    assert "get pods -l app=web" in why_nobody_answers(service(), [])
    assert "none of the 1 pods" in why_nobody_answers(service(), [slice_of("web", [endpoint("1.1.1.1", False)], {})])
    assert "no selector" in why_nobody_answers(service(selector=None), [])


def test_a_listen_reads_well():
    assert str(Listen(Place.HOST, "127.0.0.1", 80, "TCP")) == "127.0.0.1:80/TCP"


def node(name, **addresses):
    told = [{"type": type, "address": address} for type, address in addresses.items()]
    return {"metadata": {"name": name}, "status": {"addresses": told}}


def test_where_nodes_are_met():
    assert places([], "127.0.0.1") == (NodePlace("", "127.0.0.1"),)
    assert places([node("b", InternalIP="10.95.0.2", ExternalIP="127.0.0.2"), node("a", InternalIP="127.0.0.1")], "") == (
        NodePlace("a", "127.0.0.1"), NodePlace("b", "127.0.0.2", "10.95.0.2"),
    )  # fmt: skip
    assert places([node("new")], "127.0.0.1") == (NodePlace("", "127.0.0.1"),)


def test_which_node_an_address_is_on():
    pod = {"spec": {"nodeName": "a"}, "status": {"podIP": "10.64.0.9", "phase": "Running"}}
    assert node_of(pod) == ("10.64.0.9", "a")
    assert node_of({**pod, "spec": {"nodeName": "a", "hostNetwork": True}}) == ("", "a")
    assert node_of({**pod, "status": {**pod["status"], "phase": "Failed"}}) == ("", "a")


A, B = NodePlace("a", "127.0.0.1", "10.95.0.1"), NodePlace("b", "127.0.0.2", "10.95.0.2")
ON_A = {**endpoint("10.64.0.1"), "nodeName": "a"}


def by_place(found):
    return {str(each.listen): [backend.address for backend in each.backends] for each in found}


def test_node_ports_are_open_on_every_node_from_both_sides():
    svc = service(clusterIP="10.96.0.5", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert by_place(frontends(svc, [slice_of("web", [ON_A], {"": 80})], [A, B])) == {
        f"{place}/TCP": ["10.64.0.1"]
        for place in ("10.96.0.5:80", "127.0.0.1:30080", "10.95.0.1:30080", "127.0.0.2:30080", "10.95.0.2:30080")
    }


def test_external_traffic_stays_on_the_node_that_it_came_to():
    ports = [{"port": 80, "nodePort": 30080}]
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30999, "ports": ports}
    found = frontends(service(clusterIP="10.96.0.5", **spec), [slice_of("web", [ON_A], {"": 80})], [A, B])
    told = by_place(found)
    assert told["127.0.0.1:30080/TCP"] == told["10.95.0.1:30080/TCP"] == ["10.64.0.1"]
    assert told["127.0.0.2:30080/TCP"] == told["10.95.0.2:30080/TCP"] == []
    assert told["127.0.0.1:80/TCP"] == told["10.96.0.5:80/TCP"] == ["10.64.0.1"]
    checks = {each.listen.address: response(each) for each in found if each.health_of is not None}
    assert set(checks) == {"127.0.0.1", "127.0.0.2", "10.95.0.1", "10.95.0.2"}
    assert checks["127.0.0.1"].startswith(b"HTTP/1.1 200 ")
    assert b'"localEndpoints": 1' in checks["127.0.0.1"]
    assert checks["127.0.0.2"].startswith(b"HTTP/1.1 503 ")
    leaving = {**ON_A, "conditions": {"ready": False, "serving": True, "terminating": True}}
    found = frontends(service(clusterIP="10.96.0.5", **spec), [slice_of("web", [leaving], {"": 80})], [A, B])
    assert by_place(found)["127.0.0.1:30080/TCP"] == ["10.64.0.1"], "who leaves serves while nobody else does"
    assert all(response(each).startswith(b"HTTP/1.1 503 ") for each in found if each.health_of is not None)


def test_internal_traffic_stays_on_the_node_of_the_client():
    svc = service(clusterIP="10.96.0.5", internalTrafficPolicy="Local")
    slices = [slice_of("web", [ON_A, {**endpoint("10.64.0.2"), "nodeName": "b"}], {"": 80})]
    (found,) = frontends(svc, slices, [A, B, NodePlace("c", "127.0.0.3")])
    assert [found.on_node(name) for name in "abc"] == [(Backend("10.64.0.1", 80),), (Backend("10.64.0.2", 80),), ()]
    assert len(found.on_node("")) == 2, "the node itself is on all"
    assert frontends(svc, slices, [A])[0].near is None, "with one node there is nothing to tell apart"
