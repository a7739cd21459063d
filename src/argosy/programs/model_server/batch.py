"""The sequences that are generated together: one cache, one forward pass a token, rows that come and go.

Rows of different lengths are aligned at their ends; what a shorter one lacks on the left is masked. Each row may use an
adapter of its own. Used by `engine` alone, in its thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import DynamicCache

from argosy.programs.model_server.loading import Loaded
from argosy.programs.model_server.rows import Row

_BASE = "__base__"
_GREEDY_BELOW = 1e-5


class Batch:
    """Rows, and the cache of their attention; implements `rows.Rows`."""

    def __init__(self, loaded: Loaded) -> None:
        self.rows: list[Row] = []
        self._model, self._device = loaded.model, loaded.device
        self._has_adapters = bool(loaded.adapters)
        self._mode = "?"
        self._pad = min(loaded.ends, default=0)
        self._cache: Any = None
        self._mask: Any = None

    def admit(self, new: Sequence[Row]) -> None:
        """Read the prompts of new rows and choose the first token of each."""
        width = max(len(row.prompt) for row in new)
        tokens = [[self._pad] * (width - len(row.prompt)) + list(row.prompt) for row in new]
        mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in new]).to(self._device)
        cache = DynamicCache()
        logits = self._forward(torch.tensor(tokens), mask, (mask.cumsum(-1) - 1).clamp(min=0), cache, new)
        for row in new:
            row.length = len(row.prompt)
            if row.params.seed is not None:
                row.random = torch.Generator(self._device).manual_seed(row.params.seed & 0x7FFF_FFFF_FFFF_FFFF)
        choose(logits, new)
        self._join(cache, mask)
        self.rows.extend(new)

    def step(self) -> None:
        """One more token for every row."""
        rows = self.rows
        self._mask = functional.pad(self._mask, (0, 1), value=1)
        positions = torch.tensor([[row.length] for row in rows]).to(self._device)
        logits = self._forward(torch.tensor([[row.last] for row in rows]), self._mask, positions, self._cache, rows)
        for row in rows:
            row.length += 1
        choose(logits, rows)

    def keep(self, kept: Sequence[int]) -> None:
        """Drop all rows but these, and the columns that nobody needs any more."""
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[number] for number in kept]
        if not kept:
            self._cache = self._mask = None
            return
        where = torch.tensor(kept, device=self._device)
        self._mask = self._mask[where]
        empty = int(self._mask.any(0).int().argmax())
        self._mask = self._mask[:, empty:].contiguous()
        for layer in self._cache.layers:
            layer.keys = layer.keys[where, :, empty:].contiguous()
            layer.values = layer.values[where, :, empty:].contiguous()

    def _join(self, cache: Any, mask: Any) -> None:
        if self._cache is None:
            self._cache, self._mask = cache, mask
            return
        width = max(mask.shape[1], self._mask.shape[1])
        self._mask = torch.cat([_widen(self._mask, width, 1), _widen(mask, width, 1)])
        for ours, theirs in zip(self._cache.layers, cache.layers, strict=True):
            ours.keys = torch.cat([_widen(ours.keys, width, 2), _widen(theirs.keys, width, 2)])
            ours.values = torch.cat([_widen(ours.values, width, 2), _widen(theirs.values, width, 2)])

    def _forward(self, tokens: Any, mask: Any, positions: Any, cache: Any, rows: Sequence[Row]) -> Any:
        out = self._model(
            input_ids=tokens.to(self._device),
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **self._adapters(rows),
        )
        return out.logits[:, -1].float()

    def _adapters(self, rows: Sequence[Row]) -> dict[str, list[str]]:
        """Switch to the adapter of all rows, or name each row's when they differ (slower)."""
        if not self._has_adapters:
            return {}
        names = {row.adapter for row in rows}
        if len(names) > 1:
            self._switch(next(name for name in sorted(names) if name))
            return {"adapter_names": [row.adapter or _BASE for row in rows]}
        self._switch(names.pop())
        return {}

    def _switch(self, adapter: str) -> None:
        if adapter == self._mode:
            return
        if adapter:
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(adapter)
        else:
            self._model.base_model.disable_adapter_layers()
        self._mode = adapter


def _widen(tensor: Any, width: int, dimension: int) -> Any:
    """Zeros on the left of a dimension, up to a width."""
    missing = width - tensor.shape[dimension]
    if not missing:
        return tensor
    after = tensor.dim() - 1 - dimension
    return functional.pad(tensor, (0, 0) * after + (missing, 0))


def choose(logits: Any, rows: Sequence[Row]) -> None:
    """Draw the next token of each row as its parameters say."""
    for number, row in enumerate(rows):
        _penalize(logits[number], row)
    if all(row.params.temperature < _GREEDY_BELOW for row in rows):
        chosen = logits.argmax(-1)
    else:
        heat = torch.tensor([max(row.params.temperature, _GREEDY_BELOW) for row in rows], device=logits.device)
        chances = (logits / heat[:, None]).softmax(-1)
        if any(row.params.top_p < 1 for row in rows):
            chances = _nucleus(chances, torch.tensor([row.params.top_p for row in rows], device=logits.device))
        noise = torch.empty_like(chances).exponential_()
        for number, row in enumerate(rows):
            if row.random is not None:
                noise[number].exponential_(generator=row.random)
        chosen = (chances / noise).argmax(-1)
        greedy = torch.tensor([row.params.temperature < _GREEDY_BELOW for row in rows], device=logits.device)
        chosen = torch.where(greedy, logits.argmax(-1), chosen)
    for row, token in zip(rows, chosen.tolist(), strict=True):
        row.last = token
        row.said[token] += 1


def _penalize(logits: Any, row: Row) -> None:
    presence, frequency = row.params.presence_penalty, row.params.frequency_penalty
    if (presence or frequency) and row.said:
        tokens = torch.tensor(list(row.said), device=logits.device)
        counts = torch.tensor(list(row.said.values()), device=logits.device, dtype=logits.dtype)
        logits[tokens] -= presence + frequency * counts


def _nucleus(chances: Any, share: Any) -> Any:
    """Zero all but the likeliest tokens that together have the share; the likeliest always stays."""
    ordered, where = chances.sort(-1, descending=True)
    beyond = ordered.cumsum(-1) - ordered >= share[:, None]
    return chances.masked_fill(torch.zeros_like(beyond).scatter(-1, where, beyond), 0.0)
