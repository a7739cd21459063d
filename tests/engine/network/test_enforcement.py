import asyncio

from network_world import HostNetwork, background, cluster, until

from argosy.clock import SystemClock
from argosy.engine.network import NetworkSettings, PodGate
from argosy.engine.network import run as run_network
from argosy.engine.node.runtime.spec import Level, RulesRefused
from argosy.kinds import EVENT, NETWORK_POLICY, NODE
from argosy.meta.objects import Key, labels_of

DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny", "namespace": "default"},
    "spec": {"podSelector": {}},
}
NODE_HERE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {"argosy.dev/machine": "m"}}}


class Ruled(HostNetwork):
    """The host's network, with a kernel that writes down what it is told."""

    def __init__(self, refusal="", refuses_late=False):
        super().__init__()
        self.refusal, self.refuses_late = refusal, refuses_late
        self.scripts = []

    async def load_rules(self, script):
        if self.refusal and (self.refuses_late is False or "argosy-trial" not in script):
            raise RulesRefused(self.refusal)
        self.scripts.append(script)

    @property
    def script(self):
        return "".join(self.scripts)


def with_network(check, *refusal):
    async def main():
        async with cluster() as (client, informers):
            network, gate = Ruled(*refusal), PodGate(informers)
            settings = NetworkSettings(level=Level.L0)
            async with background(
                run_network(client, network, settings, SystemClock(), informers=informers, gate=gate)
            ):
                await client.create(NODE, NODE_HERE)
                await check(client, network, gate)

    asyncio.run(main())


def pod(name, **status):
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": name}}
    return {**made, "spec": {"containers": [{"name": "c", "image": "busybox"}]}, "status": status}


async def labelled(client, value):
    node = await client.get(NODE, "n")
    return labels_of(node).get("argosy.dev/network-policy") == value


def test_a_new_pod_waits_until_policies_hold_for_it():
    async def check(client, network, gate):
        await gate.admit(pod("early"), "10.64.0.9")
        assert "10.64.0.9" not in network.script, "without policies nobody is asked"
        await client.create(NETWORK_POLICY, DENY)

        async def in_force():
            return "chain ip argosy-policies ingress" in network.script

        await until(in_force)
        await gate.admit(pod("late"), "10.64.0.10")
        assert "add element ip argosy-policies isolated-in { 10.64.0.10 }" in network.script
        await client.delete(NETWORK_POLICY, Key("default", "deny"))

        async def gone():
            return "delete chain ip argosy-policies forward" in network.script

        await until(gone)
        await until(lambda: labelled(client, "enforced"))

    with_network(check)


def test_where_nothing_is_enforced_every_policy_says_so():
    async def check(client, network, gate):
        await gate.admit(pod("any"), "10.64.0.9")
        await client.create(NETWORK_POLICY, DENY)

        async def told():
            found = [e for e in (await client.list(EVENT)).items if e["reason"] == "PolicyNotEnforced"]
            return bool(found) and "there is no nft here" in found[0]["message"]

        await until(told)
        await until(lambda: labelled(client, "ignored"))

    with_network(check, "there is no nft here")


def test_a_kernel_that_fails_later_is_told_too():
    async def check(client, network, gate):
        network.refusal, network.refuses_late = "out of memory", True
        await client.create(NETWORK_POLICY, DENY)

        async def told():
            found = [e for e in (await client.list(EVENT)).items if e["reason"] == "PolicyNotEnforced"]
            return bool(found) and "out of memory" in found[0]["message"]

        await until(told)

    with_network(check)


def test_without_policies_nobody_waits_for_the_network():
    async def main():
        async with cluster() as (client, informers):
            gate = PodGate(informers)  # and no network that it leads to
            await asyncio.wait_for(gate.admit(pod("first"), "10.64.0.9"), 5)
            await client.create(NETWORK_POLICY, DENY)

            async def seen():
                return bool(informers.of(NETWORK_POLICY).items())

            await until(seen)
            waiting = asyncio.create_task(gate.admit(pod("second"), "10.64.0.10"))
            done, _ = await asyncio.wait({waiting}, timeout=0.1)
            assert not done
            gate.lead_to(_at_once)
            await asyncio.wait_for(waiting, 5)

    async def _at_once(pod, address):
        pass

    asyncio.run(main())
