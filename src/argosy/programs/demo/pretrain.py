"""Pre-train a small Llama from nothing: tokenizer, data, distributed training, checkpoints, held-out loss.

    python -m argosy.programs.demo.pretrain                          # alone, on this machine
    2 pods of a PyTorchJob with the same command                     # data-parallel over gloo

- about a million parameters, the architecture of every Llama (RMSNorm, rotary positions, SwiGLU), tied embeddings
- Muon for the matrices, AdamW for the rest: three times fewer steps than AdamW alone at this size
- the batch is global: two ranks share the rows that one would have, so the result does not depend on the gang's size
- row r of step s is a function of (seed, s, r), so a resumed run sees exactly what it would have seen
- SIGTERM, or a lost peer, saves a checkpoint first; a new gang resumes from it
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tokenizers import Tokenizer

from argosy.programs import checkpoints, pod
from argosy.programs.demo import corpus, gang, llama, tokenizer, tracking

TERMINATED = 143
_EXCHANGE_SHARE = 0.25
_EVALUATED_ROWS = 192


@dataclass(frozen=True, slots=True)
class Data:
    """Token streams, and the tokenizer that made them."""

    tokenizer: Tokenizer
    train: torch.Tensor
    held_out: torch.Tensor


def arguments() -> argparse.Namespace:
    """The command line; directories default to what the job's environment says."""
    parser = argparse.ArgumentParser(prog="pretrain", description="Pre-train a small language model.")
    parser.add_argument("--data", type=pod.path, help="a text file; default: the documentation of Python's library")
    parser.add_argument("--checkpoint-dir", type=pod.path, default=_path("CHECKPOINT_DIR"))
    parser.add_argument("--output-dir", type=pod.path, default=_path("OUTPUT_DIR") or Path("model"))
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--rows", type=int, default=16, help="sequences a step, over all ranks")
    parser.add_argument("--length", type=int, default=96, help="tokens a sequence")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--matrix-lr", type=float, default=0.03)
    parser.add_argument("--lr", type=float, default=0.04)
    parser.add_argument("--checkpoint-every", type=int, default=20, help="steps")
    parser.add_argument("--log-every", type=int, default=5, help="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--experiment", default=os.environ.get("MLFLOW_EXPERIMENT_NAME") or "pretrain")
    parser.add_argument("--run-name", default="base")
    return parser.parse_args()


def _path(variable: str) -> Path | None:
    return pod.path(os.environ[variable]) if os.environ.get(variable) else None


def prepare(text: Path | None, cache: Path | None) -> Data:
    """Read the corpus, train the tokenizer, encode. With `cache` the result is kept there for the next start."""
    if cache and (cache / "tokens.pt").exists():
        kept = torch.load(cache / "tokens.pt")
        return Data(tokenizer.load(cache), kept["train"], kept["held_out"])
    if text:
        documents = corpus.text_file(text)
        asked = corpus.exchanges_of_text(documents)
    else:
        library = list(corpus.docstrings())
        documents = corpus.documents(library) + corpus.topics()
        asked = corpus.exchanges(library)
    train, held_out = corpus.split(documents)
    asked = corpus.unseen(held_out, corpus.split(asked)[0])
    learned = tokenizer.train(document.text for document in train)
    stream = tokenizer.encode_documents(learned, [document.text for document in train])
    dialogue = [token for ids, _ in tokenizer.encode_exchanges(learned, asked) for token in ids]
    stream += dialogue * max(1, round(len(stream) * _EXCHANGE_SHARE / max(1, len(dialogue))))
    hidden = tokenizer.encode_documents(learned, [document.text for document in held_out])
    data = Data(learned, torch.tensor(stream), torch.tensor(hidden))
    if cache:
        write = cache.with_name(f".{cache.name}-{os.getpid()}")
        write.mkdir(parents=True)
        tokenizer.save(learned, write)
        torch.save({"train": data.train, "held_out": data.held_out}, write / "tokens.pt")
        checkpoints.publish(write, cache)
    return data


def shared_data(place: gang.Gang, text: Path | None, cache: Path | None) -> Data:
    """The leader prepares; the others are handed the result, so that the work is done once."""
    parcel: list[Any] = [prepare(text, cache) if place.leads else None]
    if place.size > 1:
        dist.broadcast_object_list(parcel, src=0)
    data: Data = parcel[0]
    return data


