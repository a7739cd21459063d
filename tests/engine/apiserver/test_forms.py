"""Pure pieces: paths, JSONPaths, protobuf, conversions, address pools."""

import pytest

from argosy import kinds
from argosy.engine.apiserver import conversions, jsonpath, protobuf
from argosy.engine.apiserver.addresses import Pool, ServiceAddresses
from argosy.engine.apiserver.routes import Target, resource_target
from argosy.engine.apiserver.served import Registry
from argosy.errors import BadRequest, UnsupportedMediaType


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/pods", Target("", "v1", "pods")),
        ("/api/v1/namespaces", Target("", "v1", "namespaces")),
        ("/api/v1/namespaces/x", Target("", "v1", "namespaces", "", "x")),
        ("/api/v1/namespaces/x/status", Target("", "v1", "namespaces", "", "x", "status")),
        ("/api/v1/namespaces/x/finalize", Target("", "v1", "namespaces", "", "x", "finalize")),
        ("/api/v1/namespaces/x/pods", Target("", "v1", "pods", "x")),
        ("/api/v1/namespaces/x/pods/p/log", Target("", "v1", "pods", "x", "p", "log")),
        ("/api/v1/namespaces/x/services/s:80/proxy/a/b", Target("", "v1", "services", "x", "s:80", "proxy", "a/b")),
        ("/api/v1/namespaces/x/pods/p/proxy/a/", Target("", "v1", "pods", "x", "p", "proxy", "a/")),
        ("/apis/apps/v1/namespaces/x/deployments/d/scale", Target("apps", "v1", "deployments", "x", "d", "scale")),
        ("/apis/apps/v1/deployments/", Target("apps", "v1", "deployments")),
        ("/api/v1/namespaces/x/roles/a%3Ab", Target("", "v1", "roles", "x", "a:b")),
        ("/api/v1/watch/pods", Target("", "v1", "pods", watched=True)),
        ("/apis/apps/v1/watch/namespaces/x/deployments/d", Target("apps", "v1", "deployments", "x", "d", watched=True)),
        ("/api/v1/watch/namespaces/x", Target("", "v1", "namespaces", name="x", watched=True)),
        ("/api/v1", None), ("/apis/apps/v1", None), ("/version", None), ("/", None),
    ],
)  # fmt: skip
def test_paths(path, target):
    assert resource_target(path) == target


