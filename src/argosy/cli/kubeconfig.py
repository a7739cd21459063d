"""`argosy kubeconfig`"""

from __future__ import annotations

from argosy.cli.terminal import Format, Output, print_json, say
from argosy.cluster.settings import Layout, home_directory
from argosy.errors import UserError


def command(output: Output = Format.text) -> None:
    """Print the path of the engine's kubeconfig.

    Example: export KUBECONFIG=$(argosy kubeconfig)
    """
    path = Layout(home_directory()).kubeconfig
    if not path.exists():
        raise UserError(f"no engine has run in {path.parent}", "start one with: argosy up")
    if output is Format.json:
        print_json({"kubeconfig": str(path)})
        return
    say(str(path))
