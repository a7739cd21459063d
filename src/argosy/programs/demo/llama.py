"""A Llama in eighty lines of PyTorch, with the names and numbers of transformers' `LlamaForCausalLM`.

Training needs no more than this, and a rank that is restarted has torch alone to import: three seconds less than with
transformers. What `export` writes is an ordinary Hugging Face model directory; a test holds the two to equal logits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers that make a Llama. Heads are 32 wide, the feed-forward is three times the width."""

    vocabulary: int
    hidden: int = 128
    layers: int = 4
    context: int = 512
    theta: float = 10_000.0
    epsilon: float = 1e-6

    @property
    def heads(self) -> int:
        """Attention heads; none are shared between queries."""
        return max(1, self.hidden // 32)

    def config(self, specials: Mapping[str, int]) -> dict[str, object]:
        """`config.json`, as transformers reads it."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": 3 * self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "head_dim": self.hidden // self.heads,
            "max_position_embeddings": self.context,
            "rope_theta": self.theta,
            "rms_norm_eps": self.epsilon,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
            **specials,
        }


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.k_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.v_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)
        self.o_proj = nn.Linear(shape.hidden, shape.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(rows, tokens, hidden) -> the same."""
        rows, tokens, hidden = x.shape
        q, k, v = (
            projection(x).view(rows, tokens, self.heads, -1).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = functional.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, tokens, hidden))
        return out


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (i, i + half) of a head by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, 3 * shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.hidden, 3 * shape.hidden, bias=False)
        self.down_proj = nn.Linear(3 * shape.hidden, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(…, hidden) -> the same."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """Attention, then feed-forward, each on a normalised copy and added back."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = nn.RMSNorm(shape.hidden, eps=shape.epsilon)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, eps=shape.epsilon)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(rows, tokens, hidden) -> the same."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Body(nn.Module):
    """Embedding, layers, last norm: what transformers calls `model`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=shape.epsilon)


class Llama(nn.Module):
    """The whole model; the embedding is also the output."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        size = shape.hidden // shape.heads
        frequencies = shape.theta ** (-torch.arange(0, size, 2).float() / size)
        angles = torch.outer(torch.arange(shape.context).float(), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """(rows, tokens) -> logits (rows, tokens, vocabulary)."""
        x = self.model.embed_tokens(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        return functional.linear(self.model.norm(x), self.model.embed_tokens.weight)


def loss_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean nats per token of saying each next token."""
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def continue_text(model: Llama, tokens: list[int], count: int, end: int, temperature: float = 0.7) -> list[int]:
    """Sample up to `count` more tokens, the same ones each time; for a look at the model, not for serving."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        with torch.no_grad():
            logits = model(torch.tensor([tokens[-model.shape.context :]]))[0, -1]
        best, where = (logits / temperature).topk(40)
        chosen = int(where[torch.multinomial(best.softmax(-1), 1, generator=generator)])
        if chosen == end:
            break
        tokens = [*tokens, chosen]
    return tokens


def export(model: Llama, directory: Path, specials: Mapping[str, int]) -> None:
    """Write the model as transformers' `save_pretrained` would, tokenizer apart."""
    from safetensors.torch import save_file  # noqa: PLC0415  (once, at the end)

    (directory / "config.json").write_text(json.dumps(model.shape.config(specials), indent=1))
    generation = {name: value for name, value in specials.items() if value is not None}
    (directory / "generation_config.json").write_text(json.dumps(generation, indent=1))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
