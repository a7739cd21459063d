"""Rules of pods and of the pod templates inside of workloads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from argosy.meta import causes, internal_form, names
from argosy.meta.json import Obj, thaw
from argosy.meta.rules import addresses, scheduling
from argosy.meta.rules.container import Around, containers, ephemeral_containers, init_containers, trimmed
from argosy.meta.rules.fields import (
    Found,
    amount,
    annotated,
    in_range,
    labels,
    needs_one_of,
    one_of,
    required,
    resource_name,
    say,
)  # fmt: skip
from argosy.meta.rules.security import pod_security
from argosy.meta.rules.volumes import volumes

_INT32_MAX = 2**31 - 1
_HOSTNAME_MAX, _SEARCH_MAX = 64, 2048
_COST = "controller.kubernetes.io/pod-deletion-cost"
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check(new: Obj, old: Obj | None) -> Found:
    """The kind Pod."""
    found: Found = []
    spec = new["spec"]
    if old is None:
        marked(found, "metadata", new)
        pod_spec(found, "spec", spec, new["metadata"].get("name") or "")
        for field in ("containers", "initContainers"):
            for index, container in enumerate(spec.get(field) or ()):
                trimmed(found, f"spec.{field}[{index}]", container)
        if spec.get("ephemeralContainers"):
            found.append(causes.forbidden("spec.ephemeralContainers", "cannot be set on create"))
        return found
    marked(found, "metadata", new)
    pod_spec(found, "spec", spec)
    _update(found, spec, old["spec"])
    return found


def template(found: Found, path: str, value: Obj) -> None:
    """A PodTemplateSpec."""
    meta = value.get("metadata") or {}
    labels(found, f"{path}.labels", meta.get("labels"))
    annotated(found, f"{path}.annotations", meta.get("annotations"))
    marked(found, path, value)
    pod_spec(found, f"{path}.spec", value["spec"])
    if value["spec"].get("ephemeralContainers"):
        found.append(
            causes.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")
        )


def pod_template(new: Obj, old: Obj | None) -> Found:
    """The kind PodTemplate."""
    found: Found = []
    template(found, "template", new["template"])
    return found


def pod_spec(found: Found, path: str, spec: Obj, name: str = "") -> None:
    """A PodSpec, in the order in which Kubernetes looks at it; `name` is the pod's, where it is one."""
    around = Around.of(spec, volumes(found, f"{path}.volumes", spec.get("volumes"), name))
    containers(found, f"{path}.containers", spec.get("containers"), around)
    regular = [each["name"] for each in spec.get("containers") or () if each.get("name")]
    init_containers(found, f"{path}.initContainers", spec.get("initContainers"), around, regular)
    ephemeral_containers(found, f"{path}.ephemeralContainers", spec, around)
    needs_one_of(found, f"{path}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never"))
    needs_one_of(found, f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS)
    labels(found, f"{path}.nodeSelector", spec.get("nodeSelector"))
    pod_security(found, path, spec)
    if spec.get("affinity"):
        scheduling.affinity(found, f"{path}.affinity", spec["affinity"])
    _dns_config(found, f"{path}.dnsConfig", spec)
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType") or ""
        say(found, f"{path}.readinessGates[{index}].conditionType", kind, names.qualified(kind))
    scheduling.scheduling_gates(found, f"{path}.schedulingGates", spec.get("schedulingGates"))
    scheduling.spread(found, f"{path}.topologySpreadConstraints", spec.get("topologySpreadConstraints"))
    _names(found, path, spec)
    scheduling.tolerations(found, f"{path}.tolerations", spec.get("tolerations"))
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        addresses.address(found, f"{path}.hostAliases[{index}].ip", alias.get("ip") or "")
        for number, host in enumerate(alias.get("hostnames") or ()):
            say(found, f"{path}.hostAliases[{index}].hostnames[{number}]", host, names.subdomain(host))
    if spec.get("priorityClassName"):
        say(found, f"{path}.priorityClassName", spec["priorityClassName"], names.subdomain(spec["priorityClassName"]))
    if spec.get("runtimeClassName") is not None:
        say(found, f"{path}.runtimeClassName", spec["runtimeClassName"], names.subdomain(spec["runtimeClassName"]))
    preemption = ("Never", "PreemptLowerPriority")
    one_of(found, f"{path}.preemptionPolicy", spec.get("preemptionPolicy"), preemption)
    for each, value in (spec.get("overhead") or {}).items():
        resource_name(found, f"{path}.overhead[{each}]", each)
        amount(found, f"{path}.overhead[{each}]", each, value)
    _host_users(found, path, spec)
    system = spec.get("os")
    if system is not None and required(found, f"{path}.os.name", system.get("name")):
        one_of(found, f"{path}.os", system["name"], ("linux", "windows"))
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            if not container.get("env"):
                continue
            _file_keys(found, f"{path}.{field}[{index}]", container, around.volumes)


