"""What users import; never imports the engine.

    from argosy.sdk import train, checkpoint

The names are found when they are asked for: the verbs of the command line import this package and pay for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argosy.sdk.functions import Where, train

__all__ = ["Where", "train"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from argosy.sdk import functions  # noqa: PLC0415

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
