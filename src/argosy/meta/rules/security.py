"""Rules of security contexts, of pods and of containers."""

from __future__ import annotations

import re

from argosy.meta import causes
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, in_range, one_of, relative_path, required

_ID_MAX = 2**31 - 1
_PATH_MAX = 4095
_SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_CONTAINER_FIELDS = (
    "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot",
    "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile", "appArmorProfile",
)  # fmt: skip


def _internal(context: Obj) -> Obj:
    """The context as Kubernetes shows its internal form."""
    shown: Obj = {}
    for name in _CONTAINER_FIELDS:
        value = context.get(name)
        if name == "capabilities" and value is not None:
            value = {"Add": value.get("add"), "Drop": value.get("drop")}
        elif name in ("seccompProfile", "appArmorProfile") and value is not None:
            value = {"Type": value.get("type") or "", "LocalhostProfile": value.get("localhostProfile")}
        shown[(name[0].upper() + name[1:]).replace("SeLinux", "SELinux")] = value
    return shown


def container_security(found: Found, path: str, context: Obj, *, host_users: bool) -> None:
    """A container's securityContext."""
    in_range(found, f"{path}.runAsUser", context.get("runAsUser"), 0, _ID_MAX)
    in_range(found, f"{path}.runAsGroup", context.get("runAsGroup"), 0, _ID_MAX)
    mount = context.get("procMount")
    one_of(found, f"{path}.procMount", mount, ("Default", "Unmasked"))
    if mount == "Unmasked" and host_users:
        found.append(causes.invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    profiles(found, path, context)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            message = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(causes.invalid(path, _internal(context), message))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            message = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(causes.invalid(path, _internal(context), message))


def profiles(found: Found, path: str, context: Obj) -> None:
    """The seccomp and AppArmor profiles of a context."""
    seccomp, armor = context.get("seccompProfile"), context.get("appArmorProfile")
    if seccomp is not None:
        _seccomp(found, f"{path}.seccompProfile", seccomp)
    if armor is not None:
        _armor(found, f"{path}.appArmorProfile", armor)


def _seccomp(found: Found, path: str, profile: Obj) -> None:
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        found.append(causes.required(f"{path}.type", "type is required when seccompProfile is set"))
    else:
        one_of(found, f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined"))
    if kind != "Localhost":
        if local is not None:
            shown = {"Type": kind, "LocalhostProfile": local}
            message = "can only be set when seccomp type is Localhost"
            found.append(causes.invalid(f"{path}.localhostProfile", shown, message))
    elif local is None:
        found.append(causes.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost"))
    else:
        relative_path(found, f"{path}.localhostProfile", local)


def _armor(found: Found, path: str, profile: Obj) -> None:
    kind, local, place = profile.get("type"), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if not kind:
        found.append(causes.required(f"{path}.type", "type is required when appArmorProfile is set"))
    elif kind == "Localhost":
        if local is not None and local != local.strip():
            found.append(causes.invalid(place, local, "must not be padded with whitespace"))
        elif not local:
            found.append(causes.required(place, "must be set when AppArmor type is Localhost"))
        if len(local or "") > _PATH_MAX:
            found.append(causes.too_long(place, _PATH_MAX))
    elif kind not in ("RuntimeDefault", "Unconfined"):
        found.append(causes.unsupported(f"{path}.type", kind, ("Localhost", "RuntimeDefault", "Unconfined")))
    elif local is not None:
        found.append(causes.invalid(place, local, "can only be set when AppArmor type is Localhost"))


def pod_security(found: Found, path: str, spec: Obj) -> None:
    """A pod's securityContext and what goes with it; `path` is that of the spec."""
    if spec.get("hostNetwork"):
        _host_ports(found, f"{path}.containers", spec.get("containers"))
    context = spec.get("securityContext") or {}
    place = f"{path}.securityContext"
    in_range(found, f"{place}.fsGroup", context.get("fsGroup"), 0, _ID_MAX)
    in_range(found, f"{place}.runAsUser", context.get("runAsUser"), 0, _ID_MAX)
    in_range(found, f"{place}.runAsGroup", context.get("runAsGroup"), 0, _ID_MAX)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        in_range(found, f"{place}.supplementalGroups[{index}]", group, 0, _ID_MAX)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        message = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(causes.invalid(f"{place}.shareProcessNamespace", True, message))
    _sysctls(found, f"{place}.sysctls", context.get("sysctls"))
    one_of(found, f"{place}.fsGroupChangePolicy", context.get("fsGroupChangePolicy"), ("Always", "OnRootMismatch"))
    profiles(found, place, context)
    one_of(found, f"{place}.supplementalGroupsPolicy", context.get("supplementalGroupsPolicy"), ("Merge", "Strict"))


def _host_ports(found: Found, path: str, containers: list[Obj] | None) -> None:
    for index, container in enumerate(containers or ()):
        for number, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
                message = "must match `containerPort` when `hostNetwork` is true"
                found.append(causes.invalid(f"{path}[{index}].ports[{number}].hostPort", port["hostPort"], message))


def _sysctls(found: Found, path: str, sysctls: list[Obj] | None) -> None:
    seen: set[str] = set()
    for index, each in enumerate(sysctls or ()):
        name, place = each.get("name") or "", f"{path}[{index}].name"
        if not required(found, place, name):
            continue
        if len(name) > 253 or re.match(_SYSCTL, name) is None:
            found.append(causes.invalid(place, name, f"must have at most 253 characters and match regex {_SYSCTL}"))
        elif name in seen:
            found.append(causes.duplicate(place, name))
        seen.add(name)
