"""What a cluster can do, found by asking it: for skipping what cannot hold there, with the reason.

Each is tried once a session, when the first test needs it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

from argosy import kinds
from argosy.client.requests import Request
from argosy.errors import ApiError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of
from conformance import manifests
from conformance.cluster import Cluster, observe
from conformance.town import Town

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NODE_SECONDS = 10.0
_TRIAL_SECONDS = 30.0
_OWNERS = {"capabilities": {"add": ["CHOWN"]}}


class Capabilities:
    """Names that `pytest.mark.needs` takes, each with the way of finding out."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, str] = {}
        self._ways: dict[str, Callable[[], Awaitable[str]]] = {
            "controllers": self._controllers,
            "pods": self._pods,
            "nodes": self._nodes,
            "users": self._users,
            "mounts": self._mounts,
            "storage": self._storage,
            "metrics": self._metrics,
            "kubectl": self._kubectl,
            "network policies": self._policies,
            "load balancers": self._load_balancers,
            "ingress controller": self._ingress,
            "clients told apart": self._clients,
            "cluster DNS": self._dns,
            "names": self._names,
        }

    async def lacks(self, name: str) -> str:
        """Why the cluster has it not; empty when it has."""
        if name not in self._known:
            self._known[name] = await self._ways[name]()
        return self._known[name]

    async def _controllers(self) -> str:
        namespace = await self._cluster.namespace()
        try:
            accounts = await namespace.list(kinds.SERVICE_ACCOUNT)
            return "" if accounts else "a new namespace was given no ServiceAccount, so no controller manager runs"
        finally:
            await namespace.delete()

    async def _pods(self) -> str:
        if why := await self.lacks("controllers"):
            return why
        if not await self._ready_nodes(1):
            return "no node is ready and takes pods"
        try:
            said = await self._told_by(manifests.pod_spec(manifests.shell("echo hello"), restartPolicy="Never"))
        except (AssertionError, ApiError) as error:
            return f"a pod of {manifests.SHELL_IMAGE} did not run: {str(error)[:500]}"
        return "" if "hello" in said else f"a pod that should have said hello said {said!r}"

    async def _nodes(self) -> str:
        if why := await self.lacks("pods"):
            return why
        return "" if await self._ready_nodes(2) else "only one node is ready and takes pods"

    async def _users(self) -> str:
        if why := await self.lacks("pods"):
            return why
        script = manifests.shell("touch /tmp/f && chown 1234 /tmp/f && stat -c %u /tmp/f", securityContext=_OWNERS)
        said = await self._told_by(manifests.pod_spec(script, restartPolicy="Never"))
        return "" if said == "1234\n" else "files cannot belong to other users there (an ordinary user runs it)"

    async def _mounts(self) -> str:
        if why := await self.lacks("pods"):
            return why
        mount = {"name": "here", "mountPath": "/argosy-trial"}
        spec = manifests.shell("cat /proc/mounts", volumeMounts=[mount])
        said = await self._told_by(
            manifests.pod_spec(spec, restartPolicy="Never", volumes=[{"name": "here", "emptyDir": {}}])
        )
        return "" if " /argosy-trial " in said else "volumes are not mounted there (an engine at L0)"

    async def _storage(self) -> str:
        classes = (await self._cluster.client.list(kinds.STORAGE_CLASS)).items
        if any(annotations_of(each).get(_DEFAULT_CLASS) == "true" for each in classes):
            return ""
        return "no StorageClass is the default"

    async def _metrics(self) -> str:
        try:
            found = await self._cluster.client.raw(Request("GET", "/apis/metrics.k8s.io/v1beta1/nodes"))
        except ApiError as error:
            return f"metrics.k8s.io is not served: {error}"
        return "" if found.decoded().get("items") else "metrics.k8s.io knows of no node"

    async def _kubectl(self) -> str:
        return "" if shutil.which("kubectl") else "kubectl is not on the PATH of this machine"

    async def _policies(self) -> str:
        if why := await self.lacks("pods"):
            return why
        town = Town(await self._cluster.namespace())
        try:
            await town.visitor()
            address = await town.server("web")
            await town.until_reached(address, 8080)
            spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
            await town.namespace.create(kinds.NETWORK_POLICY, {"metadata": {"name": "deny"}, "spec": spec})
            async with asyncio.timeout(_TRIAL_SECONDS):
                await town.until_refused(address, 8080)
        except (TimeoutError, AssertionError):
            return f"a policy that denies all was not in force after {_TRIAL_SECONDS:.0f} s"
        else:
            return ""
        finally:
            await town.namespace.delete()

    async def _names(self) -> str:
        if why := await self.lacks("pods"):
            return why
        town = Town(await self._cluster.namespace())
        try:
            await town.visitor()
            found = await town.addresses("kubernetes.default.svc.cluster.local")
        finally:
            await town.namespace.delete()
        return "" if found else "a program that asks for the Service kubernetes by its name gets no address"

    async def _dns(self) -> str:
        if why := await self.lacks("pods"):
            return why
        town = Town(await self._cluster.namespace())
        try:
            await town.visitor()
            found = await town.service_records("_https._tcp.kubernetes.default.svc.cluster.local")
        except (AssertionError, ValueError) as error:
            return f"a pod's name server tells nothing of the cluster: {str(error)[-300:]}"
        finally:
            await town.namespace.delete()
        return "" if found else "a pod's name server knows nothing of the Service kubernetes"

    async def _clients(self) -> str:
        if why := await self.lacks("pods"):
            return why
        town = Town(await self._cluster.namespace())
        try:
            own, address = await town.visitor(), await town.server("web")
            await town.until_reached(address, 8080)
            seen = (await town.ask(address, 8080))["client"]
        finally:
            await town.namespace.delete()
        return "" if seen == own else f"what a pod with the address {own} asks comes from {seen}"

    async def _load_balancers(self) -> str:
        town = Town(await self._cluster.namespace())
        try:
            await town.service("web", type="LoadBalancer")
            await town.namespace.until(kinds.SERVICE, "web", _has_address, seconds=_TRIAL_SECONDS)
        except AssertionError:
            return f"a Service of type LoadBalancer had no address after {_TRIAL_SECONDS:.0f} s"
        else:
            return ""
        finally:
            await town.namespace.delete()

    async def _ingress(self) -> str:
        town = Town(await self._cluster.namespace())
        try:
            backend = {"service": {"name": "web", "port": {"name": "http"}}}
            spec = {"defaultBackend": backend, **await town.ingress_class()}
            await town.service("web")
            await town.namespace.create(kinds.INGRESS, {"metadata": {"name": "front"}, "spec": spec})
            await town.namespace.until(kinds.INGRESS, "front", _has_address, seconds=_TRIAL_SECONDS)
        except AssertionError:
            return f"an Ingress had no address after {_TRIAL_SECONDS:.0f} s"
        else:
            return ""
        finally:
            await town.namespace.delete()

    async def _told_by(self, spec: Obj) -> str:
        """What a pod has said when it has ended."""
        namespace = await self._cluster.namespace()
        try:
            await namespace.pod("trial", spec)
            await namespace.ended("trial")
            return await namespace.log("trial")
        finally:
            await namespace.delete()

    async def _ready_nodes(self, at_least: int) -> list[Obj]:
        """Those that pods can go to. A cluster that has just started may need a moment to have any."""

        def usable(nodes: dict[str, Obj]) -> list[Obj]:
            found = [node for node in nodes.values() if is_true(node, "Ready") and not _keeps_off(node)]
            return found if len(found) >= at_least else []

        try:
            return await observe(self._cluster.client, kinds.NODE, "", usable, seconds=_NODE_SECONDS)
        except AssertionError:
            return []


def _has_address(obj: Obj) -> bool:
    return bool(dig(obj, "status", "loadBalancer", "ingress"))


def _keeps_off(node: Obj) -> bool:
    taints = dig(node, "spec", "taints", default=())
    return bool(dig(node, "spec", "unschedulable")) or any(each["effect"] != "PreferNoSchedule" for each in taints)
