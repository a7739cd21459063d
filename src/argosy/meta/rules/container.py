"""Rules of the containers of pods."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from argosy.meta import causes, names, quantity
from argosy.meta.json import Obj
from argosy.meta.rules.fields import (
    Found,
    amount,
    exactly_one,
    extended,
    in_range,
    named,
    needs_one_of,
    non_negative,
    one_of,
    port,
    relative_path,
    required,
    resource_name,
    say,
)  # fmt: skip
from argosy.meta.rules.security import container_security
from argosy.meta.rules.volumes import field_ref, resource_ref

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_TERMINATION = ("File", "FallbackToLogsOnError")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def containers(found: Found, path: str, listed: list[Obj] | None, volumes: Mapping[str, Obj]) -> None:
    """The regular containers."""
    if not required(found, path, listed):
        return
    seen: set[str] = set()
    for index, container in enumerate(listed or ()):
        place = f"{path}[{index}]"
        _container(found, place, container, volumes)
        _unique(found, f"{place}.name", container.get("name"), seen)
        _runtime(found, place, container)
    host_ports(found, path, listed)


def init_containers(
    found: Found, path: str, listed: list[Obj] | None, volumes: Mapping[str, Obj], regular: Collection[str]
) -> None:
    """The init containers, whose names the regular ones may not have."""
    seen = set(regular)
    for index, container in enumerate(listed or ()):
        place = f"{path}[{index}]"
        _container(found, place, container, volumes)
        _unique(found, f"{place}.name", container.get("name"), seen)
        one_of(found, f"{place}.restartPolicy", container.get("restartPolicy"), ("Always", "Never", "OnFailure"))
        if container.get("restartPolicy") == "Always":
            _runtime(found, place, container)
            continue
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(name) is not None:
                message = "may not be set for init containers without restartPolicy=Always"
                found.append(causes.forbidden(f"{place}.{name}", message))


def _unique(found: Found, path: str, name: str | None, seen: set[str]) -> None:
    if not name:
        return
    if name in seen:
        found.append(causes.duplicate(path, name))
    seen.add(name)


def _container(found: Found, path: str, container: Obj, volumes: Mapping[str, Obj]) -> None:
    named(found, f"{path}.name", container.get("name"))
    image = container.get("image")
    if required(found, f"{path}.image", image) and image != str(image).strip():
        found.append(causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    needs_one_of(found, f"{path}.terminationMessagePolicy", container.get("terminationMessagePolicy"), _TERMINATION)
    _ports(found, f"{path}.ports", container.get("ports"))
    _env(found, f"{path}.env", container.get("env"))
    _env_from(found, f"{path}.envFrom", container.get("envFrom"))
    _mounts(found, f"{path}.volumeMounts", container, volumes)
    _devices(found, f"{path}.volumeDevices", container, volumes)
    needs_one_of(found, f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    if container.get("resources"):
        resources(found, f"{path}.resources", container["resources"])
    if container.get("securityContext"):
        container_security(found, f"{path}.securityContext", container["securityContext"])


def _runtime(found: Found, path: str, container: Obj) -> None:
    """What only containers that keep running have."""
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            _handler(found, f"{path}.lifecycle.{hook}", handler)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _probe(found, f"{path}.{name}", probe, readiness=name == "readinessProbe")


def _ports(found: Found, path: str, ports: list[Obj] | None) -> None:
    seen: set[str] = set()
    for index, each in enumerate(ports or ()):
        place = f"{path}[{index}]"
        name = each.get("name")
        if name:
            complaints = names.port_name(name)
            say(found, f"{place}.name", name, complaints)
            if not complaints:
                _unique(found, f"{place}.name", name, seen)
        if required(found, f"{place}.containerPort", each.get("containerPort") or None):
            in_range(found, f"{place}.containerPort", each["containerPort"], 1, 65535)
        if each.get("hostPort"):
            in_range(found, f"{place}.hostPort", each["hostPort"], 1, 65535)
        needs_one_of(found, f"{place}.protocol", each.get("protocol"), _PROTOCOLS)


def host_ports(found: Found, path: str, listed: list[Obj] | None) -> None:
    """Two containers of a pod cannot have the same port of the host."""
    seen: set[str] = set()
    for index, container in enumerate(listed or ()):
        for number, each in enumerate(container.get("ports") or ()):
            if each.get("hostPort"):
                key = f"{each.get('protocol')}/{each.get('hostIP') or '0.0.0.0'}/{each['hostPort']}"
                _unique(found, f"{path}[{index}].ports[{number}].hostPort", key, seen)


def _env(found: Found, path: str, variables: list[Obj] | None) -> None:
    for index, variable in enumerate(variables or ()):
        place = f"{path}[{index}]"
        named(found, f"{place}.name", variable.get("name"), names.env_name)
        source = variable.get("valueFrom")
        if source is not None:
            _env_source(found, f"{place}.valueFrom", variable, source)


def _env_source(found: Found, path: str, variable: Obj, source: Obj) -> None:
    given = [name for name in _ENV_SOURCES if source.get(name) is not None]
    if "fieldRef" in given:
        field_ref(found, f"{path}.fieldRef", source["fieldRef"])
    if "resourceFieldRef" in given:
        resource_ref(found, f"{path}.resourceFieldRef", source["resourceFieldRef"], volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            reference = source[name]
            required(found, f"{path}.{name}.name", reference.get("name"))
            if required(found, f"{path}.{name}.key", reference.get("key")):
                say(found, f"{path}.{name}.key", reference["key"], names.config_key(reference["key"]))
    if not given:
        wanted = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        )
        found.append(causes.invalid(path, "", wanted))
    elif variable.get("value"):
        found.append(causes.invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        found.append(causes.invalid(path, "", "may not have more than one field specified at a time"))


def _env_from(found: Found, path: str, sources: list[Obj] | None) -> None:
    for index, source in enumerate(sources or ()):
        place = f"{path}[{index}]"
        if source.get("prefix"):
            say(found, f"{place}.prefix", source["prefix"], names.env_name(source["prefix"]))
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for name in given:
            required(found, f"{place}.{name}.name", source[name].get("name"))
        if not given:
            found.append(causes.invalid(place, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(causes.invalid(place, "", "may not have more than one field specified at a time"))


def _mounts(found: Found, path: str, container: Obj, volumes: Mapping[str, Obj]) -> None:
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        place = f"{path}[{index}]"
        name, where = mount.get("name"), mount.get("mountPath")
        required(found, f"{place}.name", name)
        if name not in volumes:
            found.append(causes.not_found(f"{place}.name", name or ""))
        required(found, f"{place}.mountPath", where)
        if where in seen:
            found.append(causes.invalid(f"{place}.mountPath", where, "must be unique"))
        seen.add(where or "")
        for key in ("subPath", "subPathExpr"):
            if mount.get(key):
                relative_path(found, f"{path}.{key}" if key == "subPath" else f"{place}.{key}", mount[key])
        if mount.get("subPath") and mount.get("subPathExpr"):
            message = "subPathExpr and subPath are mutually exclusive"
            found.append(causes.invalid(f"{place}.subPathExpr", mount["subPathExpr"], message))
        one_of(
            found,
            f"{place}.mountPropagation",
            mount.get("mountPropagation"),
            ("Bidirectional", "HostToContainer", "None"),
        )


def _devices(found: Found, path: str, container: Obj, volumes: Mapping[str, Obj]) -> None:
    for index, device in enumerate(container.get("volumeDevices") or ()):
        place = f"{path}[{index}]"
        name = device.get("name")
        required(found, f"{place}.name", name)
        if name not in volumes:
            found.append(causes.not_found(f"{place}.name", name or ""))
        required(found, f"{place}.devicePath", device.get("devicePath"))


def resources(found: Found, path: str, value: Obj) -> None:
    """Requests and limits of a container."""
    limits, requests = value.get("limits") or {}, value.get("requests") or {}
    for name, each in limits.items():
        _resource(found, f"{path}.limits[{name}]", name, each)
    for name, each in requests.items():
        _resource(found, f"{path}.requests[{name}]", name, each)
        limit = limits.get(name)
        if limit is None:
            if extended(name) or name.startswith("hugepages-"):
                message = "Limit must be set for non overcommitable resources"
                found.append(causes.required(f"{path}.limits", message))
            continue
        order = quantity.compare(each, limit)
        if (extended(name) or name.startswith("hugepages-")) and order:
            found.append(causes.invalid(f"{path}.requests", each, f"must be equal to {name} limit of {limit}"))
        elif order > 0:
            message = f"must be less than or equal to {name} limit of {limit}"
            found.append(causes.invalid(f"{path}.requests", each, message))


def _resource(found: Found, path: str, name: str, value: Any) -> None:
    native = resource_name(found, path, name) and "/" not in name and not name.startswith("hugepages-")
    if native and name not in _NATIVE:
        found.append(causes.invalid(path, name, "must be a standard resource for containers"))
    amount(found, path, name, value)


def _probe(found: Found, path: str, probe: Obj, *, readiness: bool) -> None:
    _handler(found, path, probe)
    non_negative(
        found,
        path,
        probe,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and readiness:
        message = "must not be set for readinessProbes"
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, message))
    elif grace is not None and grace <= 0:
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if not readiness and probe.get("successThreshold", 1) != 1:
        found.append(causes.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))


def _handler(found: Found, path: str, handler: Obj) -> None:
    for name in exactly_one(found, path, handler, _HANDLERS, "handler type")[:1]:
        action, place = handler[name], f"{path}.{name}"
        if name == "exec":
            required(found, f"{place}.command", action.get("command"))
        elif name == "httpGet":
            required(found, f"{place}.path", action.get("path"))
            port(found, f"{place}.port", action.get("port"))
            needs_one_of(found, f"{place}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
            for header in action.get("httpHeaders") or ():
                header_name = header.get("name") or ""
                say(found, f"{place}.httpHeaders", header_name, names.http_header(header_name))
        elif name in ("tcpSocket", "grpc"):
            port(found, f"{place}.port", action.get("port"))
