"""Rules of the containers of pods."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
    needs_supported,
    no_backsteps,
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
_NOT_EPHEMERAL = (
    "lifecycle", "livenessProbe", "ports", "readinessProbe", "resizePolicy", "resources", "restartPolicy",
    "restartPolicyRules", "startupProbe",
)  # fmt: skip
_MOST_RULES, _MOST_CODES = 20, 255
_NATIVE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Around:
    """What the rules of a container know of its pod."""

    volumes: Mapping[str, Obj]
    restart: str
    grace: int | None
    host_users: bool
    claims: Collection[str]

    @classmethod
    def of(cls, spec: Obj, volumes: Mapping[str, Obj]) -> Around:
        """Those of a PodSpec."""
        claims = [each.get("name") or "" for each in spec.get("resourceClaims") or ()]
        grace = spec.get("terminationGracePeriodSeconds")
        return cls(volumes, spec.get("restartPolicy") or "", grace, spec.get("hostUsers") is not False, claims)


def containers(found: Found, path: str, listed: list[Obj] | None, around: Around) -> None:
    """The regular containers."""
    if not required(found, path, listed):
        return
    seen: set[str] = set()
    for index, container in enumerate(listed or ()):
        place = f"{path}[{index}]"
        _container(found, place, container, around)
        _unique(found, f"{place}.name", container.get("name") or "", seen)
        _runtime(found, place, container, around)
        _restart(found, place, container)
    host_ports(found, path, listed)


def ephemeral_containers(found: Found, path: str, spec: Obj, around: Around) -> None:
    """Containers that were added to a pod that runs."""
    others = {each.get("name") or "" for field in ("containers", "initContainers") for each in spec.get(field) or ()}
    seen = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        place = f"{path}[{index}]"
        _container(found, place, container, around)
        trimmed(found, place, container)
        _unique(found, f"{place}.name", container.get("name") or "", seen)
        target = container.get("targetContainerName")
        if target and target not in others:
            found.append(causes.not_found(f"{place}.targetContainerName", target))
        why = "cannot be set for an Ephemeral Container"
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                found.append(causes.forbidden(f"{place}.{field}", why))
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    found.append(causes.forbidden(f"{place}.volumeMounts[{number}].{field}", why))


def trimmed(found: Found, path: str, container: Obj) -> None:
    """An image without blanks around it: templates may have them, pods may not."""
    image = container.get("image") or ""
    if image != image.strip():
        found.append(causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))


def init_containers(
    found: Found, path: str, listed: list[Obj] | None, around: Around, regular: Collection[str]
) -> None:
    """The init containers, whose names the regular ones may not have."""
    seen = set(regular)
    for index, container in enumerate(listed or ()):
        place = f"{path}[{index}]"
        _container(found, place, container, around)
        _unique(found, f"{place}.name", container.get("name"), seen)
        host_ports(found, path, [container])
        _restart(found, place, container)
        if container.get("restartPolicy") == "Always":
            _runtime(found, place, container, around)
            continue
        for number, each in enumerate(container.get("resizePolicy") or ()):
            if each.get("restartPolicy") == "RestartContainer":
                message = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                where = f"{place}.resizePolicy[{number}].restartPolicy"
                found.append(causes.invalid(where, "RestartContainer", message))
        for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if container.get(name) is not None:
                message = "may not be set for init containers without restartPolicy=Always"
                found.append(causes.forbidden(f"{place}.{name}", message))


def _unique(found: Found, path: str, name: str | None, seen: set[str]) -> None:
    if name is None:
        return
    if name in seen:
        found.append(causes.duplicate(path, name))
    seen.add(name)


def _container(found: Found, path: str, container: Obj, around: Around) -> None:
    named(found, f"{path}.name", container.get("name"))
    required(found, f"{path}.image", container.get("image"))
    needs_one_of(found, f"{path}.terminationMessagePolicy", container.get("terminationMessagePolicy"), _TERMINATION)
    _ports(found, f"{path}.ports", container.get("ports"))
    _env(found, f"{path}.env", container.get("env"))
    _env_from(found, f"{path}.envFrom", container.get("envFrom"))
    _mounts(found, f"{path}.volumeMounts", container, around.volumes)
    if container.get("volumeDevices"):
        _devices(found, f"{path}.volumeDevices", container, around.volumes)
    needs_one_of(found, f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    if container.get("resources"):
        resources(found, f"{path}.resources", container["resources"])
        resource_claims(found, f"{path}.resources.claims", container["resources"].get("claims"), around.claims)
    _resize(found, f"{path}.resizePolicy", container.get("resizePolicy"), around.restart)
    if container.get("securityContext"):
        place = f"{path}.securityContext"
        container_security(found, place, container["securityContext"], host_users=around.host_users)


def _runtime(found: Found, path: str, container: Obj, around: Around) -> None:
    """What only containers that keep running have."""
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            _handler(found, f"{path}.lifecycle.{hook}", handler, around.grace)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _probe(found, f"{path}.{name}", probe, around, readiness=name == "readinessProbe")


def _restart(found: Found, path: str, container: Obj) -> None:
    """When a container is started again, by what it ended with."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    if policy is None and rules:
        why = "must specify restartPolicy when restart rules are used"
        found.append(causes.required(f"{path}.restartPolicy", why))
    one_of(found, f"{path}.restartPolicy", policy, ("Always", "Never", "OnFailure"))
    if len(rules) > _MOST_RULES:
        found.append(causes.too_many(f"{path}.restartPolicyRules", len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        place = f"{path}.restartPolicyRules[{index}]"
        needs_supported(found, f"{place}.action", rule.get("action"), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            found.append(causes.required(f"{place}.exitCodes", "must be specified"))
            continue
        needs_supported(found, f"{place}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"))
        if len(codes.get("values") or ()) > _MOST_CODES:
            found.append(causes.too_many(f"{place}.exitCodes.values", len(codes["values"]), _MOST_CODES))


def _resize(found: Found, path: str, policies: list[Obj] | None, restart: str) -> None:
    seen: set[str] = set()
    for index, each in enumerate(policies or ()):
        name, policy = each.get("resourceName") or "", each.get("restartPolicy") or ""
        if name in seen:
            found.append(causes.duplicate(f"{path}[{index}]", name))
        seen.add(name)
        needs_one_of(found, path, name, ("cpu", "memory"))
        needs_one_of(found, path, policy, ("NotRequired", "RestartContainer"))
        if restart == "Never" and policy != "NotRequired":
            message = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            found.append(causes.invalid(path, policy, message))


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
            say(found, f"{path}.{name}.name", reference.get("name") or "", names.subdomain(reference.get("name") or ""))
            if required(found, f"{path}.{name}.key", reference.get("key")):
                say(found, f"{path}.{name}.key", reference["key"], names.config_key(reference["key"]))
    if "fileKeyRef" in given:
        _file_key(found, f"{path}.fileKeyRef", source["fileKeyRef"])
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
            called = source[name].get("name")
            if required(found, f"{place}.{name}.name", called):
                say(found, f"{place}.{name}.name", called, names.subdomain(names.prefix(called)))
        if not given:
            found.append(causes.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(causes.invalid(path, "", "may not have more than one field specified at a time"))


def _file_key(found: Found, path: str, reference: Obj) -> None:
    key, volume, where = reference.get("key"), reference.get("volumeName"), reference.get("path")
    named(found, f"{path}.key", key, names.env_name)
    named(found, f"{path}.volumeName", volume)
    if required(found, f"{path}.path", where):
        no_backsteps(found, f"{path}.path", str(where))


def _mounts(found: Found, path: str, container: Obj, volumes: Mapping[str, Obj]) -> None:
    devices = {each.get("name"): each.get("devicePath") for each in container.get("volumeDevices") or ()}
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
        if name in devices:
            found.append(causes.invalid(f"{place}.name", name, "must not already exist in volumeDevices"))
        if where in devices.values():
            message = "must not already exist as a path in volumeDevices"
            found.append(causes.invalid(f"{place}.mountPath", where, message))
        for key in ("subPath", "subPathExpr"):
            if mount.get(key):
                relative_path(found, f"{path}.{key}", mount[key])
        if mount.get("subPath") and mount.get("subPathExpr"):
            message = "subPathExpr and subPath are mutually exclusive"
            found.append(causes.invalid(f"{place}.subPathExpr", mount["subPathExpr"], message))
        if mount.get("mountPropagation") is not None or mount.get("recursiveReadOnly") is not None:
            _propagation(found, path, mount, container)


def _propagation(found: Found, path: str, mount: Obj, container: Obj) -> None:
    """Whether a mount shows later mounts on the other side, and what read-only means there."""
    way, place = mount.get("mountPropagation"), f"{path}.mountPropagation"
    one_of(found, place, way, ("Bidirectional", "HostToContainer", "None"))
    if way == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        message = "Bidirectional mount propagation is available only to privileged containers"
        found.append(causes.forbidden(place, message))
    deep, place = mount.get("recursiveReadOnly"), f"{path}.recursiveReadOnly"
    one_of(found, place, deep, ("Disabled", "Enabled", "IfPossible"))
    if deep in ("Enabled", "IfPossible"):
        if not mount.get("readOnly"):
            found.append(causes.forbidden(place, "may only be specified when readOnly is true"))
        if way not in (None, "None"):
            message = "may only be specified when mountPropagation is None or not specified"
            found.append(causes.forbidden(place, message))


def _devices(found: Found, path: str, container: Obj, volumes: Mapping[str, Obj]) -> None:
    mounts = {mount.get("name"): mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    seen: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        place = f"{path}[{index}]"
        name, where = device.get("name") or "", device.get("devicePath") or ""
        required(found, f"{place}.name", name)
        if name in seen:
            found.append(causes.invalid(f"{place}.name", name, "must be unique"))
        volume = volumes.get(name)
        if volume is None:
            found.append(causes.not_found(f"{place}.name", name))
        elif not (volume.get("persistentVolumeClaim") or volume.get("ephemeral")):
            message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(causes.invalid(f"{place}.name", name, message))
        required(found, f"{place}.devicePath", where)
        if where in paths:
            found.append(causes.invalid(f"{place}.devicePath", where, "must be unique"))
        if ".." in where.split("/"):
            found.append(causes.invalid(f"{place}.devicePath", where, "can not contain backsteps ('..')"))
        else:
            paths.add(where)
        if name in mounts:
            found.append(causes.invalid(f"{place}.name", name, "must not already exist in volumeMounts"))
        if where in mounts.values():
            message = "must not already exist as a path in volumeMounts"
            found.append(causes.invalid(f"{place}.devicePath", where, message))
        if name:
            seen.add(name)


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
    every = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in every) and not every & {"cpu", "memory"}:
        found.append(causes.forbidden(path, "HugePages require cpu or memory"))


def resource_claims(found: Found, path: str, wanted: list[Obj] | None, claims: Collection[str]) -> None:
    """The claims of its pod that a container uses."""
    seen: set[str] = set()
    for index, each in enumerate(wanted or ()):
        name, request = each.get("name") or "", each.get("request") or ""
        key = f"{name}/{request}" if request else name
        if not name:
            found.append(causes.required(f"{path}[{index}]"))
        else:
            if key in seen or (request and name in seen):
                found.append(causes.duplicate(f"{path}[{index}]", name))
            seen.add(key)
            if name not in claims:
                found.append(causes.not_found(f"{path}[{index}]", name))


def _resource(found: Found, path: str, name: str, value: Any) -> None:
    container_resource(found, path, name)
    amount(found, path, name, value)


def container_resource(found: Found, path: str, name: str) -> None:
    """The name of something that a container may ask for."""
    resource_name(found, path, name)
    if "/" not in name and name not in _NATIVE and not name.startswith("hugepages-"):
        found.append(causes.invalid(path, name, "must be a standard resource for containers"))
    elif "/" in name and not _is_native(name) and (name.startswith("requests.") or names.qualified(f"requests.{name}")):
        found.append(causes.invalid(path, name, "doesn't follow extended resource name standard"))


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def _probe(found: Found, path: str, probe: Obj, around: Around, *, readiness: bool) -> None:
    _handler(found, path, probe, around.grace)
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
    if grace is not None and grace <= 0:
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if grace is not None and readiness:
        message = "must not be set for readinessProbes"
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, message))
    if not readiness and probe.get("successThreshold", 1) != 1:
        found.append(causes.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))


def _handler(found: Found, path: str, handler: Obj, grace: int | None) -> None:
    for name in exactly_one(found, path, handler, _HANDLERS, "handler type")[:1]:
        action, place = handler[name], f"{path}.{name}"
        if name == "exec":
            required(found, f"{place}.command", action.get("command"))
        elif name == "httpGet":
            required(found, f"{place}.path", action.get("path"))
            port(found, f"{place}.port", action.get("port"))
            needs_supported(found, f"{place}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
            for header in action.get("httpHeaders") or ():
                header_name = header.get("name") or ""
                say(found, f"{place}.httpHeaders", header_name, names.http_header(header_name))
        elif name in ("tcpSocket", "grpc"):
            port(found, f"{place}.port", action.get("port"))
        elif grace is not None and not 0 <= (action.get("seconds") or 0) <= grace:
            message = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            found.append(causes.invalid(place, action.get("seconds") or 0, message))
