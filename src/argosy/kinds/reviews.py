"""Questions that are posted and answered, never stored: who am I, may I."""

from __future__ import annotations

from argosy.meta.kind import Kind

_AUTHORIZATION = "authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"


def _review(group: str, kind: str, *, namespaced: bool = False) -> Kind:
    return Kind(group, "v1", kind, f"{kind.lower()}s", namespaced=namespaced, verbs=("create",))


LOCAL_SUBJECT_ACCESS_REVIEW = _review(_AUTHORIZATION, "LocalSubjectAccessReview", namespaced=True)
SELF_SUBJECT_ACCESS_REVIEW = _review(_AUTHORIZATION, "SelfSubjectAccessReview")
SELF_SUBJECT_RULES_REVIEW = _review(_AUTHORIZATION, "SelfSubjectRulesReview")
SUBJECT_ACCESS_REVIEW = _review(_AUTHORIZATION, "SubjectAccessReview")
SELF_SUBJECT_REVIEW = _review(_AUTHENTICATION, "SelfSubjectReview")
TOKEN_REVIEW = _review(_AUTHENTICATION, "TokenReview")

TOKEN_REQUEST = Kind(_AUTHENTICATION, "v1", "TokenRequest", "tokenrequests", verbs=())
"""The body of a service account's token subresource."""

ALL = (
    LOCAL_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_RULES_REVIEW, SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW, TOKEN_REVIEW,
)  # fmt: skip
