import pytest
from network_world import endpoint, service, slice_of

from argosy.engine.network.hosts import host_addresses, host_names, hosts_table
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


def test_when_a_gang_restarts_its_name_leads_to_the_new_one():
    svc = service("job-master-0", clusterIP="None", publishNotReadyAddresses=True)
    old = endpoint("10.64.0.3", hostname="m", serving=True, terminating=True)
    new = endpoint("10.64.0.4", hostname="m", serving=False)

    def names(*endpoints):
        return Names("cluster.local", lambda key: svc, lambda key: [slice_of("job-master-0", list(endpoints), {})])

    for name in ("job-master-0.default.svc.cluster.local", "m.job-master-0.default.svc.cluster.local"):
        assert names(old).find(name).addresses == ("10.64.0.3",), "better than nothing"
        assert names(old, new).find(name).addresses == ("10.64.0.4",)
    both = [slice_of("job-master-0", [old, new], {})]
    assert host_names([svc], both, namespace="default")["job-master-0"] == "10.64.0.4"


def test_service_records():
    assert NAMES.find("_http._tcp.web.default.svc.cluster.local").targets == (("web.default.svc.cluster.local", 80),)
    assert NAMES.find("_pg._tcp.db.default.svc.cluster.local").targets == (
        ("db-1.db.default.svc.cluster.local", 5432),
        ("db-0.db.default.svc.cluster.local", 5432),
    )


def lines(text):
    return [tuple(line.split()) for line in text.splitlines()]


ALL_SLICES = [s for group in SLICES.values() for s in group]


def pod(name, address="10.64.0.50", labels=None, **spec):
    meta = {"name": name, "namespace": "default", "labels": labels or {}}
    return {"metadata": meta, "spec": spec, "status": {"podIP": address} if address else {}}


def test_a_hosts_file_has_all_of_them():
    table = lines(hosts_table(SERVICES, ALL_SLICES, namespace="default"))
    assert ("10.96.0.5", "web.default.svc.cluster.local", "web.default.svc", "web.default", "web") in table
    assert ("10.96.0.6", "web.other.svc.cluster.local", "web.other.svc", "web.other") in table
    (db0,) = [line for line in table if line[0] == "10.64.0.10"]
    assert {"db-0.db.default.svc.cluster.local", "db-0.db", "db", "db.default.svc"} <= set(db0)
    assert not [line for line in table if "outside" in line[1]]
    assert hosts_table(reversed(SERVICES), reversed(ALL_SLICES), namespace="default") == hosts_table(
        SERVICES, ALL_SLICES, namespace="default"
    )


def test_names_as_a_table():
    names = host_names(SERVICES, ALL_SLICES, namespace="other")
    assert names["web"] == "10.96.0.6"
    assert names["web.default"] == "10.96.0.5"
    assert names["db.default.svc"] == "10.64.0.9"
    assert names["db-0.db.default"] == "10.64.0.10"
    # A replica is found by its own name as soon as it has an address; the name of all stays with those that are ready.
    assert names["db-2.db.default.svc.cluster.local"] == "10.64.0.11"
    (waiting,) = [line for line in lines(hosts_table(SERVICES, ALL_SLICES)) if line[0] == "10.64.0.11"]
    assert "db.default" not in waiting


def test_who_starts_together_finds_each_other_before_anybody_is_ready():
    services = [service("master", clusterIP="None", selector={"rank": "0"})]
    pods = [
        pod("other", labels={"rank": "1"}),
        pod("going", "10.64.0.52", labels={"rank": "0"}),
        pod("m", "10.64.0.51", labels={"rank": "0"}, hostname="m", subdomain="master"),
        pod("placeless", "", labels={"rank": "0"}),
    ]
    pods[1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    names = host_names(services, [], pods, namespace="default")
    assert names["master"] == names["m.master.default"] == "10.64.0.51"
    waiting = slice_of("master", [endpoint("10.64.0.51", ready=False)], {})
    assert host_names(services, [waiting], namespace="default")["master"] == "10.64.0.51"
    # Once one is ready, only those that are.
    both = [slice_of("master", [endpoint("10.64.0.51", ready=False), endpoint("10.64.0.60")], {})]
    assert lines(hosts_table(services, both, namespace="default")) == [
        ("10.64.0.60", "master.default.svc.cluster.local", "master.default.svc", "master.default", "master")
    ]


def test_who_stands_for_a_name_of_the_cluster_has_its_addresses():
    alias = service("alias", type="ExternalName", externalName="DB.default.svc.cluster.local.", selector=None)
    outward = service("outward", type="ExternalName", externalName="example.org", selector=None)
    found = host_addresses([*SERVICES, alias, outward], ALL_SLICES, namespace="default")
    assert found["alias"] == found["alias.default.svc.cluster.local"] == found["db"]
    assert len(found["db"]) > 1
    assert "outward" not in found
