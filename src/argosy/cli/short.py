"""The commands that scripts call most, in their shortest form: without the library that reads options, which takes longer
to load than they take to run. Any option but `-o json` and anything odd goes the long way, through `main`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

_FUNCTIONS = {
    "up": ("argosy.cli.starting", "with_defaults"),
}
"""Where the verb is carried out: a function of the output's format."""


def run(argv: Sequence[str]) -> bool:
    """Carry out the command if it is a short one; whether it was."""
    verb, *options = argv or ("",)
    if verb not in _FUNCTIONS or options not in ([], ["-o", "json"], ["-o", "text"]):
        return False
    module, function = _FUNCTIONS[verb]
    from argosy.cli.printing import Format  # noqa: PLC0415

    getattr(importlib.import_module(module), function)(Format(options[1] if options else "text"))
    return True
