"""What annotations of ingress-nginx, which ordinary manifests carry, mean for a request. Pure; asked by `ingress`.

`rewrite-target` (and `use-regex`) make the paths of an Ingress regular expressions from their start, whose groups the new
path may name (`/$2`); `proxy-body-size` bounds what a client may send. The rest has no effect, and `ignored` names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of

PREFIX = "nginx.ingress.kubernetes.io/"
_SIZE = re.compile(r"(\d+)([kmg]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_GIVEN_ANYWAY = frozenset(
    {
        "rewrite-target", "use-regex", "proxy-body-size", "proxy-read-timeout", "proxy-send-timeout", "proxy-buffering",
        "proxy-request-buffering", "proxy-connect-timeout", "proxy-http-version", "websocket-services", "proxy-buffer-size",
    }
)  # fmt: skip
"""Those above, and those that ask for what happens here in any case: streams are not cut off and not held back."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the requests of one Ingress are treated."""

    rewrite: str = ""
    """The path that takes the place of the request's, with `$1` for what the first group matched; empty: none does."""
    regex: bool = False
    """Paths are regular expressions, whatever their case."""
    body_max: int | None = None
    """Bytes that a client may send; None: any number."""

    def rewritten(self, found: re.Match[str]) -> str:
        """The path to ask a pod for."""

        def group(reference: re.Match[str]) -> str:
            number = int(reference[1])
            return (found[number] or "") if number <= found.re.groups else ""

        path = re.sub(r"\$(\d)", group, self.rewrite)
        return path if path.startswith("/") else f"/{path}"


PLAIN = Manner()


def manner_of(ingress: Obj) -> Manner:
    """Read an Ingress's annotations; what cannot be read counts as not there (`ignored` tells)."""
    said = _said(ingress)
    rewrite = said.get("rewrite-target", "")
    regex = bool(rewrite) or said.get("use-regex", "").lower() == "true"
    size = _SIZE.fullmatch(said.get("proxy-body-size", "").strip())
    most = int(size[1]) * _UNITS[size[2].lower()] if size else 0
    return Manner(rewrite, regex, most or None)


def pattern(path: str) -> re.Pattern[str] | None:
    """A path as an expression that a request's has to begin with; None when it is none."""
    try:
        return re.compile(path, re.IGNORECASE)
    except re.error:
        return None


def ignored(ingress: Obj) -> list[str]:
    """The annotations that have no effect here, or are not what they should be."""
    said = _said(ingress)
    found = [PREFIX + name for name in said if name not in _GIVEN_ANYWAY]
    if "proxy-body-size" in said and not _SIZE.fullmatch(said["proxy-body-size"].strip()):
        found.append(f"{PREFIX}proxy-body-size (write 8m, 512k or 0)")
    return sorted(found)


def _said(ingress: Obj) -> Mapping[str, str]:
    annotations = annotations_of(ingress).items()
    return {name.removeprefix(PREFIX): str(value) for name, value in annotations if name.startswith(PREFIX)}
