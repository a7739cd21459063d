"""The warnings that come with what is valid and most likely not meant."""

from __future__ import annotations

from argosy.engine.apiserver.calls import Call
from argosy.meta.json import Obj
from argosy.meta.warnings import warnings


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Warn of a built-in object that is written, other than through one of its subresources."""
    if not call.target.subresource and not call.served.custom:
        call.warnings += warnings(call.served.kind, obj, old)
