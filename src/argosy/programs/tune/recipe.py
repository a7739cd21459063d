"""The training itself: a causal language model, every weight of it or a LoRA adapter, on one process or on many.

Called by `__main__`. The loss is counted on the answers only, unless asked otherwise. What comes out lies in the output
directory as `save_pretrained` writes it, ready to be served.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForCausalLM, AutoTokenizer

from argosy.programs import pod
from argosy.programs.tune import rows
from argosy.programs.tune.settings import Settings

_IGNORED = -100
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_LOG_EVERY_STEPS = 10


def run(asked: Settings) -> None:
    """Train, and save. Raises ValueError or OSError with a sentence."""
    if asked.dtype not in _DTYPES:
        raise ValueError(f"dtype={asked.dtype} is not known; use {' or '.join(_DTYPES)}")
    torch.set_num_threads(pod.threads())
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    torch.manual_seed(asked.seed)
    place = pod.path(asked.model)
    if not (place / "config.json").exists():
        raise ValueError(f"there is no model at {asked.model}; fetch one with spec.initializer.model")
    vocabulary = AutoTokenizer.from_pretrained(place)
    model = AutoModelForCausalLM.from_pretrained(place, dtype=_DTYPES[asked.dtype])
    if asked.lora is not None:
        model = get_peft_model(model, _adapter(asked, model))
    model.to(device).train()
    examples = [_tokens(vocabulary, asked, pair) for pair in rows.pairs(pod.path(asked.data.files), asked.data)]
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if rank == 0:
        print(f"{len(examples)} rows, {trained} trainable weights, {world} processes on {device.type}", flush=True)
    _train(DistributedDataParallel(model) if world > 1 else model, examples, asked, (rank, world, device))
    if rank == 0:
        output = pod.path(asked.output)
        model.save_pretrained(output)
        vocabulary.save_pretrained(output)
        print(f"saved to {asked.output}", flush=True)
    if world > 1:
        dist.destroy_process_group()


def _adapter(asked: Settings, model: Any) -> LoraConfig:
    assert asked.lora is not None, "asked for"
    there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    modules = [name for name in asked.lora.modules if name in there]
    if not modules:
        raise ValueError(
            f"the model has none of the modules {', '.join(asked.lora.modules)}; see model.lora_attn_modules"
        )
    return LoraConfig(
        r=asked.lora.rank,
        lora_alpha=int(asked.lora.alpha),
        lora_dropout=asked.lora.dropout,
        target_modules=modules,
        use_dora=asked.lora.dora,
        task_type="CAUSAL_LM",
    )


def _tokens(vocabulary: Any, asked: Settings, pair: tuple[str, str]) -> tuple[list[int], list[int]]:
    """(tokens, labels) of one row, cut to the longest that is allowed."""
    prompt = vocabulary(pair[0])["input_ids"]
    answer = vocabulary(pair[1], add_special_tokens=False)["input_ids"] + [vocabulary.eos_token_id or 0]
    labels = (prompt if asked.data.train_on_input else [_IGNORED] * len(prompt)) + answer
    return (prompt + answer)[: asked.length_max], labels[: asked.length_max]


def _train(model: Any, examples: list[Any], asked: Settings, where: tuple[int, int, torch.device]) -> None:
    rank, _, device = where
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=asked.lr, weight_decay=0.01)
    step = 0
    for epoch in range(1, asked.epochs + 1):
        steps, losses = 0, []
        for number, (tokens, labels, mask) in enumerate(_batches(examples, asked, where, epoch), start=1):
            loss = model(input_ids=tokens.to(device), labels=labels.to(device), attention_mask=mask.to(device)).loss
            (loss / asked.accumulate).backward()
            losses.append(float(loss.detach()))
            if number % asked.accumulate:
                continue
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step, steps = step + 1, steps + 1
            if rank == 0 and step % _LOG_EVERY_STEPS == 0:
                print(f"step={step} epoch={epoch} loss={losses[-1]:.4f}", flush=True)
            if asked.steps_max is not None and steps >= asked.steps_max:
                break
        if rank == 0:
            print(f"epoch={epoch} steps={steps} mean_loss={sum(losses) / max(len(losses), 1):.4f}", flush=True)


def _batches(
    examples: list[Any], asked: Settings, where: tuple[int, int, torch.device], epoch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The share that a rank has of an epoch, padded batch by batch; every rank has as many."""
    rank, world, _ = where
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(asked.seed + epoch)).tolist()
    share = -(-len(order) // world)
    mine = (order * world)[rank : share * world : world]
    for start in range(0, len(mine), asked.batch_size):
        part = [examples[i] for i in mine[start : start + asked.batch_size]]
        longest = max(len(tokens) for tokens, _ in part)
        tokens = torch.zeros((len(part), longest), dtype=torch.long)
        labels = torch.full((len(part), longest), _IGNORED)
        mask = torch.zeros((len(part), longest), dtype=torch.long)
        for row, (ids, wanted) in enumerate(part):
            tokens[row, : len(ids)] = torch.tensor(ids)
            labels[row, : len(ids)] = torch.tensor(wanted)
            mask[row, : len(ids)] = 1
        yield tokens, labels, mask
