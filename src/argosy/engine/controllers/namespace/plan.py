"""What every namespace contains: the service account `default` and the authorities that pods trust. Pure."""

from __future__ import annotations

from collections.abc import Callable

from argosy.intent import Action, Create, Observed, Operator, Patch, Plan, Related
from argosy.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, namespace_of

ACCOUNT = "default"
AUTHORITY = "kube-root-ca.crt"
_AUTHORITIES = {
    AUTHORITY: (
        "ca.crt",
        (
            "Contains a CA bundle that can be used to verify the API server when using internal endpoints such as the"
            " internal service IP and kubernetes.default.svc."
        ),
    ),
    "openshift-service-ca.crt": (
        "service-ca.crt",
        "Contains a CA bundle that can be used to verify the certificates of Services within the cluster.",
    ),
}
"""The config maps that every pod's token volume shows: the key in each, and what it is for."""


def operator(ca_pem: str) -> Operator:
    """The operator that fills namespaces, with the certificate authority to hand out."""
    return Operator(
        kind=NAMESPACE,
        related=(_named(SERVICE_ACCOUNT, ACCOUNT), _named(CONFIG_MAP, *_AUTHORITIES)),
        plan=plan_with(ca_pem),
        name="namespace-contents-controller",
    )


def plan_with(ca_pem: str) -> Callable[[Observed], Plan]:
    """The plan for a given authority."""

    def plan(seen: Observed) -> Plan:
        namespace = seen.subject
        if is_deleting(namespace) or dig(namespace, "status", "phase") == "Terminating":
            return Plan()
        actions: list[Action] = []
        if not seen.related.get(SERVICE_ACCOUNT):
            made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(namespace, ACCOUNT)}
            actions.append(Create(SERVICE_ACCOUNT, made))
        found = {name_of(obj): obj for obj in seen.related.get(CONFIG_MAP, ())}
        for name in _AUTHORITIES:
            actions += _authority(namespace, name, found.get(name), ca_pem)
        return Plan(tuple(actions))

    return plan


def _authority(namespace: Obj, name: str, found: Obj | None, ca_pem: str) -> list[Action]:
    key, description = _AUTHORITIES[name]
    data = {key: ca_pem}
    if found is not None:
        return [] if found.get("data") == data else [Patch(CONFIG_MAP, key_of(found), {"data": data})]
    meta = _meta(namespace, name)
    meta["annotations"] = {"kubernetes.io/description": description}
    return [Create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})]


def _meta(namespace: Obj, name: str) -> Obj:
    return {"name": name, "namespace": name_of(namespace)}


def _named(kind: Kind, *names: str) -> Related:
    def wants(namespace: Obj, obj: Obj) -> bool:
        return name_of(obj) in names and namespace_of(obj) == name_of(namespace)

    return Related(
        kind,
        wants,
        subject_keys=lambda namespace: (name_of(namespace),),
        object_keys=lambda obj: (namespace_of(obj),) if name_of(obj) in names else (),
    )
