"""`argosy.sdk.train`: run a Python function on many pods, from a script or a notebook.

    from argosy.sdk import train

    def fit(lr):
        import torch, torch.distributed as dist
        ...

    train(fit, nodes=2, arguments={"lr": 0.1})

A function that stands in a file travels with the working directory around that file, so its imports work as they do here;
one that was typed into a notebook travels as its source alone, and has to import within itself what it needs.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argosy.errors import UserError
from argosy.meta.json import Obj
from argosy.programs.workspace import call, loader
from argosy.sdk.connection import connect
from argosy.sdk.launching import Launch, Wish, follow_to_the_end, launch
from argosy.sdk.training import DEFAULT_IMAGE, name_from
from argosy.sdk.workspace import Workspace, collect

_CALL = f"{loader.OWN}/call.py"


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster; by default the engine of `$ARGOSY_HOME` and its namespace."""

    namespace: str = ""
    context: str = ""
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    """A function on its way."""

    workspace: Workspace
    named: str
    """A file of the workspace, or a module."""
    added: dict[str, bytes] = field(default_factory=dict)


def train(
    function: Callable[..., object],
    *,
    nodes: int = 1,
    arguments: Mapping[str, Any] | None = None,
    image: str = DEFAULT_IMAGE,
    name: str = "",
    env: Mapping[str, str] | None = None,
    resources: Mapping[str, str] | None = None,
    processes: int = 1,
    claim: str = "",
    workdir: Path | str | None = None,
    requirements: str = "",
    register: str = "",
    where: Where = Where(),
    wait: bool = True,
) -> Obj:
    """Run `function(**arguments)` on `nodes` pods as a PyTorchJob; the job, at its end unless `wait` is False.

    `arguments` are JSON values; `resources` requests and limits of each pod; `processes` how many a pod; `requirements` a
    requirements file of the working directory, or `none`; `register` names the model in MLflow that it becomes. While it waits, the pods' output is shown. Raises UserError when
    the job fails, or cannot be made; ApiError when the cluster refuses.
    """
    code = _code_of(function, Path(workdir) if workdir else None)
    try:
        told = json.dumps(dict(arguments or {}))
    except TypeError as error:
        raise UserError(
            f"the arguments cannot travel: {error}", "pass what JSON can write, or load it within"
        ) from None
    wish = Wish(
        command=("python", _CALL, code.named, function.__qualname__, told),
        name=name,
        named_after=name_from(function.__name__),
        nodes=nodes,
        image=image,
        env=dict(env or {}),
        resources=dict(resources or {}),
        processes=processes,
        claim=claim,
        register=register,
    )
    added = {_CALL: Path(call.__file__).read_bytes(), **code.added}
    to_launch = Launch(wish, code.workspace, requirements, added)
    return _run(_train(to_launch, where, wait=wait))


async def _train(to_launch: Launch, where: Where, *, wait: bool) -> Obj:
    async with connect(where.context, where.kubeconfig, where.namespace) as connection:
        job = await launch(connection.client, to_launch, connection.namespace)
        if not wait:
            return job
        return await follow_to_the_end(connection.client, job, write=_write)


def _write(line: bytes) -> None:
    sys.stdout.write(line.decode(errors="replace"))
    sys.stdout.flush()


def _code_of(function: Callable[..., object], workdir: Path | None) -> _Code:
    if "<locals>" in getattr(function, "__qualname__", "<locals>"):
        raise UserError(
            f"{getattr(function, '__qualname__', function)} is defined within another function and cannot be imported",
            "define it at the top of its module",
        )
    file = inspect.getsourcefile(function)
    path = Path(file).resolve() if file and Path(file).is_file() and not _is_cell(function) else None
    if path is None:
        return _of_notebook(function, workdir)
    module = function.__module__
    if module != "__main__" and "." in module:  # a package's: its imports start at the package's root
        root = path.parents[module.count(".") + (path.name == "__init__.py")]
        if workdir is None or workdir.resolve() == root:
            return _Code(collect(root), module)
    here = Path.cwd()
    root = (workdir or (here if path.is_relative_to(here) else path.parent)).resolve()
    if not path.is_relative_to(root):
        raise UserError(f"{path} is not in the working directory {root}", "name a directory around it as workdir")
    return _Code(collect(root), path.relative_to(root).as_posix())


def _is_cell(function: Callable[..., object]) -> bool:
    """Whether it was typed into a notebook or a console: ipykernel gives cells files of a sort."""
    main = sys.modules.get("__main__")
    return function.__module__ == "__main__" and not getattr(main, "__file__", "")


def _of_notebook(function: Callable[..., object], workdir: Path | None) -> _Code:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise UserError(
            f"the source of {function.__qualname__} is not to be had", "put the function into a file and import it"
        ) from None
    path = f"{loader.OWN}/function.py"
    workspace = collect(workdir) if workdir else Workspace(Path.cwd(), ())
    return _Code(workspace, path, {path: f"from __future__ import annotations\n\n{source}".encode()})


def _run(coroutine: Coroutine[Any, Any, Obj]) -> Obj:
    """Run it to its end, also from a notebook, whose thread has a loop that runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    outcome: list[Obj] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(coroutine))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, name="argosy train")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
