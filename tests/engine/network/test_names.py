import pytest
from network_world import endpoint, service, slice_of

from argosy.engine.network.hosts import hosts_table
from argosy.engine.network.names import Names, Standing
from argosy.meta.objects import Key, key_of

SERVICES = [
    service("web", clusterIP="10.96.0.5", ports=[{"name": "http", "port": 80}]),
    service("web", "other", clusterIP="10.96.0.6"),
    service("db", clusterIP="None", ports=[{"name": "pg", "port": 5432}]),
    service("job-master-0", clusterIP="None"),
    service("early", clusterIP="None", publishNotReadyAddresses=True),
    service("outside", type="ExternalName", externalName="Example.org."),
]
SLICES = {
    Key("default", "db"): [
        slice_of("db", [endpoint("10.64.0.10", hostname="db-0"), endpoint("10.64.0.9", hostname="db-1")], {"pg": 5432}),
        slice_of("db", [endpoint("10.64.0.11", ready=False, hostname="db-2")], {"pg": 5432}, suffix="2"),
    ],
    Key("default", "job-master-0"): [slice_of("job-master-0", [endpoint("10.64.0.3")], {})],
    Key("default", "early"): [slice_of("early", [endpoint("10.64.0.4", ready=False, hostname="e-0")], {})],
}
BY_KEY = {key_of(s): s for s in SERVICES}
NAMES = Names("cluster.local", BY_KEY.get, lambda key: SLICES.get(key, []))


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web.default.svc.cluster.local", ("10.96.0.5",)),
        ("WEB.Default.svc.cluster.local.", ("10.96.0.5",)),
        ("web.other.svc.cluster.local", ("10.96.0.6",)),
        ("db.default.svc.cluster.local", ("10.64.0.9", "10.64.0.10")),
        ("db-0.db.default.svc.cluster.local", ("10.64.0.10",)),
        ("10-64-0-9.db.default.svc.cluster.local", ("10.64.0.9",)),
        ("job-master-0.default.svc.cluster.local", ("10.64.0.3",)),
        ("early.default.svc.cluster.local", ("10.64.0.4",)),
        ("e-0.early.default.svc.cluster.local", ("10.64.0.4",)),
        ("10-64-0-77.default.pod.cluster.local", ("10.64.0.77",)),
        ("svc.cluster.local", ()),
        ("cluster.local", ()),
    ],
)
def test_known(name, addresses):
    found = NAMES.find(name)
    assert found.standing is Standing.KNOWN
    assert found.addresses == addresses


@pytest.mark.parametrize(
    "name",
    [
        "nothing.default.svc.cluster.local",
        # What a resolver makes of the bare name `nope`: it must not look like a name without an address.
        "nope.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "db-2.db.default.svc.cluster.local",
        "db-9.db.default.svc.cluster.local",
        "web.default.cluster.local",
        "pypi.org.default.svc.cluster.local",
        "pypi.org.cluster.local",
        "300-1-1-1.default.pod.cluster.local",
        "_nope._tcp.web.default.svc.cluster.local",
        "bare",
        "web.default.svc",
    ],
)
def test_unknown_at_once(name):
    assert NAMES.find(name).standing is Standing.UNKNOWN


def test_what_is_outside():
    assert NAMES.find("pypi.org").standing is Standing.OUTSIDE
    assert NAMES.find("mycluster.local").standing is Standing.OUTSIDE
    found = NAMES.find("outside.default.svc.cluster.local")
    assert (found.standing, found.alias) == (Standing.KNOWN, "Example.org")


def test_endpoints_are_not_to_be_remembered():
    assert NAMES.find("db.default.svc.cluster.local").ttl_seconds == 0
    assert 0 < NAMES.find("web.default.svc.cluster.local").ttl_seconds <= 5


def test_service_records():
    assert NAMES.find("_http._tcp.web.default.svc.cluster.local").targets == (("web.default.svc.cluster.local", 80),)
    assert NAMES.find("_pg._tcp.db.default.svc.cluster.local").targets == (
        ("db-1.db.default.svc.cluster.local", 5432),
        ("db-0.db.default.svc.cluster.local", 5432),
    )


def lines(text):
    return [tuple(line.split()) for line in text.splitlines()]


def test_a_hosts_file_has_all_of_them():
    slices = [s for group in SLICES.values() for s in group]
    table = lines(hosts_table(SERVICES, slices, namespace="default"))
    assert ("10.96.0.5", "web.default.svc.cluster.local", "web.default.svc", "web.default", "web") in table
    assert ("10.96.0.6", "web.other.svc.cluster.local", "web.other.svc", "web.other") in table
    (db0,) = [line for line in table if line[0] == "10.64.0.10"]
    assert {"db-0.db.default.svc.cluster.local", "db-0.db", "db", "db.default.svc"} <= set(db0)
    assert not [line for line in table if line[0] == "10.64.0.11"], "not ready"
    assert not [line for line in table if "outside" in line[1]]
    assert hosts_table(reversed(SERVICES), reversed(slices), namespace="default") == hosts_table(
        SERVICES, slices, namespace="default"
    )


def test_a_hosts_file_takes_hostnames_from_pods_that_no_slice_names():
    def pod(name, ready=True, **spec):
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        meta = {"name": name, "namespace": "default"}
        return {"metadata": meta, "spec": spec, "status": {"podIP": "10.64.0.50", "conditions": conditions}}

    pods = [
        pod("a", hostname="h", subdomain="db"),
        pod("b", hostname="waiting", subdomain="db", ready=False),
        pod("c", hostname="keen", subdomain="early", ready=False),
        pod("d", hostname="lost", subdomain="nothing"),
        pod("e", hostname="db-0", subdomain="db"),
    ]
    slices = [s for group in SLICES.values() for s in group]
    text = hosts_table(SERVICES, slices, pods)
    assert "10.64.0.50\th.db.default.svc.cluster.local h.db.default.svc h.db.default\n" in text
    assert "keen.early" in text
    assert "waiting" not in text
    assert "lost" not in text
    assert text.count("db-0.db.default.svc.cluster.local") == 1
