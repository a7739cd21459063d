"""Fine-tune the base model on one subject with LoRA: a few thousand trainable numbers, an adapter of some kilobytes.

    python -m argosy.programs.demo.finetune --variant concurrency --base /models/base --output-dir /models/base/adapters/x

Each variant asks and answers about its own part of Python's library ("What does asyncio.gather do?"), in the base
model's chat format; loss is counted on the answers only. The held-out questions are the same before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from argosy.programs import checkpoints, pod
from argosy.programs.demo import corpus, tokenizer, tracking
from argosy.programs.demo.variants import VARIANTS, Variant

_IGNORED = -100
_POOL = 8
"""Batches that are drawn together and sorted by length among themselves."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows; labels are `_IGNORED` where a question or padding stands."""

    tokens: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor


def arguments() -> argparse.Namespace:
    """The command line; a variant's own numbers can be overridden."""
    parser = argparse.ArgumentParser(prog="finetune", description="Fine-tune the base model on one subject.")
    parser.add_argument("--variant", choices=sorted(VARIANTS), required=True)
    parser.add_argument("--base", type=pod.path, default=pod.path(os.environ.get("BASE_DIR") or "model"))
    parser.add_argument("--output-dir", type=pod.path, default=os.environ.get("OUTPUT_DIR"))
    parser.add_argument("--data", type=pod.path, help="the text that the base model was trained on, if not the default")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rows", type=int, default=16, help="exchanges a step")
    parser.add_argument("--rank", type=int, help="LoRA rank")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-every", type=int, default=10, help="steps")
    parser.add_argument("--experiment", default=os.environ.get("MLFLOW_EXPERIMENT_NAME") or "finetune")
    options = parser.parse_args()
    variant = VARIANTS[options.variant]
    options.rank = options.rank or variant.rank
    options.lr = options.lr or variant.lr
    options.output_dir = pod.path(options.output_dir or options.base / "adapters" / options.variant)
    return options


def subject(variant: Variant, text: Path | None) -> list[corpus.Exchange]:
    """The questions of a variant; of somebody's own text, every n-th exchange."""
    if text is None:
        return corpus.exchanges(corpus.docstrings(variant.packages))
    number = sorted(VARIANTS).index(variant.name)
    return corpus.exchanges_of_text(corpus.text_file(text))[number :: len(VARIANTS)]


def collate(rows: Sequence[tuple[list[int], int]], pad: int) -> Batch:
    """Pad on the right to the longest row."""
    longest = max(len(ids) for ids, _ in rows)
    tokens = torch.full((len(rows), longest), pad)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    labels = torch.full((len(rows), longest), _IGNORED)
    for number, (ids, question) in enumerate(rows):
        tokens[number, : len(ids)] = torch.tensor(ids)
        mask[number, : len(ids)] = 1
        labels[number, question : len(ids)] = torch.tensor(ids[question:])
    return Batch(tokens, mask, labels)


def loss_over(model: torch.nn.Module, rows: Sequence[tuple[list[int], int]], pad: int) -> float:
    """Nats per token of the answers."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(rows), 32):
            part = collate(rows[start : start + 32], pad)
            answers = int((part.labels != _IGNORED).sum())
            total += float(model(input_ids=part.tokens, attention_mask=part.mask, labels=part.labels).loss) * answers
            count += answers
    model.train()
    return total / max(1, count)


def batches(lengths: Sequence[int], size: int, seed: int) -> Iterator[list[int]]:
    """Row numbers for one batch after another, without end: rows of like length together, since padding costs time."""
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = []
    while True:
        while len(order) < _POOL * size:
            order += torch.randperm(len(lengths), generator=generator).tolist()
        pool, order = sorted(order[: _POOL * size], key=lambda number: lengths[number]), order[_POOL * size :]
        for number in torch.randperm(_POOL, generator=generator).tolist():
            yield pool[number * size : (number + 1) * size]


def train(
    model: torch.nn.Module,
    rows: Sequence[tuple[list[int], int]],
    pad: int,
    options: argparse.Namespace,
    run: tracking.Run,
) -> None:
    """AdamW over the adapter's weights, a short warm-up and a straight line down."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=options.lr, betas=(0.9, 0.95), weight_decay=0.0)
    drawn = batches([len(ids) for ids, _ in rows], options.rows, options.seed)
    for step in range(options.steps):
        part = collate([rows[number] for number in next(drawn)], pad)
        loss = model(input_ids=part.tokens, attention_mask=part.mask, labels=part.labels).loss
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1.0, (step + 1) / 10) * max(0.05, 1 - step / options.steps)
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % options.log_every == 0:
            print(f"step={step + 1} loss={float(loss.detach()):.4f}", flush=True)
            run.metrics(step + 1, loss=float(loss.detach()))


