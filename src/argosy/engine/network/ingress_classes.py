"""Which classes of Ingress are served here. Pure; `IngressProxy` asks whenever an IngressClass changes.

Those that the settings name, and those whose IngressClass says that Argosy controls it: with an IngressClass `nginx` of this
controller, manifests that ask for that class run as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

CONTROLLER = "argosy.dev/ingress"
"""The `spec.controller` of an IngressClass that is served here."""


def served(own: frozenset[str], classes: Iterable[Obj]) -> frozenset[str]:
    """The names of the classes that are served."""
    return own | {name_of(each) for each in classes if dig(each, "spec", "controller") == CONTROLLER}
