"""Defaults of pods and of the pod templates inside of workloads."""

from __future__ import annotations

import re
from functools import lru_cache

from argosy.meta import quantity
from argosy.meta.json import Obj

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?)"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_DEFAULT_MODE = 0o644
_NAME_MAX = 255


def pod(obj: Obj) -> None:
    """A pod itself: what templates get, and what only pods get."""
    spec = obj["spec"]
    for container in _containers(spec, ephemeral=False):
        _requests_from_limits(container.get("resources"))
    _pod_requests(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        for container in _containers(spec, ephemeral=False):
            for port in container.get("ports") or ():
                if not port.get("hostPort") and port.get("containerPort"):
                    port["hostPort"] = port["containerPort"]
    pod_spec(spec)
    status = obj["status"]
    first = status.get("podIP")
    if first and (not status.get("podIPs") or status["podIPs"][0].get("ip") != first):
        status["podIPs"] = [{"ip": first}]  # the older name is what older kubelets write
    elif status.get("podIPs"):
        status["podIP"] = status["podIPs"][0].get("ip") or ""


def pod_template(obj: Obj) -> None:
    """The kind PodTemplate."""
    pod_spec(obj["template"]["spec"])


def pod_spec(spec: Obj) -> None:
    """A PodSpec wherever it occurs."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or ():
        volume_source(volume)
    for container in _containers(spec):
        _container(container)
    if "resources" in spec:
        _round(spec["resources"])
    if "overhead" in spec:
        _round_list(spec["overhead"])


def _containers(spec: Obj, *, ephemeral: bool = True) -> list[Obj]:
    found: list[Obj] = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    if ephemeral:
        found += spec.get("ephemeralContainers") or ()
    return found


def _container(container: Obj) -> None:
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        _field_ref(variable.get("valueFrom"))
    for name in _PROBES:
        if name in container:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and "httpGet" in hook:
            _http_get(hook["httpGet"])
    if container.get("resources"):
        _round(container["resources"])


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """Always for the tag `latest`, said or implied; IfNotPresent otherwise, also for names that are none."""
    match = _IMAGE.fullmatch(image)
    if match is None or len(match["name"]) > _NAME_MAX:
        return "IfNotPresent"
    if match["tag"]:
        return "Always" if match["tag"] == "latest" else "IfNotPresent"
    return "IfNotPresent" if match["digest"] else "Always"


def _probe(probe: Obj) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    if "httpGet" in probe:
        _http_get(probe["httpGet"])
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _http_get(action: Obj) -> None:
    action.setdefault("path", "/")
    action.setdefault("scheme", "HTTP")


def _field_ref(source: Obj | None) -> None:
    if not source:
        return
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if "resourceFieldRef" in source:
        source["resourceFieldRef"].setdefault("divisor", "0")
    if "fileKeyRef" in source:
        source["fileKeyRef"].setdefault("optional", False)


def _requests_from_limits(resources: Obj | None) -> None:
    if not resources or not resources.get("limits"):
        return
    requests = resources.setdefault("requests", {})
    for name, amount in resources["limits"].items():
        requests.setdefault(name, amount)


def _pod_requests(spec: Obj) -> None:
    """Pod-level limits without requests: the containers' sum where all ask for it, else the limit."""
    resources = spec.get("resources")
    if not resources or not resources.get("limits"):
        return
    requests = resources.setdefault("requests", {})
    for name, limit in resources["limits"].items():
        asked = [(each.get("resources") or {}).get("requests", {}).get(name) for each in spec.get("containers") or ()]
        amounts = [quantity.parse(each) for each in asked if each is not None]
        if name not in requests:
            total = sum(amounts[1:], amounts[0]) if amounts else None
            requests[name] = str(total) if total is not None else limit


def _round(resources: Obj) -> None:
    for part in ("limits", "requests"):
        if part in resources:
            _round_list(resources[part])


def _round_list(amounts: Obj) -> None:
    for name, amount in amounts.items():
        if amount[-1:] in ("n", "u") or "e-" in amount:
            amounts[name] = quantity.rounded_to_millis(amount)


_MODES = ("secret", "configMap", "downwardAPI", "projected")


def volume_source(volume: Obj) -> None:
    """One entry of a PodSpec's `volumes`; without a source it is an emptyDir."""
    if not any(value is not None for key, value in volume.items() if key != "name"):
        volume["emptyDir"] = {}
        return
    for name in _MODES:
        if name in volume:
            volume[name].setdefault("defaultMode", _DEFAULT_MODE)
    if "downwardAPI" in volume:
        for item in volume["downwardAPI"].get("items") or ():
            _field_ref(item)
    if "projected" in volume:
        for source in volume["projected"].get("sources") or ():
            if "serviceAccountToken" in source:
                source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
            for item in (source.get("downwardAPI") or {}).get("items") or ():
                _field_ref(item)
    if "image" in volume and "pullPolicy" not in volume["image"]:
        volume["image"]["pullPolicy"] = pull_policy(volume["image"].get("reference", ""))
    if "ephemeral" in volume:
        template = volume["ephemeral"].get("volumeClaimTemplate")
        if template:
            template["spec"].setdefault("volumeMode", "Filesystem")
    legacy_source(volume)


_LEGACY: dict[str, Obj] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def legacy_source(volume: Obj) -> None:
    """The sources that pods and PersistentVolumes share."""
    for name, defaults in _LEGACY.items():
        if name in volume:
            for key, value in defaults.items():
                volume[name].setdefault(key, value)
