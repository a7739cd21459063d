"""What a cluster serves, as `Kind` values.

The command line resolves `pods`, `po` or `PyTorchJob` through it, `apply` finds the path for a manifest's kind, and the
garbage collector learns which kinds exist. One request on servers with aggregated discovery (1.27 and later).
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.client.client import Client
from argosy.client.requests import Request
from argosy.errors import ApiError, UserError
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


async def discover(client: Client) -> list[Kind]:
    """Every served kind, each group's preferred version first."""
    found: list[Kind] = []
    for root in ("/api", "/apis"):
        response = await client.raw(Request("GET", root, headers={"accept": _AGGREGATED}))
        body = response.decoded()
        if body.get("kind") == "APIGroupDiscoveryList":
            found += _from_aggregated(body)
        else:
            found += await _from_groups(client, root, body)
    return found


def resolve(kinds: Iterable[Kind], word: str) -> Kind:
    """The kind that a person means by `pods`, `pod`, `po`, `Pod`, `deploy` or `deployments.apps`. Raises UserError."""
    wanted = word.lower()
    served = list(kinds)
    for kind in served:
        if wanted in (kind.plural, kind.singular, kind.resource, f"{kind.singular}.{kind.group}", *kind.short_names):
            return kind
    near = sorted({kind.singular for kind in served if kind.singular[:3] == wanted[:3]})
    hint = f"did you mean {', '.join(near)}?" if near else "list them with: kubectl api-resources"
    raise UserError(f"the cluster serves no kind {word!r}", hint)


def find(kinds: Iterable[Kind], api_version: str, kind: str) -> Kind | None:
    """The kind of a manifest, None when the cluster does not serve it."""
    return next((k for k in kinds if k.api_version == api_version and k.kind == kind), None)


def _from_aggregated(body: Obj) -> list[Kind]:
    return [
        Kind(
            group=str(group["metadata"].get("name") or ""),
            version=str(version["version"]),
            kind=str(resource["responseKind"]["kind"]),
            plural=str(resource["resource"]),
            namespaced=resource.get("scope") == "Namespaced",
            short_names=tuple(resource.get("shortNames") or ()),
            categories=tuple(resource.get("categories") or ()),
            subresources=frozenset(str(sub["subresource"]) for sub in resource.get("subresources") or ()),
            verbs=tuple(resource.get("verbs") or ()),
        )
        for group in body.get("items") or ()
        for version in group.get("versions") or ()
        for resource in version.get("resources") or ()
        if resource.get("responseKind", {}).get("kind")
    ]


async def _from_groups(client: Client, root: str, body: Obj) -> list[Kind]:
    if root == "/api":
        versions = [("", str(version)) for version in body.get("versions") or ()]
    else:
        versions = [
            (str(group["name"]), str(version["version"]))
            for group in body.get("groups") or ()
            for version in group.get("versions") or ()
        ]
    found: list[Kind] = []
    for group, version in versions:
        path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
        try:
            listed = (await client.raw(Request("GET", path))).decoded()
        except ApiError:
            continue  # an aggregated API whose server is away must not hide all others
        found += _from_list(group, version, listed.get("resources") or ())
    return found


def _from_list(group: str, version: str, resources: Iterable[Obj]) -> list[Kind]:
    entries = list(resources)
    subresources: dict[str, set[str]] = {}
    for entry in entries:
        plural, slash, sub = str(entry["name"]).partition("/")
        if slash:
            subresources.setdefault(plural, set()).add(sub)
    return [
        Kind(
            group=group,
            version=version,
            kind=str(entry["kind"]),
            plural=str(entry["name"]),
            namespaced=bool(entry.get("namespaced")),
            short_names=tuple(entry.get("shortNames") or ()),
            categories=tuple(entry.get("categories") or ()),
            subresources=frozenset(subresources.get(str(entry["name"]), ())),
            verbs=tuple(entry.get("verbs") or ()),
        )
        for entry in entries
        if "/" not in str(entry["name"])
    ]
