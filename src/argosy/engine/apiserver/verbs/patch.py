"""PATCH in its four languages: JSON patch, merge patch, strategic merge patch, server-side apply."""

from __future__ import annotations

from argosy.client.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from argosy.engine.apiserver import patching, writing
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.bodies import content_type
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import InvalidPatch, invalid_options, no_such_method
from argosy.engine.apiserver.verbs.apply import APPLY_TYPES, apply
from argosy.engine.apiserver.verbs.update import check_name
from argosy.errors import UnsupportedMediaType
from argosy.meta.causes import forbidden as not_allowed
from argosy.meta.json import Obj

_BUILT_IN = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
_CUSTOM = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)


async def patch(call: Call, subresource: str = "") -> Answer:
    """Change the request's object as the body says. Raises NotFound, Conflict, Invalid, …"""
    if not call.target.name:
        raise no_such_method()
    language = content_type(call.request)
    accepted = _CUSTOM if call.served.custom else _BUILT_IN
    if language in APPLY_TYPES:
        return await apply(call, subresource)
    if language not in accepted:
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
        )
    if call.query.get("force"):
        cause = not_allowed("force", "may not be specified for non-apply patch")
        raise invalid_options("PatchOptions", [cause])
    problems: list[str] = []
    change = patching.reader(call, language, problems)

    own = (call.kind.kind, call.kind.api_version)

    def patched(obj: Obj) -> Obj:
        made = change(writing.as_written(obj))
        forgets = made["metadata"].get("managedFields") == []
        if (made.get("kind") or call.kind.kind, made.get("apiVersion") or call.kind.api_version) != own:
            raise InvalidPatch(writing.as_sent(made), _unregistered(made))
        made = writing.understood(call, made, problems, patched=True)
        if forgets:
            made["metadata"]["managedFields"] = []
        writing.check_body(call, made)
        check_name(call, made)
        return made

    return await writing.modify(call, patched, subresource)


def _unregistered(obj: Obj) -> str:
    return (
        f'no kind "{obj.get("kind", "")}" is registered for version "{obj.get("apiVersion", "")}" in scheme'
        ' "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
    )
