"""Questions about users and their rights: SelfSubjectReview, TokenReview, and the access reviews. Nothing is stored."""

from __future__ import annotations

from argosy import kinds
from argosy.client.requests import User
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.authz import Attributes
from argosy.engine.apiserver.bodies import read_object
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import invalid
from argosy.engine.apiserver.tokens import AUDIENCES
from argosy.engine.apiserver.writing import check_body, understood
from argosy.errors import Cause, Unauthorized
from argosy.meta.causes import invalid as wrong
from argosy.meta.json import Obj

REVIEWS = frozenset(kinds.reviews.ALL)


def review(call: Call) -> Answer:
    """Answer the question in the body."""
    problems: list[str] = []
    obj = read_object(call.request, problems, call.kind.kind)
    check_body(call, obj)
    obj = understood(call, obj, problems)
    kind = call.kind
    meta: Obj = {}
    if obj["metadata"].get("namespace") and kind is kinds.LOCAL_SUBJECT_ACCESS_REVIEW:
        meta["namespace"] = obj["metadata"]["namespace"]
    answer: Obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
    if kind is kinds.SELF_SUBJECT_REVIEW:
        answer["metadata"]["creationTimestamp"] = None
        return Answer(201, obj=answer | {"status": {"userInfo": user_info(call.user)}})
    spec = obj.get("spec") or {}
    answer["spec"] = spec
    if kind is kinds.TOKEN_REVIEW:
        return Answer(201, obj=answer | {"status": _token(call, spec)})
    if kind is kinds.SELF_SUBJECT_RULES_REVIEW:
        return Answer(201, obj=answer | {"status": _rules(call, spec)})
    return Answer(201, obj=answer | {"status": _access(call, spec)})


def user_info(user: User) -> Obj:
    """A user as reviews show it."""
    info: Obj = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = sorted(user.groups)
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info


def _access(call: Call, spec: Obj) -> Obj:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    own = call.kind is kinds.SELF_SUBJECT_ACCESS_REVIEW
    causes: list[Cause] = []
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.append(wrong("spec.resourceAttributes", None, why))
    if resource is not None and path is not None:
        shown = {"Path": path.get("path", ""), "Verb": path.get("verb", "")}
        why = "cannot be specified in combination with resourceAttributes"
        causes.append(wrong("spec.nonResourceAttributes", shown, why))
    if not own and not spec.get("user") and not spec.get("groups"):
        causes.append(wrong("spec.user", "", "at least one of user or group must be specified"))
    if causes:
        fault = invalid(call.kind, "", causes)
        # Kubernetes does not say the kind here.
        fault.message = fault.message.removeprefix(call.kind.kind)
        fault.details = {"group": call.kind.group}
        raise fault
    user = call.user if own else User(spec.get("user") or "", frozenset(spec.get("groups") or ()))
    decision = call.api.authorizer.decide(user, _wanted(resource, path))
    return {"allowed": decision.allowed, **({"reason": decision.reason} if decision.reason else {})}


def _wanted(resource: Obj | None, path: Obj | None) -> Attributes:
    if resource is None:
        asked = path or {}
        return Attributes(asked.get("verb") or "", path=asked.get("path") or "")
    plural = resource.get("resource") or ""
    full = f"{plural}/{resource['subresource']}" if resource.get("subresource") else plural
    return Attributes(
        resource.get("verb") or "",
        resource.get("group") or "",
        full,
        resource.get("name") or "",
        resource.get("namespace") or "",
    )


def _rules(call: Call, spec: Obj) -> Obj:
    resources: list[Obj] = []
    paths: list[Obj] = []
    if "system:masters" in call.user.groups:
        resources.append({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        paths.append({"verbs": ["*"], "nonResourceURLs": ["*"]})
    for granted in call.api.authorizer.rules(call.user, spec.get("namespace") or ""):
        rule = granted.rule
        if rule.get("nonResourceURLs"):
            paths.append({"verbs": rule.get("verbs") or [], "nonResourceURLs": rule["nonResourceURLs"]})
        else:
            fields = ("verbs", "apiGroups", "resources", "resourceNames")
            resources.append({field: rule[field] for field in fields if rule.get(field)})
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}


def _token(call: Call, spec: Obj) -> Obj:
    audiences = spec.get("audiences") or list(AUDIENCES[:1])
    try:
        user = call.api.tokens.user(spec.get("token") or "", call.now.timestamp(), audiences)
    except Unauthorized:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": user_info(user), "audiences": audiences}
