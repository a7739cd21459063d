"""The training itself, a few steps of it; skipped where torch is not installed."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("safetensors")

from argosy.programs import checkpoints  # noqa: E402
from argosy.programs.demo import corpus, llama, pretrain, tokenizer, tracking  # noqa: E402
from argosy.programs.demo.gang import LOST_PEER, Gang  # noqa: E402

TEXT = "The function returns a value. If there is none, it returns nothing.\n\n" * 800
SMALL = ["--steps", "6", "--rows", "4", "--length", "16", "--hidden", "32", "--layers", "1", "--log-every", "1"]


def options(**changes: object) -> argparse.Namespace:
    values = {
        "checkpoint_dir": None, "steps": 6, "rows": 4, "length": 16, "hidden": 32, "layers": 1, "matrix_lr": 0.03,
        "lr": 0.02, "checkpoint_every": 3, "log_every": 100, "seed": 1,
    }  # fmt: skip
    return argparse.Namespace(**(values | changes))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> pretrain.Data:
    text = tmp_path_factory.mktemp("text") / "text"
    text.write_text(TEXT)
    return pretrain.prepare(text, None)


def training(data: pretrain.Data, **changes: object) -> pretrain.Training:
    before = signal.getsignal(signal.SIGTERM)
    made = pretrain.Training(options(**changes), Gang(), data, tracking.Run("e", "r", None, {}, active=False))
    signal.signal(signal.SIGTERM, before)
    return made


def weights(made: pretrain.Training) -> list[float]:
    return [float(value.double().sum()) for value in made.model.state_dict().values()]


def test_a_resumed_run_is_the_run_that_was_not_stopped(data: pretrain.Data, tmp_path: Path) -> None:
    straight = training(data)
    straight.go()
    for step in range(5):
        stopped = training(data, checkpoint_dir=tmp_path)
        stopped.resume()
        assert stopped.step == step
        stopped.stop = True
        with pytest.raises(SystemExit):
            stopped.go()
    resumed = training(data, checkpoint_dir=tmp_path)
    resumed.resume()
    resumed.go()
    assert weights(resumed) == pytest.approx(weights(straight), rel=1e-6)
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path)] == [5, 6]


def test_sigterm_saves_and_ends(data: pretrain.Data, tmp_path: Path) -> None:
    made = training(data, checkpoint_dir=tmp_path)
    made.stop = True
    with pytest.raises(SystemExit) as caught:
        made.go()
    assert caught.value.code == 143
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path)] == [1]


def test_it_learns(data: pretrain.Data) -> None:
    made = training(data, steps=40)
    before = pretrain.held_out_loss(made.model, data.held_out, 16)
    made.go()
    after = pretrain.held_out_loss(made.model, data.held_out, 16)
    assert after < corpus.unigram_entropy(data.held_out.tolist()) < before


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_ranks_share_the_rows(size: int) -> None:
    rows = [row for rank in range(size) for row in pretrain.my_rows(Gang(rank, size), 16)]
    assert rows == list(range(16))


def test_prepared_data_is_kept(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text(TEXT)
    first = pretrain.prepare(text, tmp_path / "cache")
    text.unlink()
    again = pretrain.prepare(text, tmp_path / "cache")
    assert torch.equal(first.train, again.train)
    assert again.tokenizer.encode("value").ids == first.tokenizer.encode("value").ids


def test_the_exported_model_is_transformers_llama(data: pretrain.Data, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    ours = llama.Llama(llama.Shape(data.tokenizer.get_vocab_size(), 64, 2))
    llama.export(ours, tmp_path, tokenizer.specials(data.tokenizer))
    tokenizer.save(data.tokenizer, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    tokens = torch.randint(data.tokenizer.get_vocab_size(), (3, 40))
    with torch.no_grad():
        assert torch.allclose(ours(tokens), theirs(input_ids=tokens).logits, atol=1e-4)
    words = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert words("a value")["input_ids"] == data.tokenizer.encode("a value").ids
    asked = words.apply_chat_template([{"role": "user", "content": "q"}], tokenize=False, add_generation_prompt=True)
    exchange = corpus.Exchange("n", "q", "answer")
    ids, question = tokenizer.encode_exchanges(data.tokenizer, [exchange])[0]
    assert words(asked, add_special_tokens=False)["input_ids"] == ids[:question]
    assert theirs.config.eos_token_id == words.eos_token_id == ids[-1]


def test_batches_hold_rows_of_like_length_and_leave_none_out() -> None:
    pytest.importorskip("peft")
    from argosy.programs.demo import finetune

    lengths = [number % 50 for number in range(64)]
    drawn = finetune.batches(lengths, 8, seed=3)
    epoch = [next(drawn) for _ in range(8)]
    assert sorted(number for batch in epoch for number in batch) == list(range(64))
    assert max(max(lengths[n] for n in batch) - min(lengths[n] for n in batch) for batch in epoch) <= 10
    again = finetune.batches(lengths, 8, seed=3)
    assert [next(again) for _ in range(8)] == epoch


def start(rank: int, work: Path, *more: str) -> subprocess.Popen[str]:
    environ = {
        **os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.83.0.1", "MASTER_PORT": "29517",
        "POD_IP": f"127.83.0.{rank + 1}", "CHECKPOINT_DIR": str(work / "checkpoints"),
        "OUTPUT_DIR": str(work / "model"), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    environ.pop("MLFLOW_TRACKING_URI", None)
    argv = [sys.executable, "-m", "argosy.programs.demo.pretrain", "--data", str(work / "text"), *SMALL, *more]
    return subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
def test_two_ranks_lose_one_and_go_on_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    ranks = [start(rank, tmp_path, "--steps", "100000") for rank in range(2)]
    try:
        assert ranks[0].stdout
        for line in ranks[0].stdout:
            if line.startswith("step=30 "):
                break
        ranks[1].kill()
        said, _ = ranks[0].communicate(timeout=60)
        assert ranks[0].returncode == LOST_PEER, said
        saved = checkpoints.step_of(checkpoints.complete(tmp_path / "checkpoints")[-1])
        assert saved >= 30
        ranks += [start(rank, tmp_path, "--steps", str(saved + 5)) for rank in range(2)]
        said, _ = ranks[2].communicate(timeout=120)
        assert (ranks[2].returncode, ranks[3].wait(60)) == (0, 0), said
        assert f"at step {saved}" in said
        assert f"step={saved + 1} " in said
    finally:
        for process in ranks:
            process.kill()
            process.communicate()
    assert json.loads((tmp_path / "model" / "summary.json").read_text())["steps"] == saved + 5