class Optimizer:
    """Muon for the matrices between the layers, AdamW for embeddings and norms, one schedule over both."""

    def __init__(self, model: torch.nn.Module, matrix_lr: float, lr: float, steps: int) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
        chosen = {id(p) for p in matrices}
        rest = [p for p in self.parameters if id(p) not in chosen]
        self._parts = [
            torch.optim.Muon(matrices, lr=matrix_lr, weight_decay=0.1, momentum=0.95, ns_steps=4),
            torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
        ]
        self._rates = (matrix_lr, lr)
        self._steps = steps

    def step(self, step: int) -> None:
        """Apply the gradients: a short warm-up, then a straight line down."""
        factor = min(1.0, (step + 1) / 10) * max(0.05, 1 - step / self._steps)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part, rate in zip(self._parts, self._rates, strict=True):
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[Any]:
        """For a checkpoint."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, state: Sequence[Any]) -> None:
        """From a checkpoint."""
        for part, kept in zip(self._parts, state, strict=True):
            part.load_state_dict(kept)


def batch(stream: torch.Tensor, step: int, rows: range, length: int, seed: int) -> torch.Tensor:
    """Rows of random windows: each a function of (seed, step, row) alone."""
    found = []
    for row in rows:
        generator = torch.Generator().manual_seed(hash((seed, step, row)) & 0x7FFFFFFF)
        start = int(torch.randint(len(stream) - length, (1,), generator=generator))
        found.append(stream[start : start + length])
    return torch.stack(found)


def my_rows(place: gang.Gang, rows: int) -> range:
    """The rows of the global batch that fall to this rank."""
    return range(place.rank * rows // place.size, (place.rank + 1) * rows // place.size)


def held_out_loss(model: torch.nn.Module, stream: torch.Tensor, length: int) -> float:
    """Mean loss in nats per token over the held-out text."""
    rows = stream[: len(stream) // length * length].view(-1, length)[:_EVALUATED_ROWS]
    total = 0.0
    model.eval()
    with torch.no_grad():
        for part in rows.split(32):
            total += float(llama.loss_of(model(part), part)) * len(part)
    model.train()
    return total / len(rows)


class Training:
    """One rank's training from wherever it stands to the last step."""

    def __init__(self, options: argparse.Namespace, place: gang.Gang, data: Data, run: tracking.Run) -> None:
        self.options, self.place, self.data, self.run = options, place, data, run
        torch.manual_seed(options.seed)
        self.model = llama.Llama(llama.Shape(data.tokenizer.get_vocab_size(), options.hidden, options.layers))
        self.optimizer = Optimizer(self.model, options.matrix_lr, options.lr, options.steps)
        self.step = 0
        self.stop = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, *_: object) -> None:
        self.stop = True

    def resume(self) -> None:
        """The leader loads the checkpoint and the others get it from it: only the leader needs the volume."""
        found: list[Any] = [None]
        if self.place.leads:
            path = checkpoints.to_resume(self.options.checkpoint_dir, os.environ)
            if path:
                found = [torch.load(path / checkpoints.STATE)]
                log(f"resuming from {path} at step {found[0]['step']}")
        if self.place.size > 1:
            dist.broadcast_object_list(found, src=0)
        if found[0] is not None:
            self.model.load_state_dict(found[0]["model"])
            self.optimizer.load_state_dict(found[0]["optimizer"])
            self.step = int(found[0]["step"])

    def save(self) -> None:
        """Write a checkpoint of the present step, if this rank leads and there is a place for it."""
        if not self.place.leads or not self.options.checkpoint_dir:
            return
        state = {"step": self.step, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        began = time.monotonic()
        where = self.options.checkpoint_dir
        checkpoints.save(where, self.step, lambda directory: torch.save(state, directory / checkpoints.STATE))
        log(f"checkpoint step={self.step} seconds={time.monotonic() - began:.2f}")

    def go(self) -> None:
        """Train to the last step. A peer's death ends the process after a checkpoint; so does SIGTERM."""
        wrapped: Callable[..., Any] = self.model
        if self.place.size > 1:
            wrapped = torch.nn.parallel.DistributedDataParallel(self.model)
        began, since, first = time.monotonic(), self.step, self.step + 1
        while self.step < self.options.steps:
            try:
                loss = self._one_step(wrapped)
            except RuntimeError as error:
                self._give_up(error)
            self.step += 1
            if self.stop:
                self.save()
                self.run.finish("KILLED", seconds=3)
                pod.leave_word(f"terminated at step {self.step}, which is saved")
                raise SystemExit(TERMINATED)
            if self.step % self.options.log_every == 0 or self.step in (first, self.options.steps):
                seconds = time.monotonic() - began
                self._report(loss, (self.step - since) * self.options.rows * self.options.length / seconds)
                began, since = time.monotonic(), self.step
            if self.step % self.options.checkpoint_every == 0 or self.step == self.options.steps:
                self.save()

    def _one_step(self, wrapped: Callable[..., Any]) -> float:
        rows = my_rows(self.place, self.options.rows)
        tokens = batch(self.data.train, self.step, rows, self.options.length, self.options.seed)
        loss = llama.loss_of(wrapped(tokens), tokens)
        loss.backward()
        self.optimizer.step(self.step)
        return float(loss.detach())

    def _report(self, loss: float, tokens_per_second: float) -> None:
        if self.place.leads:
            log(f"step={self.step} loss={loss:.4f} tokens/s={tokens_per_second:.0f}")
            self.run.metrics(self.step, loss=loss, tokens_per_second=tokens_per_second)

    def _give_up(self, error: RuntimeError) -> None:
        """A collective failed, so the weights are still those of the last whole step: keep them."""
        if not peer_is_gone(error):
            raise error
        self.save()
        first = (str(error).splitlines() or [""])[0][:200]
        message = f"lost a peer at step {self.step}, which is saved; a new gang resumes there ({first})"
        log(message)
        pod.leave_word(message)
        self.run.finish("KILLED", seconds=3)
        os._exit(gang.LOST_PEER)  # the process group's threads would wait for the peer that is gone


def peer_is_gone(error: RuntimeError) -> bool:
    """Whether an error is gloo's about a closed connection, and not a mistake of ours."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def log(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def sample(model: llama.Llama, vocabulary: Tokenizer, prompts: Sequence[str]) -> Iterator[str]:
    """What the model makes of some beginnings, as it is."""
    for prompt in prompts:
        made = llama.continue_text(model, vocabulary.encode(prompt).ids, 40, vocabulary.token_to_id(tokenizer.END))
        yield vocabulary.decode(made)


def finish(training: Training, output: Path) -> None:
    """Measure, save the model where others find it, and say so."""
    model, data = training.model, training.data
    loss = held_out_loss(model, data.held_out, training.options.length)
    baseline = corpus.unigram_entropy(data.held_out.tolist())
    samples = list(sample(model, data.tokenizer, ("The module provides", "Return the", "If the argument")))
    summary = {
        "held_out_loss": round(loss, 4),
        "unigram_entropy": round(baseline, 4),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": training.step,
        "samples": samples,
        "mlflow_run": training.run.id,
    }
    unfinished = output.with_name(f".{output.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    llama.export(model, unfinished, tokenizer.specials(data.tokenizer))
    tokenizer.save(data.tokenizer, unfinished)
    (unfinished / "summary.json").write_text(json.dumps(summary, indent=1))
    checkpoints.publish(unfinished, output)
    for text in samples:
        log(f"sample: {text!r}")
    log(f"held_out_loss={loss:.4f} unigram_entropy={baseline:.4f} saved={output}")
    training.run.metrics(training.step, held_out_loss=loss, unigram_entropy=baseline)
    training.run.directory(output, "model")
    training.run.finish()


def main() -> None:
    """Join the gang, train, and let the leader publish the result."""
    options = arguments()
    torch.set_num_threads(pod.threads())
    try:
        place = gang.from_environ(os.environ)
        gang.join(place, os.environ.get("POD_IP", ""))
        log(f"rank {place.rank} of {place.size}")
        where = options.checkpoint_dir
        data = shared_data(place, options.data, where / "data" if where else None)
    except (ValueError, OSError) as error:
        pod.give_up(f"pretrain cannot start: {error}")
    run_file = where / "mlflow-run" if where else None
    run = tracking.Run(options.experiment, options.run_name, run_file, {"stage": "pretrain"}, active=place.leads)
    training = Training(options, place, data, run)
    training.resume()
    run.parameters({key: value for key, value in vars(options).items() if value is not None})
    log(f"{sum(p.numel() for p in training.model.parameters())} parameters, {len(data.train)} tokens to train on")
    training.go()
    if place.leads:
        finish(training, options.output_dir)
    gang.leave(place)


if __name__ == "__main__":
    main()
