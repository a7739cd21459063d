"""Calls one function of a person's code in a pod: what `argosy.sdk.train` has its jobs run.

    python call.py FILE_OR_MODULE FUNCTION '{"lr": 0.1}'

Its source travels along with the workspace, like the loader's, and needs the standard library only. A file is imported
under its own name and never as `__main__`, so the call that submitted the job is not made again within it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType


def module_of(named: str) -> ModuleType:
    """Import a file or a module."""
    if not named.endswith(".py"):
        return importlib.import_module(named)
    path = Path(named).resolve()
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{named} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Call it."""
    named, function, arguments = sys.argv[1:4]
    sys.path[0] = str(Path.cwd())
    found: object = module_of(named)
    for part in function.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{function} of {named} is not a function")
    found(**json.loads(arguments))


if __name__ == "__main__":
    main()
