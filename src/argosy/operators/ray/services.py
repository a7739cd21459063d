"""The Services of Ray: the head's, the workers' headless one, and the one that requests to Ray Serve go to. Pure."""

from __future__ import annotations

from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster

_DEFAULT_PORTS = {
    "client": names.CLIENT_PORT,
    "gcs-server": names.GCS_PORT,
    "dashboard": names.DASHBOARD_PORT,
    "metrics": names.METRICS_PORT,
    "serve": names.SERVE_PORT,
}


def ports(cluster: Cluster) -> dict[str, int]:
    """The ports of the head by name: those of its container, else Ray's own; and the metrics in any case."""
    given = {
        port.get("name") or f"{port['containerPort']}-port": int(port["containerPort"])
        for port in cluster.head_container.get("ports") or ()
    }
    return {"metrics": names.METRICS_PORT, **(given or _DEFAULT_PORTS)}


def head(cluster: Cluster, owner: Obj, kind: Kind) -> Obj:
    """The head's Service: headless unless the spec says otherwise, and there before the head is ready."""
    labels = names.head_labels(cluster.name)
    app = dig(cluster.head, "template", "metadata", "labels", names.LABEL_APP)
    if app:
        labels[names.LABEL_APP] = app  # the pod's own word for it, or the Service would not find the pod
    made = [{"name": name, "port": port, "appProtocol": "tcp"} for name, port in sorted(ports(cluster).items())]
    spec: Obj = {"selector": labels, "ports": made}
    type = str(cluster.head.get("serviceType") or "")
    if type:
        spec["type"] = type
    given = cluster.head.get("headService")
    if given is None and type in ("", "ClusterIP"):
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    service = _service(names.head_service(cluster.name), labels, spec, owner, kind)
    annotations: Obj = thaw(cluster.spec.get("headServiceAnnotations") or {})
    if annotations:
        service["metadata"]["annotations"] = annotations
    return service if given is None else _overlaid(service, given)


def head_for_owner(cluster: Cluster, owner: Obj, kind: Kind) -> Obj:
    """The Service by which a RayJob or RayService shows the head of the cluster that it has now."""
    name = str(owner["metadata"]["name"])
    labels = {
        **names.origin_labels(kind.kind, name),
        names.LABEL_NODE_TYPE: names.HEAD,
        names.LABEL_IDENTIFIER: names.label_value(f"{name}-{names.HEAD}"),
    }
    service = head(cluster, owner, kind)
    service["metadata"] |= {"name": names.head_service(name), "labels": labels}
    service["metadata"].pop("annotations", None)
    return service


def workers(cluster: Cluster, owner: Obj, kind: Kind) -> Obj:
    """The headless Service by which the hosts of one replica find each other."""
    spec: Obj = {
        "clusterIP": "None",
        "type": "ClusterIP",
        "selector": {names.LABEL_CLUSTER: cluster.name, names.LABEL_NODE_TYPE: names.WORKER},
        "publishNotReadyAddresses": True,
    }
    labels = {names.LABEL_HEADLESS: cluster.name}
    return _service(f"{cluster.name}-headless", labels, spec, owner, kind)


def serve(cluster: Cluster, owner: Obj, kind: Kind, given: Obj | None = None) -> Obj | None:
    """The Service of Ray Serve over the pods of a cluster; None when the head has no port called `serve`.

    A RayService's (`given` is its `serveService`) picks the pods whose proxy answers, by a label that follows it.
    """
    name, of_service = str(owner["metadata"]["name"]), kind.kind == "RayService"
    labels = {**names.origin_labels(kind.kind, name), names.LABEL_SERVE: f"{name}-serve"}
    selector = {names.LABEL_CLUSTER: cluster.name}
    if of_service:
        selector[names.LABEL_SERVE] = "true"
    made: list[Obj] = [
        {"name": port, "port": number}
        for port, number in sorted(ports(cluster).items())
        if port == "serve" or port.startswith("serve-")
    ]
    type = str(cluster.head.get("serviceType") or "")
    spec: Obj = {"selector": selector, "ports": made}
    if type:
        spec["type"] = type
    service = _service(names.serve_service(name), labels, spec, owner, kind)
    if given is None:
        return service if made else None
    own = {port.get("name"): port for port in dig(given, "spec", "ports", default=())}
    spec["ports"] = [thaw(own.get(port["name"], port)) for port in made] or thaw(list(own.values()))
    return _overlaid(service, {**given, "spec": {**(given.get("spec") or {}), "ports": []}})


def _overlaid(service: Obj, given: Obj) -> Obj:
    """A Service that the spec gives, with our ports beside its own; labels and selector are not the user's to choose."""
    ours, theirs = service["metadata"], thaw(given.get("metadata") or {})
    ours["name"] = theirs.get("name") or ours["name"]
    ours["labels"] = {**(theirs.get("labels") or {}), **ours["labels"]}
    annotations = {**(theirs.get("annotations") or {}), **(ours.get("annotations") or {})}
    if annotations:
        ours["annotations"] = annotations
    asked: Obj = {name: value for name, value in thaw(given.get("spec") or {}).items() if value}
    spec = {**service["spec"], **asked, "selector": service["spec"]["selector"]}
    spec["ports"] = [*(asked.get("ports") or ()), *service["spec"]["ports"]]
    return {**service, "spec": spec}


def _service(name: str, labels: dict[str, str], spec: Obj, owner: Obj, kind: Kind) -> Obj:
    metadata: Obj = {
        "name": name,
        "namespace": owner["metadata"].get("namespace") or "",
        "labels": labels,
        "ownerReferences": [owner_reference(owner, kind)],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
