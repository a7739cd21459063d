"""The kubectls of this machine: the one on the PATH, and those of single minor versions beside it (`kubectl.1.30`)."""

import os
import re
import shutil
from pathlib import Path

USUAL = ("kubectl.1.27", "kubectl.1.30", "kubectl.1.33")
"""The first, the last and one between; the others are for the slow tests."""


def installed():
    """Name and path of every kubectl, the plain one only where there is no other."""
    plain = shutil.which("kubectl")
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    folders += [Path(plain).resolve().parent] if plain else []
    found = {}
    for folder in folders:
        for path in sorted(folder.glob("kubectl*")) if os.access(folder, os.R_OK) else ():
            if re.fullmatch(r"kubectl(\.1\.\d+)?", path.name):
                found.setdefault(path.name, str(path))
    if len(found) > 1:
        found.pop("kubectl", None)
    return found
