"""What `argosy up` does once its options are read."""

from __future__ import annotations

from dataclasses import asdict

from argosy.cli.printing import Format, note, print_facts, print_json
from argosy.cluster import process
from argosy.cluster.settings import Settings, home_directory, prepare
from argosy.errors import UserError


def with_defaults(output: Format) -> None:
    """`argosy up` without options."""
    start(Settings(home=home_directory()), output)


def start(settings: Settings, output: Format) -> None:
    """Start the engine unless it runs, and say where it is. Raises UserError."""
    layout = prepare(settings)
    state = process.find(layout)
    running = state is not None
    if state is None:
        state = process.start(settings, layout)
    if differs := state.differs(settings):
        raise UserError(f"an engine runs already, with {differs}", "end it first with: argosy down")
    if output is Format.json:
        print_json(asdict(state))
        return
    for line in state.notes:
        note(line)
    print_facts(
        {
            "engine": f"{'already running' if running else 'ready'} (pid {state.pid}, isolation {state.isolation})",
            "server": state.server,
            "ingress": state.ingress,
            "kubectl": f"export KUBECONFIG={state.kubeconfig}",
        }
    )
