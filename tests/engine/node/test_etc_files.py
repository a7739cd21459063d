"""/etc/hosts where there is no DNS."""

from __future__ import annotations

from argosy.engine.node import etc_files

NAMES = {"pi-launcher.pi.default.svc.cluster.local": ["127.1.0.3"], "web.default.svc": ["127.1.0.4"]}


def pod(**spec: object) -> dict:
    return {"metadata": {"name": "pi-worker-0", "namespace": "default"}, "spec": spec}


def test_search_domains_of_the_pod_give_short_names() -> None:
    searches = {"searches": ["pi.default.svc.cluster.local"]}
    text = etc_files.hosts(pod(dnsConfig=searches), "127.1.0.2", "cluster.local", NAMES)
    assert (
        "127.1.0.3\tpi-launcher.pi.default.svc.cluster.local pi-launcher.pi.default.svc.cluster.local. pi-launcher\n"
        in text
    )
    assert "pi-launcher\n" not in etc_files.hosts(pod(), "127.1.0.2", "cluster.local", NAMES)


def test_a_short_name_does_not_hide_a_name_that_is_there() -> None:
    searches = {"searches": ["pi.default.svc.cluster.local"]}
    names = {**NAMES, "pi-launcher": ["127.1.0.9"]}
    text = etc_files.hosts(pod(dnsConfig=searches), "127.1.0.2", "cluster.local", names)
    assert "127.1.0.3\tpi-launcher.pi.default.svc.cluster.local pi-launcher.pi.default.svc.cluster.local.\n" in text


def test_the_pods_own_names_are_its_own() -> None:
    searches = {"searches": ["pi.default.svc.cluster.local"]}
    own = {"pi-worker-0.pi.default.svc.cluster.local": ["127.1.0.2"]}
    text = etc_files.hosts(pod(dnsConfig=searches, subdomain="pi"), "127.1.0.2", "cluster.local", own)
    assert text.count("pi-worker-0") == 2


def test_a_name_has_all_of_its_addresses() -> None:
    text = etc_files.hosts(
        pod(), "127.1.0.2", "cluster.local", {"db": ["127.1.0.5", "127.1.0.6"], "web": ["127.1.0.6"]}
    )
    assert "127.1.0.5\tdb\n127.1.0.6\tdb web\n" in text