OBJ = {
    "metadata": {"annotations": {"example.com/a": "1"}},
    "spec": {"a": [1, 2, 3], "m": {"x": 1}},
    "status": {"conditions": [{"type": "A", "n": 1}, {"type": "B", "n": 2, "ok": True}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.a", [[1, 2, 3]]), (".spec.a[0]", [1]), (".spec.a[-1]", [3]), (".spec.a[9]", []), (".spec.a[*]", [1, 2, 3]),
        ('.status.conditions[?(@.type=="B")].n', [2]), (".status.conditions[?(@.type!='B')].n", [1]),
        (".status.conditions[?(@.ok==true)].type", ["B"]), (".status.conditions[?(@.n==1)].type", ["A"]),
        (r".metadata.annotations.example\.com/a", ["1"]), (r".metadata.annotations['example\.com/a']", ["1"]),
        (".metadata.annotations['example.com/a']", []), ("..type", ["A", "B"]), (".spec['m','a']", [{"x": 1}, [1, 2, 3]]),
        (".spec.a[0:2]", [1, 2]), (".spec.a[0:3:2]", [1, 3]), (".spec.a[2:9]", []), (".spec.m[0]", []),
        (".status.conditions[?(@.n>1)].type", ["B"]), (".status.conditions[?(@.n<=1)].type", ["A"]),
        (".status.conditions[?(@.ok)].type", ["B"]), ('.status.conditions[?(@.n=="1")].type', []),
        ('.status.conditions[?(@.type=="a)]")].n', []), ('.spec["m"]', []), (".spec.m[?(@.x==1)]", []),
        ("{.spec.m.x}", [1]), ("$.spec.m.x", [1]), ("spec.m.x", [1]), (".nothing.there", []), (".spec.m.*", [1]),
        ("..spec", [OBJ["spec"]]),
    ],
)  # fmt: skip
def test_json_paths(path, found):
    assert jsonpath.find(path, OBJ) == found


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def envelope(version, kind, raw):
    return protobuf.MAGIC + field(1, field(1, version) + field(2, kind)) + field(2, raw)


def test_protobuf_objects_become_their_json():
    meta = field(1, "web") + field(3, "default") + field(8, field(1, 1_700_000_000))
    meta += field(11, field(1, "app") + field(2, "web"))
    limits = field(1, field(1, "cpu") + field(2, field(1, "500m")))
    selector = field(1, field(1, "name") + field(2, "x"))
    probe = field(1, field(2, field(1, "/up") + field(2, field(1, 1) + field(3, "http"))))
    source = field(3, field(1, field(1, "cm")) + field(2, "k"))
    env = field(1, "A") + field(3, source)
    container = field(1, "c") + field(2, "i:1") + field(3, "sh") + field(7, env) + field(8, limits) + field(10, probe)
    volume = field(1, "v") + field(2, field(2, field(1, "Memory")))
    template = field(1, field(11, field(1, "app") + field(2, "web"))) + field(2, field(1, volume) + field(2, container))
    spec = field(1, 0) + field(2, field(1, field(1, "app") + field(2, "web"))) + field(3, template)
    made = protobuf.read(envelope("apps/v1", "Deployment", field(1, meta) + field(2, spec)))
    assert selector
    assert made["metadata"] == {
        "name": "web", "namespace": "default", "creationTimestamp": "2023-11-14T22:13:20Z", "labels": {"app": "web"},
    }  # fmt: skip
    assert made["spec"]["replicas"] == 0
    (shown,) = made["spec"]["template"]["spec"]["containers"]
    assert shown["command"] == ["sh"]
    assert shown["env"] == [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]
    assert shown["resources"] == {"limits": {"cpu": "500m"}}
    assert shown["livenessProbe"] == {"httpGet": {"path": "/up", "port": "http"}}
    assert made["spec"]["template"]["spec"]["volumes"] == [{"name": "v", "emptyDir": {"medium": "Memory"}}]


def test_protobuf_that_cannot_be_read():
    with pytest.raises(BadRequest):
        protobuf.read(b"{}")
    with pytest.raises(UnsupportedMediaType):
        protobuf.read(envelope("example.com/v1", "Widget", b""))
    with pytest.raises(BadRequest):
        protobuf.read(envelope("v1", "ConfigMap", b"\x0a\xff"))


def test_the_wire_table_covers_what_is_served():
    missing = {"CustomResourceDefinition", "APIService", "NodeMetrics", "PodMetrics", "ComponentStatus"}
    for kind in kinds.ALL:
        if kind.kind not in missing:
            assert f"{kind.api_version}/{kind.kind}" in protobuf._table().kinds


def test_autoscalers_of_the_old_version():
    registry = Registry()
    served = registry.find("autoscaling", "v1", "horizontalpodautoscalers")
    old = {"metadata": {}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}
    stored = conversions.to_storage(served, old)
    assert stored["apiVersion"] == "autoscaling/v2"
    assert stored["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert conversions.from_storage(served, stored)["spec"] == old["spec"]


def test_events_in_the_new_form():
    served = Registry().find("events.k8s.io", "v1", "events")
    new = {"metadata": {}, "regarding": {"name": "p"}, "note": "n", "reportingController": "c", "reason": "R"}
    stored = conversions.to_storage(served, new)
    assert (stored["involvedObject"], stored["message"], stored["reportingComponent"]) == ({"name": "p"}, "n", "c")
    shown = conversions.from_storage(served, stored)
    assert {field: shown[field] for field in new} == new


def test_pools_hand_out_each_number_once():
    pool = Pool(1, 5, 3)
    assert [pool.take() for _ in range(5)] == [3, 4, 5, 1, 2]
    assert pool.take() is None
    pool.taken.discard(4)
    assert pool.take() == 4
    assert not pool.claim(4)
    assert (pool.holds(1), pool.holds(6)) == (True, False)


@pytest.mark.parametrize("cidr", ["10.96.0.0/16", "127.64.128.0/17", "10.0.0.0/24"])
def test_addresses_lie_in_the_range(cidr):
    pools = ServiceAddresses(cidr, (30000, 32767))
    for _ in range(20):
        number = pools.ip(pools.take_ip())
        assert pools.ips.holds(number)
        assert number > int(pools.network[10])