def _file_keys(found: Found, path: str, container: Obj, mounted: Mapping[str, Obj]) -> None:
    """Variables out of files that an init container wrote, which an emptyDir holds."""
    for index, variable in enumerate(container.get("env") or ()):
        reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
        if reference is None:
            continue
        name, place = reference.get("volumeName") or "", f"{path}.env[{index}].valueFrom.fileKeyRef.volumeName"
        if name not in mounted:
            found.append(causes.not_found(place, name))
        elif mounted[name].get("emptyDir") is None:
            found.append(causes.invalid(place, name, "referenced volume must be of type emptyDir"))


def _host_users(found: Found, path: str, spec: Obj) -> None:
    """A user namespace does not go with other namespaces of the host, nor a name of its own with the host's."""
    if spec.get("hostUsers") is False:
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(field):
                shown = field if field == "hostNetwork" else field[0].upper() + field[1:]
                found.append(causes.forbidden(f"{path}.{shown}", "when `hostUsers` is false"))
        for field in ("initContainers", "containers", "ephemeralContainers"):
            for index, container in enumerate(spec.get(field) or ()):
                if container.get("volumeDevices"):
                    where = f"{path}.{field}[{index}].volumeDevices"
                    found.append(causes.forbidden(where, "when `hostUsers` is false"))
    override = spec.get("hostnameOverride")
    if override is None:
        return
    place = f"{path}.hostnameOverride"
    if spec.get("setHostnameAsFQDN"):
        found.append(causes.forbidden(place, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        found.append(causes.forbidden(place, "may not be specified when hostNetwork is true"))
    if len(override) > _HOSTNAME_MAX:
        found.append(causes.too_long(place, _HOSTNAME_MAX))
    say(found, place, override, names.subdomain(override))


def marked(found: Found, path: str, owner: Obj) -> None:
    """Annotations that mean something to pods."""
    marks = (owner.get("metadata") or {}).get("annotations") or {}
    mirror, cost = marks.get("kubernetes.io/config.mirror"), marks.get(_COST)
    if mirror is not None and not owner["spec"].get("nodeName"):
        message = "must set spec.nodeName if mirror pod annotation is set"
        found.append(causes.invalid(f"{path}.annotations[kubernetes.io/config.mirror]", mirror, message))
    if cost is not None and not (re.fullmatch("-?(0|[1-9][0-9]*)", cost) and -(2**31) <= int(cost) < 2**31):
        found.append(causes.invalid(f"{path}.annotations[{_COST}]", cost, "must be a 32bit integer"))


def _names(found: Found, path: str, spec: Obj) -> None:
    for field, form in (("serviceAccountName", names.subdomain), ("nodeName", names.subdomain)):
        if spec.get(field):
            say(found, f"{path}.{field}", spec[field], form(spec[field]))
    in_range(found, f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1, _INT32_MAX)
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            say(found, f"{path}.{field}", spec[field], names.label(spec[field]))


def _dns_config(found: Found, path: str, spec: Obj) -> None:
    config = spec.get("dnsConfig")
    nameservers = (config or {}).get("nameservers")
    if spec.get("dnsPolicy") == "None" and not nameservers:
        where = path if config is None else f"{path}.nameservers"
        message = (
            "must provide `dnsConfig` when `dnsPolicy` is None"
            if config is None
            else "must provide at least one DNS nameserver when `dnsPolicy` is None"
        )
        found.append(causes.required(where, message))
        return
    if config is None:
        return
    if len(nameservers or ()) > 3:
        found.append(causes.invalid(f"{path}.nameservers", nameservers, "must not have more than 3 nameservers"))
    for index, server in enumerate(nameservers or ()):
        addresses.address(found, f"{path}.nameservers[{index}]", server)
    searches = config.get("searches") or ()
    if len(searches) > 32:
        found.append(causes.invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > _SEARCH_MAX:
        message = f"must not have more than {_SEARCH_MAX} characters (including spaces) in the search list"
        found.append(causes.invalid(f"{path}.searches", searches, message))
    for index, search in enumerate(searches):
        if search != ".":
            text = search.removesuffix(".")
            say(found, f"{path}.searches[{index}]", text, names.searched(text))
    for index, option in enumerate(config.get("options") or ()):
        required(found, f"{path}.options[{index}]", option.get("name"), "must not be empty")


def _update(found: Found, new: Obj, old: Obj) -> None:
    """A pod may change its images, add tolerations, shorten its deadline; nothing else."""
    before, deadline = old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds")
    if before is not None and deadline is None:
        message = "must not update from a positive integer to nil value"
        found.append(causes.invalid("spec.activeDeadlineSeconds", None, message))
    elif before is not None and deadline > before:
        message = "must be less than or equal to previous value"
        found.append(causes.invalid("spec.activeDeadlineSeconds", deadline, message))
    for name in ("containers", "initContainers"):
        if len(new.get(name) or ()) != len(old.get(name) or ()):
            found.append(causes.forbidden(f"spec.{name}", "pod updates may not add or remove containers"))
            return
    kept = old.get("tolerations") or []
    grown = new.get("tolerations") or []
    if not all(any(_same_toleration(each, one) for one in grown) for each in kept):
        message = "existing toleration can not be modified except its tolerationSeconds"
        found.append(causes.forbidden("spec.tolerations", message))
    had = old.get("schedulingGates") or ()
    for index, gate in enumerate(new.get("schedulingGates") or ()):
        if gate not in had:
            message = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            found.append(causes.forbidden(f"spec.schedulingGates[{index}].name", message))
    if had:
        _gated(found, new, old)
    held = _held(new, old)
    if _compact(held) != _compact(old):
        found.append(causes.forbidden("spec", f"{_ONLY}\n{internal_form.diff('core.PodSpec', old, held)}"))


def _same_toleration(left: Obj, right: Obj) -> bool:
    return {**left, "tolerationSeconds": 0} == {**right, "tolerationSeconds": 0}


def _gated(found: Found, new: Obj, old: Obj) -> None:
    """A pod behind a scheduling gate may be narrowed to fewer nodes."""
    wanted, had = new.get("nodeSelector"), old.get("nodeSelector") or {}
    if any((wanted or {}).get(key) != value for key, value in had.items()):
        message = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        found.append(causes.invalid("spec.nodeSelector", wanted, message))
    path = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    terms, before = _terms(new), _terms(old)
    shown = [internal_form.form("core.NodeSelectorTerm", each) for each in terms]
    if before and len(before) != len(terms):
        message = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        found.append(causes.invalid(path, shown or None, message))
        return
    for index, (term, was) in enumerate(zip(terms, before, strict=False)):
        if (term and not was) or not all(
            _only_grown(term.get(part), was.get(part)) for part in ("matchExpressions", "matchFields")
        ):
            message = "only additions are allowed (no mutations or deletions)"
            found.append(causes.invalid(f"{path}[{index}]", shown[index], message))


def _terms(spec: Obj) -> list[Obj]:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    wanted = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return list(wanted.get("nodeSelectorTerms") or ())


def _only_grown(new: list[Obj] | None, old: list[Obj] | None) -> bool:
    """Whether what was there still stands first."""
    return list(old or ()) == list(new or ())[: len(old or ())]


def _held(new: Obj, old: Obj) -> Obj:
    """The new spec with all that may change as it was."""
    result: Obj = thaw(new)
    for name in ("containers", "initContainers"):
        for container, was in zip(result.get(name) or (), old.get(name) or (), strict=True):
            container["image"] = was.get("image")
    fields = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if old.get("terminationGracePeriodSeconds", 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        fields.append("terminationGracePeriodSeconds")
    if old.get("schedulingGates"):
        fields.append("nodeSelector")
        around, was = ((each.get("affinity") or {}) for each in (new, old))
        result["affinity"] = {**around, "nodeAffinity": was.get("nodeAffinity")} if around or was else None
        if old.get("affinity") is None and not _compact(result["affinity"]):
            result["affinity"] = None
    for name in fields:
        result[name] = old.get(name)
    return result


def _compact(value: Any) -> Any:
    """Without what is empty, which is the same as what is not there."""
    if isinstance(value, dict):
        return {key: inner for key, each in value.items() if (inner := _compact(each)) not in (None, [], "")}
    return [_compact(each) for each in value] if isinstance(value, list) else value
