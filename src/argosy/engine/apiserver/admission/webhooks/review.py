"""AdmissionReview: what a webhook is sent, and what its answer means. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from argosy.engine.apiserver.admission.matching import States
from argosy.engine.apiserver.admission.webhooks.hooks import Asked
from argosy.engine.apiserver.served import Served
from argosy.errors import ApiError, Cause
from argosy.meta import patches
from argosy.meta.json import Obj, decode

_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A webhook's answer."""

    allowed: bool
    patch: list[Obj]
    """JSON patch operations."""
    warnings: list[str]
    status: Obj
    """What it says of a request that it does not allow."""


class Rejected(ApiError):
    """What a webhook said no to, with the code and reason that it gave."""

    def __init__(self, name: str, status: Obj) -> None:
        said = f'admission webhook "{name}" denied the request'
        told = status.get("message") or status.get("reason")
        details = {k: v for k, v in (status.get("details") or {}).items() if k != "causes"}
        causes = [
            Cause(str(c.get("reason") or ""), str(c.get("message") or ""), str(c.get("field") or ""))
            for c in (status.get("details") or {}).get("causes") or ()
        ]
        super().__init__(f"{said}: {told}" if told else f"{said} without explanation", details=details, causes=causes)
        code = status.get("code")
        self.code = code if isinstance(code, int) and 400 <= code <= 599 else 400  # type: ignore[misc]
        self.reason = str(status.get("reason") or "")  # type: ignore[misc]


def body(asked: Asked, served: Served, states: States, uid: str, version: str) -> Obj:
    """The review that a webhook is sent; `states` are of the version `served`, `version` is the review's own."""
    call, own = asked.call, asked.call.kind
    obj, old = states
    user = call.user
    who: Obj = {"username": user.name}
    if user.uid:
        who["uid"] = user.uid
    who["groups"] = sorted(user.groups)
    if user.extra:
        who["extra"] = {name: list(values) for name, values in user.extra.items()}
    inner = {"subResource": call.target.subresource} if call.target.subresource else {}
    shown_inner = {"requestSubResource": call.target.subresource} if call.target.subresource else {}
    name = call.target.name or ((obj or {}).get("metadata") or {}).get("name")
    shown, requested = ({"group": kind.group, "version": kind.version} for kind in (served.kind, own))
    request: Obj = {
        "uid": uid,
        "kind": _shown_kind(asked, served.kind.kind, shown),
        "resource": {**shown, "resource": own.plural},
        **inner,
        "requestKind": _shown_kind(asked, own.kind, requested),
        "requestResource": {**requested, "resource": own.plural},
        **shown_inner,
        **({"name": name} if name else {}),
        **({"namespace": call.target.namespace} if call.target.namespace else {}),
        "operation": asked.operation,
        "userInfo": who,
        "object": obj,
        "oldObject": old,
        "dryRun": asked.dry_run,
        "options": _options(asked),
    }
    return {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": request}


def _shown_kind(asked: Asked, kind: str, named: Obj) -> Obj:
    if asked.operation == "CONNECT":
        return {"group": "", "version": "v1", "kind": asked.options}
    if asked.about is not None:
        return {"group": asked.about.group, "version": asked.about.version, "kind": asked.about.kind}
    return {**named, "kind": kind}


def _options(asked: Asked) -> Obj | None:
    if asked.operation == "CONNECT":
        return None
    query = asked.call.query
    found: Obj = {"kind": asked.options, "apiVersion": "meta.k8s.io/v1"}
    for name in ("fieldManager", "fieldValidation"):
        if query.get(name):
            found[name] = query[name]
    return {**found, "dryRun": ["All"]} if asked.dry_run else found


def answer_of(raw: bytes, uid: str, version: str, *, mutating: bool) -> Verdict:
    """What an answer means. Raises ValueError for one that means nothing, with the reason."""
    review: Any = decode(raw)
    if not isinstance(review, dict) or not isinstance(review.get("response"), dict):
        raise ValueError("webhook response was absent")
    response = review["response"]
    wanted = f"admission.k8s.io/{version}"
    if version == "v1":
        if review.get("apiVersion") != wanted or review.get("kind") != "AdmissionReview":
            raise ValueError(
                f"expected webhook response of {wanted}, Kind=AdmissionReview, got {review.get('apiVersion')},"
                f" Kind={review.get('kind')}"
            )
        if response.get("uid") != uid:
            raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    status = response.get("status") or response.get("result") or {}
    patch = _patch(response, version, mutating)
    warnings = [str(text) for text in response.get("warnings") or ()]
    return Verdict(response.get("allowed") is True, patch, warnings, status if isinstance(status, dict) else {})


def _patch(response: Obj, version: str, mutating: bool) -> list[Obj]:
    encoded, type = response.get("patch"), response.get("patchType")
    if not encoded:
        if type and version == "v1":
            raise ValueError("webhook response.patchType set without response.patch")
        return []
    if not mutating:
        if version == "v1":
            raise ValueError("validating webhook response must not set a patch")
        return []
    if type not in ("JSONPatch", *(() if version == "v1" else (None, ""))):
        raise ValueError(f'invalid response.patchType of "{type or ""}"; it must be JSONPatch')
    try:
        return patches.check_json(decode(base64.b64decode(encoded, validate=True)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError(f"received undecodable patch in webhook response: {error}") from None


def version_of(review_versions: list[str]) -> str:
    """The newest version of AdmissionReview that a webhook takes; empty when it takes none that we send."""
    return next((version for version in _VERSIONS if version in review_versions), "")
