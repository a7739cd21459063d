"""`python -m argosy.programs.rsh.delivery`: puts a `kubectl` into `$TARGET_DIR`, as MPIJob v1's init container does.

What it puts there runs in the launcher's own environment, which needs Python and aiohttp.
"""

from __future__ import annotations

import os
from pathlib import Path

from argosy.programs import pod

_SCRIPT = '#!/bin/sh\nexec python -m argosy.programs.rsh.kubectl "$@"\n'


def main() -> None:
    """Write the script."""
    directory: Path = pod.path(os.environ.get("TARGET_DIR") or "/opt/kube")
    try:
        place = directory / "kubectl"
        place.write_text(_SCRIPT)
        place.chmod(0o755)
    except OSError as error:
        pod.give_up(f"kubectl cannot be put into {directory}: {error.strerror}; mount a volume there")


if __name__ == "__main__":
    main()
