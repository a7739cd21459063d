"""L0: paths as a container names them, and where they lead where nothing can be mounted. Pure.

`orders` translates a run's arguments, environment and working directory, `executing` the commands that are executed in it
later. The links below `$ARGOSY_ROOT` (`holder.plain`) are for programs that take a path from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from argosy.engine.node.runtime.spec import ContainerSpec


def places(spec: ContainerSpec, root: Path, termination: Path) -> dict[str, str]:
    """The run's table: paths in the container to paths of the host.

    A container has a /tmp of its own. What the host has below a mount path and the container needs all the same, its
    image for one, leads to itself.
    """
    found = {"/tmp": f"{root}/tmp", _plain(spec.termination_message_path): str(termination)}
    for path in (*spec.read_only_paths, spec.pod.directory, spec.pod.etc_hosts.parent):
        found[str(path)] = str(path)
    found |= {_plain(mount.target): str(mount.source) for mount in spec.mounts}
    found.pop("", None)
    return found


def translate(text: str, table: Mapping[str, str]) -> str:
    """Replace paths of the table in a text, the longest first: `/data/x` under a mount at `/data`.

    A path counts only where it stands as one, so `/database`, `a/data` and `http://data/` stay.
    """
    if "/" not in text or not table:
        return text
    known = "|".join(re.escape(path) for path in sorted(table, key=len, reverse=True))
    return re.sub(
        rf"(?:(?<![\w./}}-])|(?<=file://)|(?<=:///))(?:{known})(?![\w.-])", lambda match: table[match[0]], text
    )


def _plain(path: str) -> str:
    return path.rstrip("/")
