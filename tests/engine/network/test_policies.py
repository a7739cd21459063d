from ipaddress import IPv4Network

import pytest

from argosy.engine.network.policies import Endpoint, Ports, endpoint_of, resolve
from argosy.engine.network.policy_rules import policy_rules

NAMESPACES = [
    {"metadata": {"name": "default", "labels": {"kubernetes.io/metadata.name": "default"}}},
    {"metadata": {"name": "other", "labels": {"team": "b"}}},
]
WEB = Endpoint("default", {"app": "web"}, "10.64.0.10", (("http", "TCP", 8080),))
DB = Endpoint("default", {"app": "db"}, "10.64.0.11", (("http", "TCP", 9090), ("sql", "TCP", 5432)))
FAR = Endpoint("other", {"app": "web"}, "10.64.0.12")
EVERYBODY = [WEB, DB, FAR]


def policy(name="p", namespace="default", **spec):
    spec.setdefault("podSelector", {})
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def one(**spec):
    (found,) = resolve([policy(**spec)], NAMESPACES, EVERYBODY)
    return found


def test_a_policy_is_about_the_pods_of_its_namespace():
    assert one().selected == {"10.64.0.10", "10.64.0.11"}
    assert one(podSelector={"matchLabels": {"app": "db"}}).selected == {"10.64.0.11"}


@pytest.mark.parametrize(
    ("spec", "ingress", "egress"),
    [
        ({}, True, False),
        ({"egress": [{}]}, True, True),
        ({"policyTypes": ["Egress"]}, False, True),
        ({"policyTypes": ["Ingress", "Egress"]}, True, True),
    ],
)
def test_the_directions_that_a_policy_governs(spec, ingress, egress):
    found = one(**spec)
    assert (found.ingress is not None, found.egress is not None) == (ingress, egress)


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"podSelector": {"matchLabels": {"app": "web"}}}, {"10.64.0.10"}),
        ({"podSelector": {}}, {"10.64.0.10", "10.64.0.11"}),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, {"10.64.0.12"}),
        ({"namespaceSelector": {}}, {"10.64.0.10", "10.64.0.11", "10.64.0.12"}),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}, {"10.64.0.10", "10.64.0.12"}),
        ({"namespaceSelector": {"matchLabels": {"team": "none"}}}, set()),
    ],
)
def test_peers_by_selectors(peer, addresses):
    (rule,) = one(ingress=[{"from": [peer]}]).ingress
    assert rule.pods == addresses
    assert not rule.anybody


def test_no_peers_means_everybody_and_no_rules_mean_nobody():
    (rule,) = one(ingress=[{}]).ingress
    assert rule.anybody
    assert rule.any_port
    assert one(ingress=[]).ingress == ()


def test_blocks_without_their_exceptions():
    block = {"cidr": "10.0.0.0/8", "except": ["10.64.0.0/10", "10.0.0.0/10"]}
    (rule,) = one(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]).egress
    assert rule.blocks == (IPv4Network("10.128.0.0/9"),)
    (rule,) = one(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "fd00::/8"}}]}]).egress
    assert rule.blocks == ()
    assert not rule.anybody, "a block of IPv6 allows nobody, not everybody"
    (rule,) = one(ingress=[{"from": [{"ipBlock": {"cidr": "10.1.0.0/16", "except": ["10.0.0.0/8"]}}]}]).ingress
    assert rule.blocks == ()


def test_ports_with_numbers_ranges_and_protocols():
    ports = [
        {"port": 80},
        {"port": 81, "endPort": 90},
        {"port": 85},
        {"protocol": "UDP"},
        {"port": 9, "protocol": "SCTP"},
    ]
    (rule,) = one(ingress=[{"ports": ports}]).ingress
    assert set(rule.ports) == {
        Ports("TCP", ((80, 90),)),
        Ports("UDP", ((0, 65535),)),
        Ports("SCTP", ((9, 9),)),
    }
    assert not rule.any_port


def test_a_named_port_is_that_of_the_pod_that_listens():
    ports = [{"port": "http"}]
    (rule,) = one(ingress=[{"ports": ports}]).ingress
    assert rule.named[0].pairs == {("10.64.0.10", 8080), ("10.64.0.11", 9090)}
    peer = {"podSelector": {"matchLabels": {"app": "db"}}}
    (rule,) = one(policyTypes=["Egress"], egress=[{"to": [peer], "ports": ports}]).egress
    assert rule.named[0].pairs == {("10.64.0.11", 9090)}


def test_pods_that_policies_are_not_about():
    pod = {
        "metadata": {"name": "a", "namespace": "x"},
        "spec": {},
        "status": {"podIP": "10.64.0.9", "phase": "Running"},
    }
    assert endpoint_of(pod).address == "10.64.0.9"
    assert endpoint_of({**pod, "spec": {"hostNetwork": True}}) is None
    assert endpoint_of({**pod, "status": {"phase": "Pending"}}) is None
    assert endpoint_of({**pod, "status": {"phase": "Pending"}}, "10.64.0.8").address == "10.64.0.8"
    assert endpoint_of({**pod, "status": {"podIP": "10.64.0.9", "phase": "Succeeded"}}) is None


def test_without_policies_the_kernel_is_not_asked():
    assert policy_rules([]).chains == {}


def test_isolation_is_a_set_a_direction():
    found = policy_rules(
        resolve(
            [
                policy("in", podSelector={"matchLabels": {"app": "web"}}),
                policy("out", podSelector={"matchLabels": {"app": "db"}}, policyTypes=["Egress"]),
            ],
            NAMESPACES,
            EVERYBODY,
        )
    )
    assert found.collections["isolated-in"].elements == {"10.64.0.10"}
    assert found.collections["isolated-out"].elements == {"10.64.0.11"}
    assert found.chains["egress"].rules[-1] == found.chains["ingress"].rules[-1] == "reject with icmp admin-prohibited"


def test_an_allowed_connection_out_still_has_to_be_let_in():
    found = policy_rules(
        resolve([policy(policyTypes=["Egress"], egress=[{"ports": [{"port": 80}]}])], NAMESPACES, EVERYBODY)
    )
    (rules,) = [chain.rules for name, chain in found.chains.items() if name.startswith("out-")]
    assert rules == ("tcp dport { 80 } goto ingress",)


def test_peers_and_ports_are_combined():
    rule = {
        "from": [{"podSelector": {}}, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}, {"port": "http"}],
    }
    found = policy_rules(resolve([policy(ingress=[rule])], NAMESPACES, EVERYBODY))
    ((name, chain),) = [(name, chain) for name, chain in found.chains.items() if name.startswith("in-")]
    pods, ports = f"ip saddr @peers-{name}-0", f"ip daddr . tcp dport @ports-{name}-0-0"
    block = "ip saddr { 192.0.2.0/24 }"
    assert chain.rules == (
        f"{pods} tcp dport {{ 80 }} accept",
        f"{pods} udp dport {{ 53 }} accept",
        f"{pods} {ports} accept",
        f"{block} tcp dport {{ 80 }} accept",
        f"{block} udp dport {{ 53 }} accept",
        f"{block} {ports} accept",
    )
    assert found.collections[f"peers-{name}-0"].elements == {"10.64.0.10", "10.64.0.11"}
