"""Rules of the volumes of pods."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    MODE,
    Found,
    exactly_one,
    inner_path,
    named,
    no_backsteps,
    one_of,
    required,
    say,
)  # fmt: skip

SOURCES = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
_DRIVER_MAX = 63
_HOST_PATHS = ("", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice")
_POD_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
    "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_PROJECTIONS = (
    "secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate",
)  # fmt: skip
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip


def volumes(found: Found, path: str, listed: list[Obj] | None, pod: str = "") -> dict[str, Obj]:
    """The volumes of a pod, whose name is `pod` where it has one yet; returns them by name."""
    by_name: dict[str, Obj] = {}
    for index, volume in enumerate(listed or ()):
        place = f"{path}[{index}]"
        before = len(found)
        given = exactly_one(found, place, volume, SOURCES, "volume type")
        for source in given[:1]:
            check = _CHECKS.get(source)
            if check is not None:
                check(found, f"{place}.{source}", volume[source])
        name = volume.get("name")
        if pod and name and "ephemeral" in given[:1]:
            claim = f"{pod}-{name}"
            say(found, f"{place}.name", name, [f'PVC name "{claim}": {why}' for why in names.subdomain(claim)])
        named(found, f"{place}.name", name)
        if name and len(found) == before:
            if name in by_name:
                found.append(causes.duplicate(f"{place}.name", name))
            by_name[name] = volume
    return by_name


def mode(found: Found, path: str, value: int | None) -> None:
    """Permission bits."""
    if value is not None and not 0 <= value <= 0o777:
        found.append(causes.invalid(path, value, MODE))


def _items(found: Found, path: str, items: list[Obj] | None) -> None:
    for index, item in enumerate(items or ()):
        place = f"{path}[{index}]"
        required(found, f"{place}.key", item.get("key"))
        if required(found, f"{place}.path", item.get("path")):
            inner_path(found, f"{place}.path", item["path"])
        mode(found, f"{place}.mode", item.get("mode"))


def _empty_dir(found: Found, path: str, source: Obj) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit).nanos < 0:
        found.append(causes.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def host_path(found: Found, path: str, source: Obj) -> None:
    """A hostPath source, of a pod or a PersistentVolume."""
    if required(found, f"{path}.path", source.get("path")):
        no_backsteps(found, f"{path}.path", source["path"])
    one_of(found, f"{path}.type", source.get("type"), sorted(_HOST_PATHS))


def _secret(found: Found, path: str, source: Obj) -> None:
    required(found, f"{path}.secretName", source.get("secretName"))
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    _items(found, f"{path}.items", source.get("items"))


def _config_map(found: Found, path: str, source: Obj) -> None:
    required(found, f"{path}.name", source.get("name"))
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    _items(found, f"{path}.items", source.get("items"))


def nfs(found: Found, path: str, source: Obj) -> None:
    """An NFS source."""
    required(found, f"{path}.server", source.get("server"))
    where = source.get("path") or ""
    required(found, f"{path}.path", where)
    if not where.startswith("/"):
        found.append(causes.invalid(f"{path}.path", where, "must be an absolute path"))


def _claim(found: Found, path: str, source: Obj) -> None:
    required(found, f"{path}.claimName", source.get("claimName"))


def _downward(found: Found, path: str, source: Obj) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    _downward_items(found, path, source.get("items"))


def _downward_items(found: Found, path: str, items: list[Obj] | None) -> None:
    for item in items or ():
        if required(found, f"{path}.path", item.get("path")):
            inner_path(found, f"{path}.path", item["path"])
        if item.get("fieldRef") is not None:
            field_ref(found, f"{path}.fieldRef", item["fieldRef"], _POD_FIELDS)
            if item.get("resourceFieldRef") is not None:
                found.append(
                    causes.invalid(
                        path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
                    )
                )
        elif item.get("resourceFieldRef") is not None:
            resource_ref(found, f"{path}.resourceFieldRef", item["resourceFieldRef"], volume=True)
        else:
            found.append(causes.required(path, "one of fieldRef and resourceFieldRef is required"))
        mode(found, f"{path}.mode", item.get("mode"))


def field_ref(found: Found, path: str, reference: Obj, fields: tuple[str, ...] = _ENV_FIELDS) -> None:
    """A reference to a field of the pod."""
    if not required(found, f"{path}.apiVersion", reference.get("apiVersion")):
        return
    name = reference.get("fieldPath")
    if not required(found, f"{path}.fieldPath", name) or name in fields:
        return
    keyed = re.fullmatch(r"(metadata\.(?:labels|annotations))\['(.+)'\]", str(name))
    if keyed is not None:
        for complaint in names.qualified(keyed[2].lower() if "annotations" in keyed[1] else keyed[2]):
            found.append(causes.invalid(path, keyed[2], complaint))
    elif name not in (*_ENV_FIELDS, *_POD_FIELDS):
        message = f"error converting fieldPath: field label not supported: {name}"
        found.append(causes.invalid(f"{path}.fieldPath", name, message))
    else:
        found.append(causes.unsupported(f"{path}.fieldPath", name, sorted(fields)))


def resource_ref(found: Found, path: str, reference: Obj, *, volume: bool) -> None:
    """A reference to a container's resources."""
    if volume and not required(found, f"{path}.containerName", reference.get("containerName")):
        return
    name = reference.get("resource")
    if required(found, f"{path}.resource", name) and "hugepages-" not in str(name):
        one_of(found, f"{path}.resource", name, _RESOURCES)


