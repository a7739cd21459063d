"""What the server says it serves: /api and /apis, in the aggregated form (v2, v2beta1) and in the old one.

Written from the registry when first asked and after every change of it, together with what other API servers said that
they serve.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

from argosy import kinds
from argosy.engine.apiserver.extensions.remotes import Remote
from argosy.engine.apiserver.served import Registry, Served, version_rank
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"

_READ_WRITE = ("get", "patch", "update")
_CONNECT = ("create", "delete", "get", "patch", "update")
_SUBRESOURCE_VERBS = {
    "status": _READ_WRITE, "scale": _READ_WRITE, "ephemeralcontainers": _READ_WRITE, "resize": _READ_WRITE,
    "approval": _READ_WRITE, "finalize": ("update",), "binding": ("create",), "eviction": ("create",),
    "token": ("create",), "log": ("get",), "attach": ("create", "get"), "exec": ("create", "get"),
    "portforward": ("create", "get"), "proxy": _CONNECT,
}  # fmt: skip
_SUBRESOURCE_KINDS: dict[str, Kind | str] = {
    "scale": kinds.SCALE, "binding": "Binding", "eviction": kinds.EVICTION, "token": kinds.TOKEN_REQUEST,
    "attach": "PodAttachOptions", "exec": "PodExecOptions", "portforward": "PodPortForwardOptions",
}  # fmt: skip


def storage_hash(kind: Kind) -> str:
    """Tells clients whether the stored version changed."""
    digest = hashlib.sha256(f"{kind.group}/{kind.version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _sub_kind(kind: Kind, subresource: str) -> Kind | str:
    if subresource == "proxy":
        return f"{kind.kind}ProxyOptions"
    return _SUBRESOURCE_KINDS.get(subresource, kind.kind)


def _resource(served: Served) -> list[Obj]:
    """The entries of one kind and its subresources in an APIResourceList."""
    kind = served.kind
    entry: Obj = {
        "name": kind.plural,
        "singularName": served.singular or kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if "list" in kind.verbs and kind not in _NEVER_STORED:
        entry["storageVersionHash"] = storage_hash(served.storage)
    entries = [entry]
    for name in sorted(kind.subresources):
        shown = _sub_kind(kind, name)
        sub: Obj = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        if isinstance(shown, Kind):
            sub |= {"group": shown.group, "version": shown.version}
        sub |= {"kind": shown.kind if isinstance(shown, Kind) else shown, "verbs": list(_SUBRESOURCE_VERBS[name])}
        entries.append(sub)
    return entries


_NEVER_STORED = (kinds.COMPONENT_STATUS, kinds.NODE_METRICS, kinds.POD_METRICS)


def _discovered(served: Served) -> Obj:
    """The entry of one kind in the aggregated form."""
    kind = served.kind
    entry: Obj = {
        "resource": kind.plural,
        "responseKind": _response_kind(served, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": served.singular or kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(served, _sub_kind(kind, name)),
                "verbs": list(_SUBRESOURCE_VERBS[name]),
            }
            for name in sorted(kind.subresources)
        ]
    return entry


def _discovered_elsewhere(remote: Remote, entries: Sequence[Obj]) -> list[Obj]:
    """The entries of somebody else's APIResourceList in the aggregated form."""
    made: dict[str, Obj] = {}
    for entry in entries:
        plural, slash, inner = entry["name"].partition("/")
        shown = {
            "group": entry.get("group") or remote.group,
            "version": entry.get("version") or remote.version,
            "kind": entry.get("kind") or "",
        }
        verbs = list(entry.get("verbs") or ())
        if slash:
            of = made.setdefault(plural, {"resource": plural})
            of.setdefault("subresources", []).append({"subresource": inner, "responseKind": shown, "verbs": verbs})
            continue
        one = made.setdefault(plural, {"resource": plural})
        one |= {
            "responseKind": shown,
            "scope": "Namespaced" if entry.get("namespaced") else "Cluster",
            "singularResource": entry.get("singularName") or "",
            "verbs": verbs,
        }
        one |= {field: entry[field] for field in ("shortNames", "categories") if entry.get(field)}
    return list(made.values())


