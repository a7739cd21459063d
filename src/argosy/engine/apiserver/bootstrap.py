"""The objects that every cluster has before anybody makes any: namespaces, roles, priorities, the Service `kubernetes`.

Run once at each start; what is there already stays as it is, but for Services of another address range.
"""

from __future__ import annotations

from uuid import uuid4

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver import roles
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.extensions.forward import FRONT_PROXY
from argosy.engine.store import Op, Put
from argosy.meta.json import Obj, dig, encode, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def run(api: Api) -> None:
    """Make what is missing, in one commit."""
    wanted = [*_namespaces(), *_priorities(), *roles.defaults(), _kubernetes(api), _front_proxy(api)]
    stamp = rfc3339(api.settings.clock.now())
    ops: list[Op] = []
    for kind, obj in wanted:
        key = Key(obj["metadata"].get("namespace") or "", obj["metadata"]["name"])
        if api.store.get(kind.resource, key) is not None:
            continue
        meta = {**obj["metadata"], "uid": str(uuid4()), "creationTimestamp": stamp}
        rest = {field: value for field, value in obj.items() if field != "metadata"}
        new = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta, **rest}
        ops.append(Put(kind.resource, key, new, expect=0))
    ops += _moved(api)
    if ops:
        await api.store.commit(ops)
        api.authorizer.forget()
        api.addresses.keep(op.obj for op in ops if isinstance(op, Put) and op.resource == kinds.SERVICE.resource)


def _moved(api: Api) -> list[Op]:
    """Services whose address is not of the present range, with one that is: the range depends on the isolation, which may
    be another at each start.
    """
    ops: list[Op] = []
    for record in api.store.list(kinds.SERVICE.resource):
        number = api.addresses.ip(dig(record.obj, "spec", "clusterIP", default=""))
        if number is None or api.addresses.ips.holds(number):
            continue
        service = thaw(record.obj)
        ours = (record.key.namespace, record.key.name) == ("default", "kubernetes")
        address = str(api.addresses.network[1]) if ours else api.addresses.take_ip()
        if address is None:
            continue
        service["spec"]["clusterIP"], service["spec"]["clusterIPs"] = address, [address]
        ops.append(Put(record.resource, record.key, service, expect=record.revision))
    return ops


def _namespaces() -> list[tuple[Kind, Obj]]:
    return [
        (
            kinds.NAMESPACE,
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
        for name in _NAMESPACES
    ]


def _priorities() -> list[tuple[Kind, Obj]]:
    return [
        (
            kinds.PRIORITY_CLASS,
            {
                "metadata": {"name": name, "generation": 1},
                "value": value,
                "description": f"Used for system critical pods that {what}.",
                "preemptionPolicy": "PreemptLowerPriority",
            },
        )
        for name, value, what in (
            ("system-cluster-critical", 2_000_000_000, "must run in the cluster, but can be moved to another node"),
            ("system-node-critical", 2_000_001_000, "must not be moved from their current node"),
        )
    ]


def _front_proxy(api: Api) -> tuple[Kind, Obj]:
    """What an extension API server must know to believe what this one says of who asks."""
    return kinds.CONFIG_MAP, {
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": api.settings.ca_pem,
            "requestheader-client-ca-file": api.settings.ca_pem,
            "requestheader-allowed-names": encode([FRONT_PROXY]).decode(),
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-username-headers": '["X-Remote-User"]',
        },
    }


def _kubernetes(api: Api) -> tuple[Kind, Obj]:
    """The API server's own Service, at the first address of the range."""
    ip = str(api.addresses.network[1])
    return kinds.SERVICE, {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": api.settings.api_port}],
            "clusterIP": ip,
            "clusterIPs": [ip],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }
