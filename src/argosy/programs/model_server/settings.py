"""The server's command line as a value. KServe's spelling (`--model_name`) and vLLM's (`--served-model-name`) are taken.

Pure, except that a wrong command line ends the program.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from argosy.meta.json import decode
from argosy.programs import pod


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server was told."""

    name: str
    """The model's name in requests."""
    source: str
    """A directory, or an id on the Hugging Face hub."""
    is_directory: bool
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Name in requests -> directory."""
    host: str = "127.0.0.1"
    port: int = 8080
    batch_max: int = 16
    """Sequences that are generated at once."""
    queue_max: int = 256
    """Requests that may wait for a place; more are answered 503."""
    context_max: int = 0
    """Tokens of prompt and answer; 0 for what the model was made for."""
    device: str = "auto"
    dtype: str = "auto"
    drain_seconds: float = 25.0
    """How long requests under way may go on after SIGTERM."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        pod.give_up(f"model server: {message}; see: python -m argosy.programs.model_server --help", 2)


def from_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read the command line. Ends the program with one sentence when it makes no sense."""
    parser = _Parser(prog="model_server", description="Serve a model with OpenAI's API.")
    option = parser.add_argument
    option("--model_name", "--model-name", "--served-model-name", help="the model's name in requests")
    option("--model_dir", "--model-dir", "--model", help="the model's directory")
    option("--model_id", "--model-id", help="a model on the Hugging Face hub, instead of a directory")
    option("--lora-modules", "--lora_modules", nargs="+", action="extend", default=[], metavar="NAME=PATH")
    option("--enable-lora", "--enable_lora", action="store_true", help="accepted; adapters are always possible")
    option("--http_port", "--http-port", "--port", type=int, default=8080)
    option("--host", default=pod.address(environ))
    option("--max_batch", "--max-batch", "--max-num-seqs", type=int, default=16, help="sequences at once")
    option("--max_queue", "--max-queue", type=int, default=256, help="requests that may wait")
    option("--max_model_len", "--max-model-len", type=int, default=0, help="tokens of prompt and answer")
    option("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    option("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    option("--drain_seconds", "--drain-seconds", type=float, default=25.0)
    given = parser.parse_args(argv)
    if not given.model_dir and not given.model_id:
        parser.error("give --model_dir PATH, the model's directory")
    if given.max_batch < 1:
        parser.error("--max_batch must be at least 1")
    source = str(pod.path(given.model_dir, environ)) if given.model_dir else given.model_id
    name = given.model_name or source.rstrip("/").rpartition("/")[2]
    try:
        adapters = {name: str(pod.path(path, environ)) for name, path in map(_adapter, given.lora_modules)}
    except ValueError as error:
        parser.error(str(error))
    if name in adapters:
        parser.error(f"the adapter {name} has the model's own name; give it another")
    return Settings(
        name=name,
        source=source,
        is_directory=bool(given.model_dir),
        adapters=adapters,
        host=given.host,
        port=given.http_port,
        batch_max=given.max_batch,
        queue_max=given.max_queue,
        context_max=given.max_model_len,
        device=given.device,
        dtype=given.dtype,
        drain_seconds=given.drain_seconds,
    )


def _adapter(text: str) -> tuple[str, str]:
    """`name=path`, or vLLM's `{"name": …, "path": …}`. Raises ValueError."""
    if text.startswith("{"):
        given = decode(text)
        name, path = given.get("name"), given.get("path")
    else:
        name, _, path = text.partition("=")
    if not name or not path:
        raise ValueError(f"--lora-modules {text}: write NAME=PATH")
    return str(name), str(path)
