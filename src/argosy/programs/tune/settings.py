"""torchtune's command line as values: the settings that Kubeflow's client writes, with torchtune's own defaults. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")
_NAMES = {"output_proj": "o_proj"}
"""torchtune's names of modules, where transformers has another."""
_MLP = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Lora:
    """The adapter."""

    rank: int
    alpha: float
    dropout: float
    modules: tuple[str, ...]
    dora: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Where the rows are and which of their columns say what."""

    files: str
    """A file or a directory."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Ours (`instruction`, `input`, `output`) to theirs."""
    train_on_input: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """One run."""

    distributed: bool
    meet_at: str
    model: str
    output: str
    data: Data
    lora: Lora | None
    """None trains every weight."""
    dtype: str
    epochs: int
    batch_size: int
    accumulate: int
    """Batches for each step of the optimizer."""
    lr: float
    steps_max: int | None
    """Steps an epoch at most."""
    length_max: int
    seed: int


def read(argv: Sequence[str]) -> Settings:
    """Read the words after `tune`. Raises ValueError with a sentence."""
    words = list(argv)
    if not words or words.pop(0) != "run":
        raise ValueError("only `tune run RECIPE --config NAME key=value …` is understood")
    options = [word for word in words if word.startswith("--")]
    plain = [word for word in words if not word.startswith("--")]
    if not plain or "=" in plain[0]:
        raise ValueError("name a recipe, such as lora_finetune_single_device")
    recipe = plain[0]
    if not recipe.startswith(("lora_", "full_")):
        raise ValueError(f"the recipe {recipe} is not known; use one of lora_finetune_* and full_finetune_*")
    given = dict(word.partition("=")[::2] for word in plain[1:] if "=" in word)
    if _true(given.get("model.quantize_base", "")):
        raise ValueError("a quantized base (QLoRA) needs torchtune itself; leave model.quantize_base out")
    meet = next((option.partition("=")[2] for option in options if option.startswith("--rdzv_endpoint=")), "")
    steps = given.get("max_steps_per_epoch", "")
    return Settings(
        distributed=recipe.endswith("_distributed"),
        meet_at=meet,
        model=given.get("checkpointer.checkpoint_dir") or "/workspace/model",
        output=given.get("output_dir") or "/workspace/output",
        data=_data(given),
        lora=_lora(given) if recipe.startswith("lora_") else None,
        dtype=given.get("dtype") or "fp32",
        epochs=_number(given, "epochs", 1),
        batch_size=_number(given, "batch_size", 2),
        accumulate=_number(given, "gradient_accumulation_steps", 1),
        lr=float(given.get("optimizer.lr") or (3e-4 if recipe.startswith("lora_") else 2e-5)),
        steps_max=int(steps) if steps.isdigit() else None,
        length_max=_number(given, "tokenizer.max_seq_len", 512),
        seed=_number(given, "seed", 1),
    )


def _data(given: Mapping[str, str]) -> Data:
    prefix = "dataset.column_map."
    columns = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
    files = given.get("dataset.data_files") or given.get("dataset.data_dir") or "/workspace/dataset"
    return Data(files, columns, _true(given.get("dataset.train_on_input", "")))


def _lora(given: Mapping[str, str]) -> Lora:
    text = given.get("model.lora_attn_modules", "").strip("[]")
    modules = [_NAMES.get(name.strip(), name.strip()) for name in text.split(",") if name.strip()] or list(_MODULES)
    if _true(given.get("model.apply_lora_to_mlp", "")):
        modules += _MLP
    return Lora(
        rank=_number(given, "model.lora_rank", 8),
        alpha=float(given.get("model.lora_alpha") or 16),
        dropout=float(given.get("model.lora_dropout") or 0.0),
        modules=tuple(dict.fromkeys(modules)),
        dora=_true(given.get("model.use_dora", "")),
    )


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, "")
    if text and not (text.isdigit() and int(text) > 0):
        raise ValueError(f"{name}={text} is no whole number over 0")
    return int(text) if text else default


def _true(text: str) -> bool:
    return text.strip().lower() == "true"
