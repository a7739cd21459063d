from dataclasses import replace
from ipaddress import IPv4Network

from argosy.engine.network.service_rules import FRAME, kernel_serves, placement_rules, service_rules
from argosy.engine.network.services import Backend, Frontend, Listen, Place
from argosy.meta.objects import Key

PODS = IPv4Network("10.64.0.0/16")
WEB = Key("default", "web")
A, B = Backend("10.64.0.5", 8080), Backend("10.64.0.6", 8080)


def frontend(*backends, affinity=0, place=Place.CLUSTER, protocol="TCP"):
    return Frontend(Listen(place, "10.96.0.7", 80, protocol), backends, affinity)


def test_the_kernel_serves_pods_behind_cluster_addresses():
    assert kernel_serves(frontend(A, B), PODS)
    assert kernel_serves(frontend(), PODS)
    assert not kernel_serves(frontend(A, Backend("192.0.2.1", 5432)), PODS)
    assert not kernel_serves(frontend(A, place=Place.HOST), PODS)


def test_connections_go_to_the_backends_in_turn():
    rules = service_rules(WEB, [frontend(A, B)], PODS)
    assert rules.collections["services"].elements == {"10.96.0.7 . tcp . 80 : goto service-10.96.0.7-80-tcp"}
    assert rules.chains["service-10.96.0.7-80-tcp"].rules == (
        (
            "meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.64.0.5 . 8080, 1 : 10.64.0.6 . 8080 } "
            'comment "default/web"'
        ),
    )
    assert rules.collections["hairpins"].elements == {"10.64.0.5 . 10.64.0.5", "10.64.0.6 . 10.64.0.6"}


def test_one_backend_needs_no_choice():
    rules = service_rules(WEB, [frontend(A, protocol="UDP")], PODS)
    assert rules.chains["service-10.96.0.7-80-udp"].rules == (
        'meta l4proto udp dnat to 10.64.0.5:8080 comment "default/web"',
    )


def test_a_port_without_backends_is_left_to_refuse():
    rules = service_rules(WEB, [frontend()], PODS)
    assert rules.chains == {}
    assert rules.collections == FRAME.collections


def test_with_affinity_a_client_is_looked_up_first():
    rules = service_rules(WEB, [frontend(A, B, affinity=60)], PODS)
    first, second, other = rules.chains["service-10.96.0.7-80-tcp"].rules
    assert first.startswith(
        "ip saddr @clients-10.96.0.7-80-tcp-10.64.0.5-8080-60 goto backend-10.96.0.7-80-tcp-10.64.0.5-8080"
    )
    assert "10.64.0.6" in second
    assert other.startswith("numgen inc mod 2 vmap { 0 : goto backend-")
    own = rules.chains["backend-10.96.0.7-80-tcp-10.64.0.5-8080"].rules
    assert own == (
        "update @clients-10.96.0.7-80-tcp-10.64.0.5-8080-60 { ip saddr }",
        "meta l4proto tcp dnat to 10.64.0.5:8080",
    )
    assert "timeout 60s" in rules.collections["clients-10.96.0.7-80-tcp-10.64.0.5-8080-60"].head


def test_ports_that_lead_to_the_same_pods_share_a_chain():
    node = replace(frontend(A, B), listen=Listen(Place.CLUSTER, "10.95.0.1", 30080, "TCP"))
    rules = service_rules(WEB, [frontend(A, B), node], PODS)
    assert rules.collections["services"].elements == {
        "10.96.0.7 . tcp . 80 : goto service-10.96.0.7-80-tcp",
        "10.95.0.1 . tcp . 30080 : goto service-10.96.0.7-80-tcp",
    }
    assert list(rules.chains) == ["service-10.96.0.7-80-tcp"]


def test_pods_are_answered_on_their_own_node_where_that_is_wanted():
    near = (("n-1", (A,)), ("n-2", ()))
    rules = service_rules(WEB, [replace(frontend(A, B), near=near)], PODS)
    first, second, stranger, anybody = rules.chains["service-10.96.0.7-80-tcp"].rules
    assert first.startswith("ip saddr @on-n-1 goto service-10.96.0.7-80-tcp-on-n-1")
    assert second.startswith("ip saddr @on-n-2 goto service-10.96.0.7-80-tcp-on-n-2")
    assert stranger.startswith("ip saddr 10.64.0.0/16 return")
    assert "numgen inc mod 2" in anybody
    assert rules.chains["service-10.96.0.7-80-tcp-on-n-1"].rules == ("meta l4proto tcp dnat to 10.64.0.5:8080",)
    assert rules.chains["service-10.96.0.7-80-tcp-on-n-2"].rules == ("return",), "refused at once by the node itself"
    assert placement_rules({"n-1": ["10.64.0.5"]}).collections["on-n-1"].elements == {"10.64.0.5"}


def test_affinity_on_each_node():
    near = (("n-1", (A, B)),)
    rules = service_rules(WEB, [replace(frontend(A, B, affinity=60), near=near)], PODS)
    assert "clients-10.96.0.7-80-tcp-on-n-1-10.64.0.5-8080-60" in rules.collections
    assert "clients-10.96.0.7-80-tcp-10.64.0.5-8080-60" in rules.collections


def test_health_checks_are_no_affair_of_the_kernel():
    assert not kernel_serves(replace(frontend(A), health_of=WEB), PODS)