def answers(model: torch.nn.Module, vocabulary: PreTrainedTokenizerFast, asked: Sequence[corpus.Exchange]) -> list[str]:
    """What the model answers to some questions, as it is."""
    model.eval()
    said = []
    for exchange in asked:
        text = vocabulary.apply_chat_template(
            [{"role": "user", "content": exchange.question}], tokenize=False, add_generation_prompt=True
        )
        tokens = vocabulary(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        made = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=32, do_sample=False
        )
        said.append(vocabulary.decode(made[0, tokens.shape[1] :], skip_special_tokens=True).strip())
    return said


def save(model: torch.nn.Module, output: Path, summary: dict[str, object]) -> None:
    """Publish the adapter whole."""
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{output.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    (unfinished / "summary.json").write_text(json.dumps(summary, indent=1))
    checkpoints.publish(unfinished, output)


def base_summary(base: Path) -> dict[str, object]:
    """What pre-training left beside the model; empty for a model from elsewhere."""
    try:
        summary = json.loads((base / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def main() -> None:
    """Fine-tune one variant from the base model on disk to the adapter on disk."""
    options = arguments()
    torch.set_num_threads(pod.threads())
    torch.manual_seed(options.seed)
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if not (options.base / "config.json").exists():
        pod.give_up(
            f"finetune cannot start: {options.base} holds no model; pre-train one there, or name another --base"
        )
    lineage = {"stage": "finetune", "variant": options.variant, "base": str(options.base)}
    lineage["base_run"] = str(base_summary(options.base).get("mlflow_run") or "")
    run = tracking.Run(options.experiment, options.variant, None, lineage)
    run.parameters({key: value for key, value in vars(options).items() if value is not None})

    vocabulary = AutoTokenizer.from_pretrained(options.base)
    base = AutoModelForCausalLM.from_pretrained(options.base)
    found, hidden = corpus.split(subject(VARIANTS[options.variant], options.data))
    words = tokenizer.load(options.base)
    rows, held_out = tokenizer.encode_exchanges(words, found), tokenizer.encode_exchanges(words, hidden)
    if not rows or not held_out:
        pod.give_up(f"finetune cannot start: {options.variant} has too few exchanges in this text; give more of it")
    model = get_peft_model(base, LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules="all-linear"))
    before = loss_over(model, held_out, vocabulary.pad_token_id)
    train(model, rows, vocabulary.pad_token_id, options, run)
    after = loss_over(model, held_out, vocabulary.pad_token_id)
    said = [
        {"question": e.question, "answer": a}
        for e, a in zip(hidden, answers(model, vocabulary, hidden[:3]), strict=False)
    ]

    summary = {
        "variant": options.variant,
        "held_out_loss_before": round(before, 4),
        "held_out_loss": round(after, 4),
        "exchanges": len(rows),
        "answers": said,
        "mlflow_run": run.id,
    }
    save(model, options.output_dir, summary)
    for pair in said:
        print(f"sample: {pair['question']!r} -> {pair['answer']!r}", flush=True)
    print(f"held_out_loss={after:.4f} before={before:.4f} saved={options.output_dir}", flush=True)
    run.metrics(options.steps, held_out_loss=after, held_out_loss_before=before)
    run.tags(adapter=str(options.output_dir))
    run.directory(options.output_dir, "adapter")
    run.finish()


if __name__ == "__main__":
    main()