def _projected(found: Found, path: str, source: Obj) -> None:
    mode(found, f"{path}.defaultMode", source.get("defaultMode"))
    taken: set[str] = set()
    for index, each in enumerate(source.get("sources") or ()):
        place = f"{path}.sources[{index}]"
        given = [kind for kind in _PROJECTIONS if each.get(kind) is not None]
        for kind in given:
            part, here = each[kind], f"{place}.{kind}"
            if kind in ("secret", "configMap"):
                required(found, f"{here}.name", part.get("name"))
                items = part.get("items") or []
                _items(found, f"{here}.items", items)
                _apart(found, path, items, taken, part.get("name") or "")
            elif kind == "downwardAPI":
                _downward_items(found, here, part.get("items"))
                _apart(found, path, part.get("items") or (), taken)
            elif kind == "serviceAccountToken":
                _token(found, path, here, part)
        if len(given) > 1:
            found.append(causes.forbidden(place, "may not specify more than 1 volume type per source"))


def _token(found: Found, path: str, place: str, token: Obj) -> None:
    seconds = token.get("expirationSeconds", 3600)
    if seconds < 600:
        message = "may not specify a duration less than 10 minutes"
        found.append(causes.invalid(f"{place}.expirationSeconds", seconds, message))
    elif seconds > 2**32:
        message = "may not specify a duration larger than 2^32 seconds"
        found.append(causes.invalid(f"{place}.expirationSeconds", seconds, message))
    if required(found, f"{path}.path", token.get("path")):
        inner_path(found, f"{path}.path", token["path"])


def _apart(found: Found, path: str, items: Iterable[Obj], taken: set[str], shown: str = "") -> None:
    """Two sources cannot be projected to the same file."""
    for item in items:
        where = item.get("path")
        if where and where in taken:
            found.append(causes.invalid(path, shown or where, "conflicting duplicate paths"))
        elif where:
            taken.add(where)


def _csi(found: Found, path: str, source: Obj) -> None:
    driver_name(found, f"{path}.driver", source.get("driver") or "")
    secret = source.get("nodePublishSecretRef")
    if secret is not None and required(found, f"{path}.nodePublishSecretRef.name", secret.get("name")):
        say(found, f"{path}.name", secret["name"], names.subdomain(secret["name"]))


def driver_name(found: Found, path: str, name: str) -> None:
    """The name of a CSI driver."""
    if not required(found, path, name):
        return
    if len(name) > _DRIVER_MAX:
        found.append(causes.too_long(path, _DRIVER_MAX))
    say(found, path, name, names.subdomain(name.lower()))


def _ephemeral(found: Found, path: str, source: Obj) -> None:
    from argosy.meta.rules.storage import claim_template  # noqa: PLC0415 (claims have rules about volumes, too)

    template, place = source.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    if required(found, place, template) and template is not None:
        claim_template(found, place, template)


def _image(found: Found, path: str, source: Obj) -> None:
    required(found, f"{path}.reference", source.get("reference"))
    one_of(found, f"{path}.pullPolicy", source.get("pullPolicy"), ("Always", "IfNotPresent", "Never"))


_CHECKS: dict[str, Callable[[Found, str, Obj], None]] = {
    "emptyDir": _empty_dir, "hostPath": host_path, "secret": _secret, "configMap": _config_map, "nfs": nfs,
    "persistentVolumeClaim": _claim, "downwardAPI": _downward, "projected": _projected, "csi": _csi,
    "ephemeral": _ephemeral, "image": _image,
}  # fmt: skip
