from __future__ import annotations

import pytest

from argosy.engine.node.environment import Sources, environment, expand, replace_names, with_addresses
from argosy.engine.node.sources import ClusterFacts, Missing, PodFacts, Reference

POD = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "b", "c": 'd"e'}},
    "spec": {"serviceAccountName": "sa"},
}
OBJECTS = {
    Reference("configmaps", "ns", "cm"): {"kind": "ConfigMap", "data": {"x": "1", "y": "2"}},
    Reference("secrets", "ns", "s"): {"kind": "Secret", "data": {"pw": "c2VjcmV0"}},
}
SERVICE = {
    "metadata": {"name": "my-db", "namespace": "ns"},
    "spec": {
        "clusterIP": "10.96.0.7",
        "ports": [{"port": 80, "protocol": "TCP", "name": "web"}, {"port": 81, "name": "x"}],
    },
}
SOURCES = Sources(
    OBJECTS.get,
    PodFacts("10.64.0.9", "127.0.0.1", "n1", {"cpu": "2", "memory": "4Gi"}),
    ClusterFacts("10.96.0.1", 443, services=[SERVICE, {"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}}]),
)


def env(container, pod=POD, image=None):
    return environment(pod, container, SOURCES, image or {})


def test_the_api_server_and_services_are_always_there():
    found = env({})
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert found["KUBERNETES_PORT_443_TCP"] == "tcp://10.96.0.1:443"
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.7"
    assert found["MY_DB_PORT"] == "tcp://10.96.0.7:80"
    assert found["MY_DB_SERVICE_PORT_WEB"] == "80"
    assert found["MY_DB_PORT_81_TCP_ADDR"] == "10.96.0.7"
    assert found["POD_IP"] == "10.64.0.9"
    assert not [k for k in found if k.startswith("H_")]
    without = env({}, {**POD, "spec": {"enableServiceLinks": False}})
    assert "MY_DB_SERVICE_HOST" not in without
    assert "KUBERNETES_SERVICE_HOST" in without


def test_values_override_in_kubernetes_order():
    container = {
        "envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "P_"}, {"secretRef": {"name": "s"}}],
        "env": [
            {"name": "P_x", "value": "own"},
            {"name": "A", "value": "$(P_x)-$(MISSING)-$$(P_x)"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "y"}}},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}},
            {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "y", "optional": True}}},
            {"name": "E", "value": "$(KUBERNETES_SERVICE_PORT)"},
        ],
    }
    found = env(container, image={"A": "image", "I": "image"})
    assert (found["P_x"], found["P_y"], found["pw"]) == ("own", "2", "secret")
    assert found["A"] == "own-$(MISSING)-$(P_x)"
    assert (found["B"], found["C"], found["E"], found["I"]) == ("2", "secret", "443", "image")
    assert "D" not in found


def test_the_downward_api():
    def ref(path):
        return {"name": path, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    paths = ["metadata.name", "metadata.uid", "status.podIP", "spec.nodeName", "metadata.labels['a']"]
    found = env({"env": [ref(p) for p in paths]})
    assert [found[p] for p in paths] == ["p", "u", "10.64.0.9", "n1", "b"]
    amounts = [
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "MILLI", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]
    found = env({"env": amounts, "resources": {"requests": {"cpu": "250m"}}})
    assert (found["CPU"], found["MILLI"], found["MEM"]) == ("2", "250", "4096")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret ns/s"),
    ],
)
def test_what_is_missing_is_said_in_kubernetes_words(entry, sentence):
    with pytest.raises(Missing) as caught:
        env({"env": [{"name": "A", "valueFrom": entry}]})
    assert str(caught.value) == sentence
    assert caught.value.reference is not None


def test_expansion_of_arguments():
    assert expand("a$(X)b$$c$(Y)", {"X": "1"}) == "a1b$c$(Y)"


TABLE = {
    "web": "127.70.0.9",
    "web.ns": "127.70.0.9",
    "job-master-0": "127.70.0.10",
    "web.ns.svc.cluster.local": "127.70.0.9",
}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("APP", "web", "web"),
        ("MASTER_ADDR", "job-master-0", "127.70.0.10"),
        ("X", "http://web:80/path/web", "http://127.70.0.9:80/path/web"),
        ("X", "http://web/path", "http://127.70.0.9/path"),
        ("PET_RDZV_ENDPOINT", "job-master-0:23456", "127.70.0.10:23456"),
        ("X", "web.ns.svc.cluster.local", "127.70.0.9"),
        ("X", "webs.ns other-web:80 web2:80", "webs.ns other-web:80 web2:80"),
        ("IMAGE", "web:1.2", "web:1.2"),
        ("TF_CONFIG", '{"cluster":{"worker":["job-master-0:2222"]}}', '{"cluster":{"worker":["127.70.0.10:2222"]}}'),
        ("PEERS", "web,job-master-0", "127.70.0.9,127.70.0.10"),
        ("DB", "postgres://u:p@web:5432/d", "postgres://u:p@127.70.0.9:5432/d"),
    ],
)
def test_host_names_become_addresses_where_nothing_resolves_them(variable, value, expected):
    assert with_addresses(value, TABLE, variable=variable) == expected


def test_a_pods_own_name_stays():
    assert replace_names({"HOSTNAME": "web", "SERVER": "web"}, TABLE) == {"HOSTNAME": "web", "SERVER": "127.70.0.9"}
