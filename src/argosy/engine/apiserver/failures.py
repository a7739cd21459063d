"""The errors of the API server in Kubernetes' own words: clients and people recognise them by these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from argosy.errors import (
    AlreadyExists,
    ApiError,
    Cause,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    Timeout,
)
from argosy.meta.causes import invalid as wrong
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"

FieldErrors = Sequence[Cause]


class Unreasoned(ApiError):
    """A failure whose `Status` names no reason: what Kubernetes makes of an error that it did not foresee (500)."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = ""

    def status(self) -> Obj:
        """The body, without a reason."""
        body = super().status()
        del body["reason"]
        return body


class NoSuchPath(NotFound):
    """404 for what is no resource at all; its `Status` has details that say nothing."""

    def status(self) -> Obj:
        """The body, with empty details."""
        return _with_details(super().status())


class NoSuchMethod(MethodNotAllowed):
    """405; its `Status` has details that say nothing."""

    def status(self) -> Obj:
        """The body, with empty details."""
        return _with_details(super().status())


class NoRepresentation(NotAcceptable):
    """406 before anybody looked for the object; its `Status` has details that say nothing."""

    def __init__(self, offered: str) -> None:
        super().__init__(f"406: Not Acceptable\n\nAvailable representations: {offered}")

    def status(self) -> Obj:
        """The body, with empty details."""
        return _with_details(super().status())


class DeniedPath(Forbidden):
    """403 for a path that is no resource; its `Status` has details that say nothing."""

    def status(self) -> Obj:
        """The body, with empty details."""
        return _with_details(super().status())


class RefusedPatch(Invalid):
    """422 for a patch that does not apply; Kubernetes does not say why."""

    def __init__(self) -> None:
        super().__init__("the server rejected our request due to an error in our request")

    def status(self) -> Obj:
        """The body, with empty details."""
        return _with_details(super().status())


class InvalidPatch(Invalid):
    """422 for a patch whose outcome is no object of the kind."""

    def __init__(self, outcome: str, why: str) -> None:
        cause = wrong("patch", outcome, why)
        super().__init__(f' "" is invalid: {cause.field}: {cause.message}', causes=[cause])


def _with_details(body: Obj) -> Obj:
    code = body.pop("code")
    return {**body, "details": {}, "code": code}


def no_such_path() -> NotFound:
    """The server's answer to a path that it does not serve."""
    return NoSuchPath("the server could not find the requested resource")


def no_such_method() -> MethodNotAllowed:
    """The server's answer to a method that the path does not know."""
    return NoSuchMethod("the server does not allow this method on the requested resource")


def details_of(kind: Kind, name: str = "") -> Obj:
    """`Status.details` about a resource."""
    details: Obj = {}
    if name:
        details["name"] = name
    if kind.group:
        details["group"] = kind.group
    return details | {"kind": kind.plural}


def not_found(kind: Kind, name: str) -> NotFound:
    """404."""
    return NotFound(f'{kind.resource} "{name}" not found', details=details_of(kind, name))


def already_exists(kind: Kind, name: str) -> AlreadyExists:
    """409 for a create."""
    return AlreadyExists(f'{kind.resource} "{name}" already exists', details=details_of(kind, name))


def conflict(kind: Kind, name: str, why: str = MODIFIED) -> Conflict:
    """409 for an update."""
    return Conflict(f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}', details=details_of(kind, name))


def forbidden(kind: Kind, name: str, why: str, causes: FieldErrors = ()) -> Forbidden:
    """403 from admission."""
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    return Forbidden(f"{subject} is forbidden: {why}", details=details_of(kind, name), causes=causes)


def qualified(kind: Kind) -> str:
    """`Deployment.apps`, `Pod`."""
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind


def invalid(kind: Kind, name: str, causes: FieldErrors) -> Invalid:
    """422: every field that is wrong."""
    details: Obj = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    return Invalid(
        f'{qualified(kind)} "{name}" is invalid: {joined(causes)}', details=details | {"kind": kind.kind}, causes=causes
    )


def joined(causes: FieldErrors) -> str:
    """Several field errors as one text; each is told once."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def invalid_options(kind: str, causes: FieldErrors) -> Invalid:
    """422 for the parameters of a request."""
    return Invalid(
        f'{kind}.meta.k8s.io "" is invalid: {joined(causes)}',
        details={"group": "meta.k8s.io", "kind": kind},
        causes=causes,
    )


def too_large_version(asked: int, current: int) -> Timeout:
    """504: the client has seen a revision that does not exist yet."""
    return Timeout(
        f"Timeout: Too large resource version: {asked}, current: {current}",
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version")],
        retry_after_seconds=1,
    )


def parse_uint(text: str) -> int:
    """A resourceVersion as a number. Raises ValueError with Kubernetes' words."""
    digits = text.isascii() and text.isdigit()
    if digits and int(text[:40]) < 2**64:
        return int(text)
    why = "value out of range" if digits else "invalid syntax"
    raise ValueError(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}')
