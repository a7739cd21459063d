"""EndpointSlices: who is behind a Service, in which condition, on which ports."""

from __future__ import annotations

from controller_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.engine.controllers import endpointslice
from argosy.intent import Patch
from argosy.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from argosy.meta.json import Obj
from argosy.meta.objects import Key, labels_of

E = endpointslice.OPERATOR


def service(**spec: object) -> Obj:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    return {
        "metadata": {"name": "web", "namespace": "default", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": ports, **spec},
    }


def pod(world: World, name: str, ip: str, *, ready: bool = True, ports: list[Obj] | None = None, **meta: object) -> Obj:
    made = world.put(
        POD,
        {
            "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}, **meta},
            "spec": {"containers": [{"name": "m", "ports": ports or []}]},
        },
    )
    return world.run_pod(made, ready=ready, podIP=ip)


def conditions(world: World) -> dict[str, tuple[bool, bool, bool]]:
    return {
        e["addresses"][0]: (e["conditions"]["ready"], e["conditions"]["serving"], e["conditions"]["terminating"])
        for s in world.all(ENDPOINT_SLICE)
        for e in s["endpoints"]
    }


def test_ready_unready_and_terminating() -> None:
    world = World()
    world.put(SERVICE, service())
    world.settle((E, "web"))
    (empty,) = world.all(ENDPOINT_SLICE)
    assert (empty["endpoints"], empty["ports"]) == ([], [])
    pod(world, "a", "10.64.0.1")
    pod(world, "b", "10.64.0.2", ready=False)
    gone = pod(world, "c", "10.64.0.3")
    world.delete(POD, Key("default", "c"))
    world.end_pod(pod(world, "d", "10.64.0.4"))
    world.settle((E, "web"))
    assert conditions(world) == {
        "10.64.0.1": (True, True, False),
        "10.64.0.2": (False, False, False),
        "10.64.0.3": (False, True, True),
    }
    (slice,) = world.all(ENDPOINT_SLICE)
    assert labels_of(slice)["kubernetes.io/service-name"] == "web"
    assert labels_of(slice)["team"] == "a"
    assert slice["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert slice["endpoints"][0]["targetRef"]["name"] == "a"
    assert slice["endpoints"][0]["nodeName"] == "n1"
    (old,) = world.all(ENDPOINTS)
    assert [a["ip"] for a in old["subsets"][0]["addresses"]] == ["10.64.0.1"]
    assert [a["ip"] for a in old["subsets"][0]["notReadyAddresses"]] == ["10.64.0.2"]
    assert gone["metadata"]["name"] == "c"


def test_not_ready_addresses_may_be_published() -> None:
    world = World()
    world.put(SERVICE, service(publishNotReadyAddresses=True, clusterIP="None"))
    made = pod(world, "a", "10.64.0.1", ready=False)
    world.change(POD, made, {"spec": {"hostname": "a-0", "subdomain": "web"}})
    world.settle((E, "web"))
    (slice,) = world.all(ENDPOINT_SLICE)
    assert slice["endpoints"][0]["conditions"]["ready"]
    assert slice["endpoints"][0]["hostname"] == "a-0"
    assert "service.kubernetes.io/headless" in labels_of(slice)


def test_named_ports_differ_from_pod_to_pod() -> None:
    world = World()
    world.put(SERVICE, service(ports=[{"port": 80, "targetPort": "web"}]))
    pod(world, "a", "10.64.0.1", ports=[{"name": "web", "containerPort": 1}])
    pod(world, "b", "10.64.0.2", ports=[{"name": "web", "containerPort": 2}])
    pod(world, "c", "10.64.0.3")
    world.settle((E, "web"))
    found = {s["ports"][0]["port"]: [e["addresses"][0] for e in s["endpoints"]] for s in world.all(ENDPOINT_SLICE)}
    assert found == {1: ["10.64.0.1"], 2: ["10.64.0.2"]}
    assert len(world.all(ENDPOINTS)[0]["subsets"]) == 2


def test_services_without_selector_are_left_alone() -> None:
    world = World()
    world.put(SERVICE, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": [{"port": 1}]}})
    assert world.step(E, "web").actions == ()
    world.put(SERVICE, service(type="ExternalName"))
    assert world.step(E, "web").actions == ()


def test_one_change_touches_one_slice() -> None:
    world = World()
    world.put(SERVICE, service())
    pods = [pod(world, f"p{i:03}", f"10.64.1.{i}") for i in range(150)]
    world.settle((E, "web"))
    assert [len(s["endpoints"]) for s in world.all(ENDPOINT_SLICE)] in ([100, 50], [50, 100])
    world.run_pod(pods[3], ready=False, podIP="10.64.1.3")
    plan = world.step(E, "web")
    assert sum(isinstance(a, Patch) and a.kind is ENDPOINT_SLICE for a in plan.actions) == 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["add", "remove", "unready"])), max_size=40))
def test_the_slices_always_say_what_is(events: list[tuple[int, str]]) -> None:
    world = World()
    world.put(SERVICE, service())
    wanted: dict[str, bool] = {}
    for number, event in events:
        key, ip = Key("default", f"p{number}"), f"10.64.2.{number}"
        if event == "remove":
            world.objects.get(POD, {}).pop(key, None)
            wanted.pop(ip, None)
        else:
            pod(world, key.name, ip, ready=event == "add")
            wanted[ip] = event == "add"
        world.settle((E, "web"))
        assert {ip: found[0] for ip, found in conditions(world).items()} == wanted
        assert len(world.all(ENDPOINT_SLICE)) == 1


def test_endpoints_that_a_person_wrote_are_mirrored() -> None:
    world = World()
    world.put(SERVICE, service(selector=None))
    world.settle((E, "web"))
    assert world.all(ENDPOINT_SLICE) == []
    subset = {
        "addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "hostname": "two"}],
        "notReadyAddresses": [{"ip": "192.0.2.3"}],
        "ports": [{"name": "http", "port": 5432}],
    }
    written = world.put(ENDPOINTS, {"metadata": {"name": "web", "namespace": "default"}, "subsets": [subset]})
    world.settle((E, "web"))
    (mirrored,) = world.all(ENDPOINT_SLICE)
    assert labels_of(mirrored)["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io"
    assert labels_of(mirrored)["kubernetes.io/service-name"] == "web"
    assert mirrored["ports"] == [{"name": "http", "protocol": "TCP", "port": 5432}]
    ready = {e["addresses"][0]: e["conditions"]["ready"] for e in mirrored["endpoints"]}
    assert ready == {"192.0.2.1": True, "192.0.2.2": True, "192.0.2.3": False}
    assert world.step(E, "web").actions == ()

    world.change(ENDPOINTS, written, {"subsets": [{**subset, "addresses": [{"ip": "192.0.2.9"}]}]})
    world.settle((E, "web"))
    (mirrored,) = world.all(ENDPOINT_SLICE)
    assert [e["addresses"] for e in mirrored["endpoints"]] == [["192.0.2.3"], ["192.0.2.9"]]

    world.change(SERVICE, world.get(SERVICE, "web"), {"spec": {"selector": {"app": "web"}}})
    world.settle((E, "web"))
    (own,) = world.all(ENDPOINT_SLICE)
    assert labels_of(own)["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"


def test_a_lock_is_no_address() -> None:
    world = World()
    world.put(SERVICE, service(selector=None))
    meta = {"name": "web", "namespace": "default", "annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}
    world.put(ENDPOINTS, {"metadata": meta, "subsets": [{"addresses": [{"ip": "192.0.2.1"}]}]})
    world.settle((E, "web"))
    assert world.all(ENDPOINT_SLICE) == []