def _response_kind(served: Served, shown: Kind | str) -> Obj:
    if isinstance(shown, Kind):
        return {"group": shown.group, "version": shown.version, "kind": shown.kind}
    if served.custom:
        return {"group": served.kind.group, "version": served.kind.version, "kind": shown}
    return {"group": "", "version": "", "kind": shown}


class Discovery:
    """Answers the discovery paths; `server_address` is what /api names as the server's."""

    def __init__(
        self,
        registry: Registry,
        server_address: str,
        extensions: Callable[[], Sequence[tuple[Remote, list[Obj]]]] = lambda: (),
    ) -> None:
        self._registry = registry
        self._extensions = extensions
        self._server_address = server_address
        self._version = -1
        self._written: dict[tuple[str, str], bytes] = {}

    def answer(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """Body and content type for a path, None for one that is not discovery's."""
        parts = path.strip("/").split("/")
        if parts[0] not in ("api", "apis") or len(parts) > 3:
            return None
        form = _form(accept) if len(parts) == 1 else ""
        body = self._cached("/".join(parts), form, lambda: self._write(parts, form))
        if not body:
            return None
        return body, AGGREGATED.format(version=form) if form else "application/json"

    def _cached(self, path: str, form: str, write: Callable[[], Obj | None]) -> bytes:
        if self._version != self._registry.version:
            self._written.clear()
            self._version = self._registry.version
        key = (path, form)
        if key not in self._written:
            made = write()
            self._written[key] = encode(made) if made is not None else b""
        return self._written[key]

    def _write(self, parts: list[str], form: str) -> Obj | None:
        if form:
            return self._aggregated([""] if parts[0] == "api" else self._groups(), form)
        if parts == ["api"]:
            where = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._server_address}
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [where]}
        if parts == ["apis"]:
            groups = [self._group(group) for group in self._groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if parts[0] == "apis" and len(parts) == 2:
            if not self._versions(parts[1]):
                return None
            return {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])}
        group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
        served = self._registry.of(group, version) if parts[0] == "apis" or len(parts) == 2 else []
        if not served:
            return None
        resources = [entry for one in served for entry in _resource(one)]
        head: Obj = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"
        return head | {"groupVersion": f"{group}/{version}" if group else version, "resources": resources}

    def _groups(self) -> list[str]:
        own = self._registry.groups()
        return own + sorted({remote.group for remote, _ in self._extensions()} - set(own))

    def _versions(self, group: str) -> list[str]:
        others = {remote.version for remote, _ in self._extensions() if remote.group == group}
        return sorted(others | set(self._registry.versions(group)), key=version_rank, reverse=True)

    def _resources(self, group: str, version: str) -> list[Obj]:
        for remote, found in self._extensions():
            if (remote.group, remote.version) == (group, version):
                return _discovered_elsewhere(remote, found)
        return [_discovered(served) for served in self._registry.of(group, version)]

    def _group(self, group: str) -> Obj:
        versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in self._versions(group)]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _aggregated(self, groups: list[str], form: str) -> Obj:
        items: list[Obj] = []
        for group in groups:
            versions = [
                {
                    "version": version,
                    "resources": self._resources(group, version),
                    "freshness": "Current",
                }
                for version in (self._versions(group) if group else ["v1"])
            ]
            items.append({"metadata": {"name": group} if group else {}, "versions": versions})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{form}",
            "metadata": {},
            "items": items,
        }


def _form(accept: str) -> str:
    """The newest aggregated form that the client takes, empty for the old form."""
    for part in accept.split(","):
        if "as=APIGroupDiscoveryList" in part:
            for version in ("v2", "v2beta1"):
                if f"v={version};" in f"{part.strip()};":
                    return version
        elif part.strip().startswith(("application/json", "*/*")):
            return ""
    return ""
