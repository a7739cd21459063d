"""From paths to a model in memory. What is wrong with a path is found before torch is imported, in one sentence.

Called by `engine`, in its thread; `check` by `__main__`, before anything else.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.programs import pod
from argosy.programs.model_server.settings import Settings

_WEIGHTS = ("*.safetensors", "*.bin")
_LAYERS = frozenset({"full_attention", "sliding_attention", "chunked_attention"})


class LoadError(Exception):
    """The model cannot be served; the message is one sentence with the next step."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to generate. `model` is a transformers model, or peft's wrapper when there are adapters."""

    model: Any
    tokenizer: Any
    context: int
    ends: frozenset[int]
    """Tokens that end an answer."""
    adapters: tuple[str, ...]
    device: Any


def check(settings: Settings) -> None:
    """Look at what can be looked at without torch. Raises LoadError."""
    if settings.is_directory:
        directory = Path(settings.source)
        if not directory.is_dir():
            raise LoadError(f"{directory} is not a directory; give the directory that save_pretrained wrote")
        if not (directory / "config.json").is_file():
            raise LoadError(f"{directory} holds no model: config.json is missing; train one there, or correct the path")
        if not any(next(directory.glob(pattern), None) for pattern in _WEIGHTS):
            raise LoadError(f"{directory} holds no weights (*.safetensors); was the model saved to its end?")
    for name, path in settings.adapters.items():
        config = Path(path) / "adapter_config.json"
        if not config.is_file():
            raise LoadError(f"the adapter {name} is not at {path}: {config.name} is missing; correct --lora-modules")
        try:
            kind = json.loads(config.read_text()).get("peft_type")
        except (ValueError, AttributeError):
            raise LoadError(f"the adapter {name} has a damaged {config}; save it again") from None
        if kind != "LORA":
            raise LoadError(f"the adapter {name} is of type {kind}; only LoRA adapters are served")


def load(settings: Settings) -> Loaded:
    """Read everything. Takes seconds. Raises LoadError."""
    import torch  # noqa: PLC0415  (after the socket is open)
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    torch.set_num_threads(pod.threads())
    torch.set_grad_enabled(False)
    device = torch.device(_device(settings.device, torch.cuda.is_available()))
    dtype = "auto" if settings.dtype == "auto" else getattr(torch, settings.dtype, None)
    if dtype is None:
        raise LoadError(f"--dtype {settings.dtype} is none of auto, float32, bfloat16, float16")
    if settings.dtype == "auto" and device.type == "cpu":
        dtype = torch.float32  # half precision is slower than single on most CPUs
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.source)
        model = AutoModelForCausalLM.from_pretrained(settings.source, dtype=dtype)
    except Exception as error:  # each library has its own ways to refuse a damaged file
        raise LoadError(f"{settings.source} cannot be loaded as a model: {_first_line(error)}") from error
    unusual = set(getattr(model.config, "layer_types", None) or ()) - _LAYERS
    if unusual:
        raise LoadError(f"{settings.source} has layers ({', '.join(sorted(unusual))}) that this server cannot batch")
    if settings.adapters:
        model = _with_adapters(model, settings.adapters)
    model = model.to(device).eval()
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        context=context_of(model.config, settings.context_max),
        ends=frozenset(_ends(model, tokenizer)),
        adapters=tuple(settings.adapters),
        device=device,
    )


def _with_adapters(model: Any, adapters: Mapping[str, str]) -> Any:
    from peft import PeftModel  # noqa: PLC0415  (two seconds, for those who need it)

    wrapped: Any = None
    for name, path in adapters.items():
        try:
            if wrapped is None:
                wrapped = PeftModel.from_pretrained(model, path, adapter_name=name)
            else:
                wrapped.load_adapter(path, adapter_name=name)
        except Exception as error:
            raise LoadError(f"the adapter {name} does not fit the model: {_first_line(error)}") from error
    return wrapped


def context_of(config: Any, asked: int) -> int:
    """Tokens of prompt and answer: what the model was made for, or less when less is asked for."""
    made_for = getattr(config, "max_position_embeddings", None) or 4096
    return min(made_for, asked) if asked > 0 else made_for


def _ends(model: Any, tokenizer: Any) -> Sequence[int]:
    found = [tokenizer.eos_token_id]
    for config in (model.config, getattr(model, "generation_config", None)):
        given = getattr(config, "eos_token_id", None)
        found += given if isinstance(given, list) else [given]
    return [token for token in found if token is not None]


def _device(asked: str, has_cuda: bool) -> str:
    if asked != "auto":
        return asked
    return "cuda" if has_cuda else "cpu"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
