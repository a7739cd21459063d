"""What every namespace contains: the service account `default` and the authority that pods trust. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from argosy.intent import Action, Create, Observed, Operator, Patch, Plan, Related
from argosy.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import is_deleting, key_of, name_of, namespace_of

ACCOUNT = "default"
AUTHORITY = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the API server when using internal endpoints such as the internal "
    "service IP and kubernetes.default.svc."
)


def operator(ca_pem: str) -> Operator:
    """The operator that fills namespaces, with the certificate authority to hand out."""
    return Operator(
        kind=NAMESPACE,
        related=(_named(SERVICE_ACCOUNT, ACCOUNT), _named(CONFIG_MAP, AUTHORITY)),
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
        actions += _authority(namespace, seen.related.get(CONFIG_MAP, ()), ca_pem)
        return Plan(tuple(actions))

    return plan


def _authority(namespace: Obj, found: Sequence[Obj], ca_pem: str) -> list[Action]:
    data = {"ca.crt": ca_pem}
    if found:
        if found[0].get("data") == data:
            return []
        return [Patch(CONFIG_MAP, key_of(found[0]), {"data": data})]
    meta = _meta(namespace, AUTHORITY)
    meta["annotations"] = {"kubernetes.io/description": _DESCRIPTION}
    return [Create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})]


def _meta(namespace: Obj, name: str) -> Obj:
    return {"name": name, "namespace": name_of(namespace)}


def _named(kind: Kind, name: str) -> Related:
    def wants(namespace: Obj, obj: Obj) -> bool:
        return name_of(obj) == name and namespace_of(obj) == name_of(namespace)

    return Related(
        kind,
        wants,
        subject_keys=lambda namespace: (name_of(namespace),),
        object_keys=lambda obj: (namespace_of(obj),) if name_of(obj) == name else (),
    )
