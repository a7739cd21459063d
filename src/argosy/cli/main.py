"""The command `argosy`.

Each verb is a module of this package with a function `command`; the table below names them. Only the verb that was asked
for is imported, so that `argosy status` does not pay for what `argosy demo` needs.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from argosy.cli import short
from argosy.errors import ApiError, UserError

if TYPE_CHECKING:
    import typer

VERBS = {
    "up": "Start the engine in the background; returns when it is ready.",
    "down": "End the engine and everything it started.",
    "status": "What runs here.",
    "kubeconfig": "Print the path of the engine's kubeconfig.",
    "demo": "A language model's whole life: pre-train, fine-tune, track, serve, chat.",
    "apply": "Apply manifests.",
    "ps": "List pods, or objects of any kind.",
    "logs": "Show the logs of a pod, or of all pods of a job, a deployment, a service.",
    "why": "Say why something is not ready.",
    "train": "Run a training script on one or many pods.",
    "sweep": "Search for the best parameters of a training script.",
    "serve": "Serve a model, with adapters, behind the one endpoint.",
    "chat": "Talk to a served model.",
    "images": "The environments and OCI images that references stand for.",
    "operators": "Run the operators against any cluster, from outside it.",
}


def build(argv: Sequence[str]) -> typer.Typer:
    """The application with the verb that `argv` names, or with all of them for help."""
    import typer  # noqa: PLC0415 - heavy; `short` does without

    def print_version(asked: bool) -> None:
        if asked:
            from argosy import __version__  # noqa: PLC0415

            typer.echo(f"argosy {__version__}")
            raise typer.Exit

    def version_option(
        version: bool = typer.Option(
            False, "--version", help="Print the version.", callback=print_version, is_eager=True
        ),
    ) -> None:
        del version  # eager: it is printed before a command is missed

    app = typer.Typer(
        name="argosy",
        help="A large language model's whole life on Kubernetes.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(version_option)
    named = argv[0] if argv and argv[0] in VERBS else None
    for verb in [named] if named else VERBS:
        module = importlib.import_module(f"argosy.cli.{verb}")
        app.command(verb, short_help=VERBS[verb])(module.command)
    return app


def main() -> None:
    """The console script. Exit code 0 only for success; errors are one sentence on stderr."""
    argv = sys.argv[1:]
    try:
        if not short.run(argv):
            build(argv)(argv, standalone_mode=True)
    except UserError as error:
        _fail(str(error))
    except ApiError as error:
        _fail(f"{error.message.rstrip('.')} ({error.reason}); {_next_step(error)}")
    except BrokenPipeError:  # who reads what is printed has seen enough: `argosy ps | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        sys.exit(141)
    except ConnectionError as error:
        _fail(f"{error}; start the engine with: argosy up, or check --context")
    except BaseException as error:
        if type(error).__name__ not in ("KeyboardInterrupt", "CancelledError"):  # asyncio's, which may not be loaded
            raise
        sys.exit(130)


def _next_step(error: ApiError) -> str:
    steps = {
        401: "check the kubeconfig's credentials",
        403: "ask the cluster's administrator for the right, or choose another --context",
        404: "list what there is with: argosy ps KIND -n NAMESPACE",
        409: "look at what changed, and try again",
        429: "wait a little and try again",
    }
    if error.code in (400, 422) or "typed patch object" in error.message:
        return (
            "mend the manifest and apply it again" if sys.argv[1:2] == ["apply"] else "mend the arguments and try again"
        )
    return steps.get(error.code, "see the API server's log, for the embedded engine $ARGOSY_HOME/engine.log")


def _fail(message: str) -> None:
    sys.stderr.write(f"argosy: {message}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
