"""The batch against transformers' own `generate`; skipped where torch is not installed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from argosy.programs.model_server.batch import Batch, choose  # noqa: E402
from argosy.programs.model_server.loading import Loaded, LoadError, load  # noqa: E402
from argosy.programs.model_server.openai import Params  # noqa: E402
from argosy.programs.model_server.rows import Row  # noqa: E402
from argosy.programs.model_server.settings import Settings  # noqa: E402

GREEDY = Params(max_tokens=12, temperature=0.0)
PROMPTS = [[5, 9, 3], [7], [11, 2, 3, 4, 5, 6, 8, 10, 12], [20, 21], [1, 1, 1, 1, 30]]


def save_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    letters = Tokenizer(models.WordLevel({f"w{number}": number for number in range(64)}, unk_token="w0"))
    PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="w0").save_pretrained(directory)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with two LoRA adapters that matter."""
    from transformers import LlamaConfig, LlamaForCausalLM

    directory = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(directory)
    save_tokenizer(directory)
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        base = LlamaForCausalLM.from_pretrained(directory)
        tuned = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
        tuned.save_pretrained(directory / name)
    return directory


@pytest.fixture(scope="module")
def loaded(saved: Path) -> Loaded:
    return load(settings(saved, one=str(saved / "one"), two=str(saved / "two")))


def settings(directory: Path, **adapters: str) -> Settings:
    return Settings(name="m", source=str(directory), is_directory=True, adapters=adapters)


def alone(loaded: Loaded, prompt: list[int], adapter: str, count: int) -> list[int]:
    """The tokens that `generate` makes of one prompt."""
    model = loaded.model
    if adapter:
        model.base_model.enable_adapter_layers()
        model.set_adapter(adapter)
    else:
        model.base_model.disable_adapter_layers()
    tokens = torch.tensor([prompt])
    made = model.generate(
        input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=count, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return [int(token) for token in made[0, len(prompt) :]]


def collect(batch: Batch, said: dict[int, list[int]]) -> None:
    for row in batch.rows:
        said.setdefault(id(row), []).append(row.last)


@pytest.mark.parametrize(
    "adapters", [("",) * 5, ("one",) * 5, ("", "one", "two", "one", "")], ids=["base", "one adapter", "mixed"]
)
def test_rows_come_and_go_and_each_is_as_if_alone(loaded: Loaded, adapters: tuple[str, ...]) -> None:
    wanted = [alone(loaded, prompt, adapter, 12) for prompt, adapter in zip(PROMPTS, adapters, strict=True)]
    rows = [Row(prompt, GREEDY, adapter) for prompt, adapter in zip(PROMPTS, adapters, strict=True)]
    said: dict[int, list[int]] = {}
    batch = Batch(loaded)
    arrivals = {0: rows[:2], 3: rows[2:4], 5: rows[4:]}
    for turn in range(40):
        if batch.rows:
            batch.step()
        if turn in arrivals:
            batch.admit(arrivals[turn])
        collect(batch, said)
        batch.keep([number for number, row in enumerate(batch.rows) if len(said[id(row)]) < 12])
        if turn > 5 and not batch.rows:
            break
    assert [said[id(row)] for row in rows] == wanted


def test_adapters_matter(loaded: Loaded) -> None:
    assert len({tuple(alone(loaded, PROMPTS[0], adapter, 12)) for adapter in ("", "one", "two")}) == 3


def draw(params: Params, logits: list[float], times: int) -> Counter[int]:
    rows = [Row([1], params) for _ in range(times)]
    if params.seed is not None:
        for row in rows:
            row.random = torch.Generator().manual_seed(params.seed)
    choose(torch.tensor([logits] * times), rows)
    return Counter(row.last for row in rows)


def test_sampling_follows_the_chances() -> None:
    torch.manual_seed(0)
    drawn = draw(Params(1, temperature=1.0), [0.0, 0.0, -20.0], 2000)
    assert abs(drawn[0] - 1000) < 120
    assert drawn[2] == 0
    cold = draw(Params(1, temperature=0.1), [1.0, 0.0, 0.0], 500)
    assert cold[0] == 500


def test_the_nucleus_keeps_the_likeliest() -> None:
    torch.manual_seed(0)
    assert set(draw(Params(1, top_p=0.5), [2.0, 1.0, 0.0], 500)) == {0}
    assert set(draw(Params(1, top_p=0.9), [2.0, 1.0, -1.0], 500)) == {0, 1}


def test_a_seed_decides() -> None:
    assert len(draw(Params(1, seed=4), [0.0] * 50, 20)) == 1
    assert len(draw(Params(1), [0.0] * 50, 20)) > 1


def test_penalties_push_away_from_what_was_said() -> None:
    row = Row([1], Params(1, temperature=0.0, presence_penalty=1.0, frequency_penalty=0.5))
    chosen = []
    for _ in range(4):
        choose(torch.tensor([[2.0, 1.9, 0.0]]), [row])
        chosen.append(row.last)
    assert chosen == [0, 1, 0, 1]


def test_a_damaged_model_is_one_sentence(saved: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(LoadError, match="cannot be loaded as a model"):
        load(settings(tmp_path))


def test_an_adapter_of_another_model_is_one_sentence(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "target_modules": ["nothing_like_it"]}')
    with pytest.raises(LoadError, match="the adapter odd does not fit"):
        load(settings(saved, odd=str(tmp_path)))


def test_a_context_can_be_made_smaller(saved: Path) -> None:
    made: Any = load(Settings(name="m", source=str(saved), is_directory=True, context_max=32))
    assert (made.context, made.ends, made.adapters) == (32, frozenset({0}), ())
