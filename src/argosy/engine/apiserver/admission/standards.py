"""The Pod Security Standards: what a pod may not ask for at the levels baseline and restricted. Pure.

`violations` lists what a pod template breaks, in Kubernetes' words; `podsecurity` asks for namespaces that want it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from argosy.meta.json import Obj, dig

Check = Callable[[Obj, Obj], tuple[str, str] | None]
"""(pod metadata, pod spec) -> (what, where), or None when all is well."""

_DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
_RESTRICTED_CAPABILITIES = frozenset({"NET_BIND_SERVICE"})
_SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
})  # fmt: skip
_VOLUME_TYPES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "image",
})  # fmt: skip
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _containers(spec: Obj) -> list[Obj]:
    return [
        container
        for field in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(field) or ()
    ]


def _security(holder: Obj) -> Obj:
    return holder.get("securityContext") or {}


def _named(noun: str, names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"{noun}{'s' if len(names) > 1 else ''} {quoted}"


def _offending(spec: Obj, bad: Callable[[Obj], bool]) -> list[str]:
    return [container["name"] for container in _containers(spec) if bad(container)]


def _quoted(values: Sequence[Any]) -> str:
    return ", ".join(f'"{value}"' for value in values)


def _app_armor(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    found: list[str] = []
    kinds: list[str] = []

    def forbidden(holder: Obj) -> str:
        type = dig(_security(holder), "appArmorProfile", "type", default="")
        return type if type not in ("", "RuntimeDefault", "Localhost") else ""

    if forbidden(spec):
        kinds.append(forbidden(spec))
        found.append(f'pod must not set AppArmor profile type to "{forbidden(spec)}"')
    names = _offending(spec, lambda c: bool(forbidden(c)))
    if names:
        values = sorted({forbidden(c) for c in _containers(spec)} - {""})
        kinds += values
        found.append(f"{_named('container', names)} must not set AppArmor profile type to {_quoted(values)}")
    for key, value in sorted((meta.get("annotations") or {}).items()):
        allowed = value in ("", "runtime/default") or value.startswith("localhost/")
        if key.startswith(_APPARMOR) and not allowed:
            kinds.append(value)
            found.append(f'annotation must not set AppArmor profile type to "{key}={value}"')
    if not found:
        return None
    return f"forbidden AppArmor profile{'s' if len(kinds) > 1 else ''}", " and ".join(found)


def _added(container: Obj, allowed: frozenset[str]) -> list[str]:
    return [c for c in dig(_security(container), "capabilities", "add", default=()) if c not in allowed]


def _capabilities(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names = _offending(spec, lambda c: bool(_added(c, _DEFAULT_CAPABILITIES)))
    if not names:
        return None
    added = sorted({x for c in _containers(spec) for x in _added(c, _DEFAULT_CAPABILITIES)})
    where = f"{_named('container', names)} must not include {_quoted(added)} in securityContext.capabilities.add"
    return "non-default capabilities", where


def _restricted_capabilities(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    def keeps(container: Obj) -> bool:
        return "ALL" not in dig(_security(container), "capabilities", "drop", default=())

    found: list[str] = []
    names = _offending(spec, keeps)
    if names:
        found.append(f'{_named("container", names)} must set securityContext.capabilities.drop=["ALL"]')
    names = _offending(spec, lambda c: bool(_added(c, _RESTRICTED_CAPABILITIES)))
    if names:
        added = sorted({x for c in _containers(spec) for x in _added(c, _RESTRICTED_CAPABILITIES)})
        where = f"{_named('container', names)} must not include {_quoted(added)} in securityContext.capabilities.add"
        found.append(where)
    return ("unrestricted capabilities", "; ".join(found)) if found else None


def _host_namespaces(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    used = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return ("host namespaces", ", ".join(used)) if used else None


def _host_paths(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath")]
    return ("hostPath volumes", _named("volume", names)) if names else None


def _host_ports(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    def used(container: Obj) -> list[int]:
        return [port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")]

    names = _offending(spec, lambda c: bool(used(c)))
    if not names:
        return None
    ports = sorted({port for c in _containers(spec) for port in used(c)})
    verb = "use" if len(names) > 1 else "uses"
    plural = "s" if len(ports) > 1 else ""
    return "hostPort", f"{_named('container', names)} {verb} hostPort{plural} {', '.join(map(str, ports))}"


def _privileged(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names = _offending(spec, lambda c: bool(_security(c).get("privileged")))
    return (
        ("privileged", f"{_named('container', names)} must not set securityContext.privileged=true") if names else None
    )


def _proc_mount(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    def odd(container: Obj) -> str:
        value = _security(container).get("procMount") or "Default"
        return "" if value == "Default" else str(value)

    names = _offending(spec, lambda c: bool(odd(c)))
    if not names:
        return None
    values = sorted({odd(c) for c in _containers(spec)} - {""})
    return "procMount", f"{_named('container', names)} must not set securityContext.procMount to {_quoted(values)}"


def _selinux(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    holders: list[str] = []
    types: set[str] = set()
    user = role = False

    def bad(holder: Obj) -> bool:
        nonlocal user, role
        options = _security(holder).get("seLinuxOptions") or {}
        wrong_type = options.get("type", "") not in _SELINUX_TYPES
        if wrong_type:
            types.add(options["type"])
        user, role = user or bool(options.get("user")), role or bool(options.get("role"))
        return wrong_type or bool(options.get("user")) or bool(options.get("role"))

    if bad(spec):
        holders.append("pod")
    names = _offending(spec, bad)
    if names:
        holders.append(_named("container", names))
    if not holders:
        return None
    faults: list[str] = []
    if types:
        faults.append(f"type{'s' if len(types) > 1 else ''} {_quoted(sorted(types))}")
    faults += ["user may not be set"] if user else []
    faults += ["role may not be set"] if role else []
    return (
        "seLinuxOptions",
        f"{' and '.join(holders)} set forbidden securityContext.seLinuxOptions: {'; '.join(faults)}",
    )


def _profile(holder: Obj) -> str:
    return str(dig(_security(holder), "seccompProfile", "type", default=""))


def _unconfined(spec: Obj) -> list[str]:
    """Where a seccomp profile is switched off."""

    def odd(holder: Obj) -> bool:
        return _profile(holder) not in ("", "RuntimeDefault", "Localhost")

    found: list[str] = []
    if odd(spec):
        found.append(f'pod must not set securityContext.seccompProfile.type to "{_profile(spec)}"')
    names = _offending(spec, odd)
    if names:
        values = sorted({_profile(c) for c in _containers(spec) if odd(c)})
        where = f"{_named('container', names)} must not set securityContext.seccompProfile.type to {_quoted(values)}"
        found.append(where)
    return found


def _seccomp(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    found = _unconfined(spec)
    return ("seccompProfile", " and ".join(found)) if found else None


def _restricted_seccomp(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    found = _unconfined(spec)
    if not _profile(spec):
        names = _offending(spec, lambda c: not _profile(c))
        if names:
            needed = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
            found.append(f"pod or {_named('container', names)} {needed}")
    return ("seccompProfile", " and ".join(found)) if found else None


def _sysctls(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names = [s["name"] for s in _security(spec).get("sysctls") or () if s["name"] not in _SAFE_SYSCTLS]
    return ("forbidden sysctls", ", ".join(names)) if names else None


def _windows(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    def host(holder: Obj) -> bool:
        return bool(dig(_security(holder), "windowsOptions", "hostProcess"))

    holders = ["pod"] if host(spec) else []
    names = _offending(spec, host)
    holders += [_named("container", names)] if names else []
    if not holders:
        return None
    return "hostProcess", f"{' and '.join(holders)} must not set securityContext.windowsOptions.hostProcess=true"


def _escalation(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names = _offending(spec, lambda c: _security(c).get("allowPrivilegeEscalation") is not False)
    if not names:
        return None
    where = f"{_named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return "allowPrivilegeEscalation != false", where


def _volume_types(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    names: list[str] = []
    types: list[str] = []
    for volume in spec.get("volumes") or ():
        odd = [field for field in volume if field != "name" and field not in _VOLUME_TYPES]
        if odd:
            names.append(volume["name"])
            types += [type for type in odd if type not in types]
    if not names:
        return None
    verb = "use" if len(names) > 1 else "uses"
    plural = "s" if len(types) > 1 else ""
    where = f"{_named('volume', names)} {verb} restricted volume type{plural} {_quoted(sorted(types))}"
    return "restricted volume types", where


def _non_root(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    reason = "runAsNonRoot != true"
    whole = _security(spec).get("runAsNonRoot")
    refused = _offending(spec, lambda c: _security(c).get("runAsNonRoot") is False)
    if whole is False or refused:
        found = ["pod must not set securityContext.runAsNonRoot=false"] if whole is False else []
        if refused:
            found.append(f"{_named('container', refused)} must not set securityContext.runAsNonRoot=false")
        return reason, " and ".join(found)
    if whole:
        return None
    unset = _offending(spec, lambda c: _security(c).get("runAsNonRoot") is None)
    if not unset:
        return None
    return reason, f"pod or {_named('container', unset)} must set securityContext.runAsNonRoot=true"


def _user(meta: Obj, spec: Obj) -> tuple[str, str] | None:
    found = ["pod must not set runAsUser=0"] if _security(spec).get("runAsUser") == 0 else []
    names = _offending(spec, lambda c: _security(c).get("runAsUser") == 0)
    if names:
        found.append(f"{_named('container', names)} must not set runAsUser=0")
    return ("runAsUser=0", " and ".join(found)) if found else None


_BASELINE: tuple[Check, ...] = (
    _app_armor, _host_namespaces, _host_ports, _privileged, _proc_mount, _selinux, _sysctls, _windows,
)  # fmt: skip
_RESTRICTED: tuple[Check, ...] = (
    _escalation, _restricted_capabilities, _volume_types, _non_root, _user, _restricted_seccomp,
)  # fmt: skip
_ORDER = (
    _app_armor, _capabilities, _host_namespaces, _host_paths, _host_ports, _privileged, _proc_mount, _selinux,
    _seccomp, _sysctls, _windows,
)  # fmt: skip


def violations(level: str, meta: Obj, spec: Obj) -> str:
    """What a pod breaks of a level, as one text; empty when nothing."""
    if level == "baseline":
        checks: Sequence[Check] = _ORDER
    elif level == "restricted":
        checks = (*_BASELINE, *_RESTRICTED)
    else:
        return ""
    found = [result for check in checks if (result := check(meta, spec)) is not None]
    return ", ".join(f"{what} ({where})" for what, where in found)
