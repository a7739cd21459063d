from ipaddress import IPv4Network

from argosy.engine.network.service_rules import FRAME, kernel_serves, service_rules
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
    rules = service_rules(WEB, [frontend(A, B)])
    assert rules.collections["services"].elements == {"10.96.0.7 . tcp . 80 : goto service-10.96.0.7-80-tcp"}
    assert rules.chains["service-10.96.0.7-80-tcp"].rules == (
        (
            "meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 10.64.0.5 . 8080, 1 : 10.64.0.6 . 8080 } "
            'comment "default/web"'
        ),
    )
    assert rules.collections["hairpins"].elements == {"10.64.0.5 . 10.64.0.5", "10.64.0.6 . 10.64.0.6"}


def test_one_backend_needs_no_choice():
    rules = service_rules(WEB, [frontend(A, protocol="UDP")])
    assert rules.chains["service-10.96.0.7-80-udp"].rules == (
        'meta l4proto udp dnat to 10.64.0.5:8080 comment "default/web"',
    )


def test_a_port_without_backends_is_left_to_refuse():
    rules = service_rules(WEB, [frontend()])
    assert rules.chains == {}
    assert rules.collections == FRAME.collections


def test_with_affinity_a_client_is_looked_up_first():
    rules = service_rules(WEB, [frontend(A, B, affinity=60)])
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
