"""What the server says of itself: /version, /healthz and its kin, /metrics."""

from __future__ import annotations

import platform

from argosy import __version__
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.store import Store
from argosy.meta.json import Obj

MAJOR, MINOR = "1", "36"
HEALTH = frozenset({"/healthz", "/livez", "/readyz"})


def version(settings: ApiSettings) -> Obj:
    """Which Kubernetes this is."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "emulationMajor": MAJOR,
        "emulationMinor": MINOR,
        "minCompatibilityMajor": MAJOR,
        "minCompatibilityMinor": str(int(MINOR) - 1),
        "gitVersion": f"v{MAJOR}.{MINOR}.0+argosy",
        "gitCommit": __version__,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation().lower(),
        "platform": settings.platform,
    }


class Counters:
    """How many requests of each verb ended with which code."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, int], int] = {}

    def count(self, verb: str, resource: str, code: int) -> None:
        """One more."""
        key = (verb, resource, code)
        self._requests[key] = self._requests.get(key, 0) + 1

    def text(self, store: Store) -> Answer:
        """Prometheus' text format."""
        lines = [
            "# HELP apiserver_request_total Requests by verb, resource and code.",
            "# TYPE apiserver_request_total counter",
        ]
        lines += [
            f'apiserver_request_total{{verb="{verb}",resource="{resource}",code="{code}"}} {number}'
            for (verb, resource, code), number in sorted(self._requests.items())
        ]
        lines += [
            "# HELP apiserver_storage_objects Stored objects by resource.",
            "# TYPE apiserver_storage_objects gauge",
            *(f'apiserver_storage_objects{{resource="{name}"}} {store.count(name)}' for name in store.resources()),
            "# HELP argosy_store_revision The newest durable revision.",
            "# TYPE argosy_store_revision gauge",
            f"argosy_store_revision {store.revision}",
        ]
        answer = Answer.text("\n".join([*lines, ""]))
        answer.headers["content-type"] = "text/plain; version=0.0.4; charset=utf-8"
        return answer
