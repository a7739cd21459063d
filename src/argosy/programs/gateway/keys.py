"""API keys: who may ask at all. Without keys everybody in the cluster may.

Keys come from the environment or from a mounted Secret, which the kubelet rewrites when it changes.
"""

from __future__ import annotations

import hmac
import time
from pathlib import Path

from argosy.programs.gateway.openai import Refusal
from argosy.programs.gateway.settings import GatewaySettings

_LOOK_SECONDS = 2.0


class Keys:
    """The keys that are good now."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._given = settings.api_keys
        self._path = settings.api_keys_path
        self._read: tuple[str, ...] = ()
        self._looked = float("-inf")

    def check(self, authorization: str) -> None:
        """Raise Refusal unless the header carries a good key, or none is needed."""
        keys = self._keys()
        if not keys and self._path is None:
            return
        scheme, _, key = authorization.partition(" ")
        offered = key.strip().encode() if scheme.lower() == "bearer" else b""
        # Every key is compared, so that time tells nothing.
        good = [hmac.compare_digest(offered, known.encode()) for known in keys]
        if not any(good):
            message = "The API key is not known here; send `Authorization: Bearer KEY`."
            raise Refusal(401, message, "invalid_request_error", "invalid_api_key")

    def _keys(self) -> tuple[str, ...]:
        if self._path is not None and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._read = read_keys(self._path)
        return (*self._given, *self._read)


def read_keys(path: Path) -> tuple[str, ...]:
    """The keys in a file, a line each, or in the files of a directory. A path that is not there holds none."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    else:
        files = [path] if path.exists() else []
    lines = (line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
