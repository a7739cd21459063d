"""The one tree of errors.

`ApiError` and its children correspond one to one with the reasons of a Kubernetes `Status`; the API server raises them,
the client raises the same ones again on the other side of the wire. `Retry` and `Terminal` are the two words of policy
that a reconciler may say. `UserError` is what the command line shows: one sentence, and the next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class ArgosyError(Exception):
    """Anything Argosy raises on purpose."""


class UserError(ArgosyError):
    """Something the person at the keyboard can mend; `next_step` says how, in one sentence."""

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}; {self.next_step}" if self.next_step else self.message


class Retry(ArgosyError):
    """A reconciler could not finish; run it again after `after_seconds` (None: the queue's own back-off)."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Terminal(ArgosyError):
    """A reconciler met something that no retry mends; it is reported once and left until the object changes."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of `Status.details.causes`."""

    reason: str
    message: str
    field: str = ""


class ApiError(ArgosyError):
    """A Kubernetes `Status` of failure. `details` is `Status.details` without the causes."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        causes: Sequence[Cause] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self.causes = tuple(causes)
        self.retry_after_seconds = retry_after_seconds

    def status(self) -> dict[str, Any]:
        """The body that goes over the wire."""
        details: dict[str, Any] = dict(self.details)
        if self.causes:
            details["causes"] = [
                {key: value for key in ("reason", "message", "field") if (value := getattr(c, key))}
                for c in self.causes
            ]
        if self.retry_after_seconds is not None:
            details["retryAfterSeconds"] = self.retry_after_seconds
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if details:
            body["details"] = details
        body["code"] = self.code
        return body


class BadRequest(ApiError):
    """The request itself makes no sense (400)."""

    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    """Nobody was recognised (401)."""

    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    """Somebody was recognised and may not (403)."""

    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    """No such object, kind or path (404)."""

    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    """The path exists, the verb does not (405)."""

    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    """None of the content types that the client accepts can be produced (406)."""

    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    """A create met an object of that name (409)."""

    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object changed since it was read, or another manager owns the field (409)."""

    code, reason = 409, "Conflict"


class Expired(ApiError):
    """The resourceVersion asked for is compacted away: list again (410)."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    """The body is larger than the server takes (413)."""

    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    """The body's content type is not one this path reads (415)."""

    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object is well-formed and wrong; `causes` says where (422)."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    """Come back in `retry_after_seconds` (429)."""

    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    """Our own fault (500)."""


class ServiceUnavailable(ApiError):
    """Not ready, or shutting down (503)."""

    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    """The server gave up waiting (504)."""

    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[ApiError]] = {
    cls.reason: cls
    for cls in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, AlreadyExists, Conflict,
        Expired, TooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError, ServiceUnavailable, Timeout,
    )
}  # fmt: skip
_BY_CODE: dict[int, type[ApiError]] = {cls.code: cls for cls in reversed(_BY_REASON.values())}


def from_status(code: int, body: Mapping[str, Any]) -> ApiError:
    """The error that a `Status` body, or failing that an HTTP status code, stands for."""
    reason = str(body.get("reason") or "")
    cls = Expired if reason == "Gone" else _BY_REASON.get(reason) or _BY_CODE.get(code, InternalError)
    details = dict(body.get("details") or {})
    causes = [
        Cause(str(c.get("reason", "")), str(c.get("message", "")), str(c.get("field", "")))
        for c in details.pop("causes", None) or ()
    ]
    retry_after = details.pop("retryAfterSeconds", None)
    message = str(body.get("message") or f"the server answered {code}")
    return cls(message, details=details, causes=causes, retry_after_seconds=retry_after)
