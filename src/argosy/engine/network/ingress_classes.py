"""Which classes of Ingress are served here, and the engine's own; `IngressProxy` asks whenever an IngressClass changes.

Those that the settings name, and those whose IngressClass says that Argosy controls it: with an IngressClass `nginx` of this
controller, manifests that ask for that class run as they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from argosy.client.client import Client
from argosy.errors import AlreadyExists, ApiError
from argosy.kinds import INGRESS_CLASS
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

_log = logging.getLogger(__name__)

_ATTEMPTS = 10

CONTROLLER = "argosy.dev/ingress"
"""The `spec.controller` of an IngressClass that is served here."""


def served(own: frozenset[str], classes: Iterable[Obj]) -> frozenset[str]:
    """The names of the classes that are served."""
    return own | {name_of(each) for each in classes if dig(each, "spec", "controller") == CONTROLLER}


def class_object(name: str) -> Obj:
    """The IngressClass of a class that the settings name.

    It is not the default: an Ingress without a class is served as it is, and one that a user marks stays the only one.
    """
    return {
        "apiVersion": INGRESS_CLASS.api_version,
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": CONTROLLER},
    }


async def ensure_classes(client: Client, own: frozenset[str]) -> None:
    """Make the IngressClasses that the settings name; one that is there, changed or not, is the user's own."""
    for name in sorted(own):
        for attempt in range(_ATTEMPTS):
            try:
                await client.create(INGRESS_CLASS, class_object(name))
                break
            except AlreadyExists:
                break
            except (ApiError, ConnectionError) as error:
                _log.debug("IngressClass %s: %s", name, error)
                await asyncio.sleep(0.1 * 2**attempt)
        else:
            _log.warning("the IngressClass %s could not be made; its Ingresses are served all the same", name)
