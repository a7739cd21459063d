"""The initializer as one archive that Python runs, for images that know nothing of this project.

The composition root gives it to the operators, which put it into a ConfigMap of the jobs that ask for data sets. The sources
are read, not imported: who hands them on need not load them.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_MODULES = (
    "clock",
    "programs/pod",
    *(f"programs/initializer/{m}" for m in ("cache", "datasets", "fetch", "s3", "versions")),
)
_PACKAGES = ("", "programs/", "programs/initializer/")
_START = b"from argosy.programs.initializer.datasets import main\n\nmain()\n"


def archive() -> bytes:
    """The same bytes for the same sources."""
    files = {f"argosy/{module}.py": (_ROOT / f"{module}.py").read_bytes() for module in _MODULES}
    files |= {f"argosy/{package}__init__.py": b"" for package in _PACKAGES} | {"__main__.py": _START}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            packed.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()
