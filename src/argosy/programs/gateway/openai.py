"""The part of OpenAI's API that the gateway itself speaks: reading a request's head, lists of models, errors.

Pure. Bodies pass through untouched; only `model` and `stream` are read from them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from argosy.meta.json import Obj, decode, encode

_KNOWN_MAX = 20


class Refusal(Exception):
    """An answer in OpenAI's error shape. `retry_after_seconds` becomes a header."""

    def __init__(
        self, status: int, message: str, type: str, code: str = "", *, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.type, self.code = status, message, type, code
        self.retry_after_seconds = retry_after_seconds

    @property
    def body(self) -> bytes:
        """The error as JSON."""
        param = "model" if self.code in ("model_not_found", "model_missing") else None
        return encode(
            {"error": {"message": self.message, "type": self.type, "param": param, "code": self.code or None}}
        )

    @property
    def event(self) -> bytes:
        """The error as the last event of a stream that had begun."""
        return b"data: " + self.body + b"\n\n"


class Head(msgspec.Struct):
    """What routing needs to know of a body."""

    model: str = ""
    stream: bool | None = None


_decoder = msgspec.json.Decoder(Head)


def read_head(body: bytes) -> Head:
    """Read `model` and `stream`, skipping the rest. Raises Refusal."""
    try:
        head = _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise Refusal(400, f"The body is not a JSON request: {error}.", "invalid_request_error") from None
    if not head.model:
        raise Refusal(
            400,
            "The request names no model; put one of GET /v1/models into `model`.",
            "invalid_request_error",
            "model_missing",
        )
    return head


def with_model(body: bytes, model: str) -> bytes:
    """The same request for a model that its server knows under another name."""
    return encode({**decode(body), "model": model})


def not_found(model: str, known: Iterable[str]) -> Refusal:
    """404 that lists what there is."""
    names = sorted(known)
    more = f" and {len(names) - _KNOWN_MAX} more" if len(names) > _KNOWN_MAX else ""
    there = f"There are: {', '.join(names[:_KNOWN_MAX])}{more}." if names else "No model is served yet."
    return Refusal(404, f"The model `{model}` does not exist. {there}", "invalid_request_error", "model_not_found")


def model_entry(name: str, created: int, owner: str, parent: str) -> Obj:
    """One model as `GET /v1/models` lists it; `parent` is an adapter's base model."""
    entry: Obj = {"id": name, "object": "model", "created": created, "owned_by": owner, "root": parent or name}
    return entry | {"parent": parent or None}
