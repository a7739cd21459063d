"""NetworkPolicy in both directions: by pods, namespaces, addresses and ports."""

from __future__ import annotations

import pytest

from argosy import kinds
from conformance.town import Town

pytestmark = pytest.mark.needs("pods", "network policies")


async def _policy(town: Town, name: str, app: str = "web", **spec: object) -> None:
    spec.setdefault("podSelector", {"matchLabels": {"app": app}})
    await town.namespace.create(kinds.NETWORK_POLICY, {"metadata": {"name": name}, "spec": spec})


async def test_pods_reach_each_other_until_a_policy_selects_them(town: Town):
    web = await town.server("web")
    other = await town.server("other")
    await town.visitor()
    assert await town.reaches(web, 8080)
    await _policy(town, "deny", policyTypes=["Ingress"])
    await town.until_refused(web, 8080)
    assert await town.reaches(other, 8080), "who is not selected is open as before"
    await town.namespace.remove(kinds.NETWORK_POLICY, "deny")
    await town.until_reached(web, 8080)


async def test_what_comes_in_is_let_in_by_pod_and_port(town: Town):
    web = await town.server("web")
    await town.visitor()
    await town.visitor("friend", app="friend")
    friends = {"podSelector": {"matchLabels": {"app": "friend"}}}
    await _policy(town, "friends", ingress=[{"from": [friends], "ports": [{"port": "http"}]}])
    await town.until_refused(web, 8080)
    await town.until_reached(web, 8080, "friend")
    assert not await town.reaches(web, 9090, "friend"), "another port"
    await _policy(town, "everybody", ingress=[{"ports": [{"port": 9000, "endPort": 9100}]}])
    await town.until_reached(web, 9090)
    assert not await town.reaches(web, 8080), "policies add up, each for its own ports"


async def test_what_comes_in_is_let_in_by_namespace(town: Town, cluster):
    web = await town.server("web")
    await town.visitor()
    label = {"argosy-conformance/team": "far"}
    far = Town(await cluster.namespace(**label))
    try:
        await far.visitor()
        await _policy(town, "far", ingress=[{"from": [{"namespaceSelector": {"matchLabels": label}}]}])
        await town.until_refused(web, 8080)
        await far.until_reached(web, 8080)
    finally:
        await far.namespace.delete()


async def test_what_comes_in_is_let_in_by_address(town: Town):
    web = await town.server("web")
    near = await town.visitor()
    await town.visitor("other")
    await _policy(town, "near", ingress=[{"from": [{"ipBlock": {"cidr": f"{near}/32"}}]}])
    await town.until_refused(web, 8080, "other")
    assert await town.reaches(web, 8080)
    await town.namespace.remove(kinds.NETWORK_POLICY, "near")
    block = {"cidr": "0.0.0.0/0", "except": [f"{near}/32"]}
    await _policy(town, "not-near", ingress=[{"from": [{"ipBlock": block}]}])
    await town.until_refused(web, 8080)
    await town.until_reached(web, 8080, "other")


async def test_what_goes_out_is_let_out(town: Town):
    web, other = await town.server("web"), await town.server("other")
    await town.visitor()
    await _policy(town, "in", app="visitor", policyTypes=["Egress"])
    await town.until_refused(web, 8080)
    assert not await town.reaches(other, 8080)
    to = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    await _policy(town, "out", app="visitor", policyTypes=["Egress"], egress=[{"to": to, "ports": [{"port": 8080}]}])
    await town.until_reached(web, 8080)
    assert not await town.reaches(web, 9090)
    assert not await town.reaches(other, 8080)


async def test_both_ends_have_to_agree(town: Town):
    web = await town.server("web")
    await town.visitor()
    to = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    await _policy(town, "out", app="visitor", policyTypes=["Egress"], egress=[{"to": to}])
    await town.until_reached(web, 8080)
    await _policy(town, "in", policyTypes=["Ingress"])
    await town.until_refused(web, 8080)
