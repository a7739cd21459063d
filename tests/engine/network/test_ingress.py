import pytest

from argosy.engine.network.ingress import Router
from argosy.engine.network.ingress_annotations import ignored, manner_of
from argosy.engine.network.ingress_classes import CONTROLLER, served

OURS = frozenset({"argosy"})


def ingress(name, rules, default=None, cls=None, created="2026-01-01T00:00:00Z"):
    """rules: {host: [(path, type, service)]}"""

    def backend(service):
        return {"service": {"name": service, "port": {"number": 80}}}

    spec = {
        "rules": [
            {"host": host, "http": {"paths": [{"path": p, "pathType": t, "backend": backend(s)} for p, t, s in paths]}}
            for host, paths in rules.items()
        ]
    }
    if default:
        spec["defaultBackend"] = backend(default)
    if cls:
        spec["ingressClassName"] = cls
    return {"metadata": {"name": name, "namespace": "ns", "creationTimestamp": created}, "spec": spec}


ROUTER = Router(
    [
        ingress(
            "main",
            {
                "a.test": [
                    ("/", "Prefix", "root"),
                    ("/foo", "Prefix", "foo"),
                    ("/foo/bar/", "Prefix", "foobar"),
                    ("/foo", "Exact", "exactly-foo"),
                    ("/impl", "ImplementationSpecific", "impl"),
                ],
                "*.wild.test": [("/", "Prefix", "wild")],
                "x.wild.test": [("/only", "Prefix", "x")],
                "": [("/any", "Prefix", "any")],
            },
        ),
        ingress("fallback", {}, default="default"),
        ingress("foreign", {"f.test": [("/", "Prefix", "foreign")]}, cls="nginx"),
        ingress("mine", {"m.test": [("/", "Prefix", "mine")]}, cls="argosy"),
        ingress("younger", {"a.test": [("/foo", "Prefix", "younger")]}, created="2026-02-01T00:00:00Z"),
    ],
    OURS,
)


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        ("a.test", "/", "root"),
        ("A.Test:8080", "/nothing", "root"),
        ("a.test", "/foo", "exactly-foo"),
        ("a.test", "/foo/", "foo"),
        ("a.test", "/foo/x", "foo"),
        ("a.test", "/foobar", "root"),
        ("a.test", "/foo/bar", "foobar"),
        ("a.test", "/foo/bar/baz", "foobar"),
        ("a.test", "/impl/x", "impl"),
        ("y.wild.test", "/z", "wild"),
        ("x.wild.test", "/only", "x"),
        ("x.wild.test", "/else", "default"),
        ("deep.y.wild.test", "/", "default"),
        ("wild.test", "/", "default"),
        ("elsewhere", "/any/thing", "any"),
        ("elsewhere", "/else", "default"),
        ("[::1]:80", "/any", "any"),
        ("f.test", "/", "default"),
        ("m.test", "/", "mine"),
    ],
)
def test_the_most_specific_rule_wins(host, path, service):
    assert ROUTER.match(host, path).service.name == service


def test_without_a_default_there_is_none():
    router = Router([ingress("one", {"a.test": [("/x", "Prefix", "x")]})], OURS)
    assert router.match("a.test", "/y") is None
    assert router.match("b.test", "/x") is None
    assert [str(route) for route in router.routes] == ["a.test/x (prefix) -> ns/x:80"]


def test_rules_without_paths_and_backends_without_services_are_ignored():
    broken = {
        "metadata": {"name": "b", "namespace": "ns"},
        "spec": {
            "rules": [{"host": "a"}, {"host": "b", "http": {"paths": [{"path": "/", "backend": {"resource": {}}}]}}]
        },
    }
    assert Router([broken], OURS).routes == []


NGINX = "nginx.ingress.kubernetes.io/"


def annotated(rules, **annotations):
    made = ingress("main", rules)
    made["metadata"]["annotations"] = {NGINX + name.replace("_", "-"): value for name, value in annotations.items()}
    return made


@pytest.mark.parametrize(
    ("path", "rewrite", "asked", "wanted"),
    [
        ("/app(/|$)(.*)", "/$2", "/app/api/v1", "/api/v1"),
        ("/app(/|$)(.*)", "/$2", "/app", "/"),
        ("/app(/|$)(.*)", "/$2", "/application", None),
        ("/app(/|$)(.*)", "/$2", "/APP/x", "/x"),
        ("/old", "/new", "/old/x", "/new"),
        ("/x(.*)", "$1", "/xy", "/y"),
        ("/x(.*)", "/a$7", "/xy", "/a"),
        ("/bad(", "/x", "/bad(", "/bad("),
    ],
)
def test_paths_are_rewritten(path, rewrite, asked, wanted):
    router = Router([annotated({"a.test": [(path, "ImplementationSpecific", "web")]}, rewrite_target=rewrite)], OURS)
    found = router.way("a.test", asked)
    assert (found[1] if found else None) == wanted


def test_annotations():
    assert manner_of(annotated({}, proxy_body_size="8m")).body_max == 8 << 20
    assert manner_of(annotated({}, proxy_body_size="0")).body_max is None
    assert manner_of(annotated({}, use_regex="true")).regex
    odd = annotated({}, proxy_body_size="much", proxy_read_timeout="3600", auth_url="http://x")
    assert ignored(odd) == [f"{NGINX}auth-url", f"{NGINX}proxy-body-size (write 8m, 512k or 0)"]


def test_classes_of_our_controller_are_served():
    classes = [
        {"metadata": {"name": "nginx"}, "spec": {"controller": CONTROLLER}},
        {"metadata": {"name": "traefik"}, "spec": {"controller": "traefik.io/ingress-controller"}},
    ]
    assert served(OURS, classes) == {"argosy", "nginx"}
