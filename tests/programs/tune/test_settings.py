"""torchtune's command line, and the rows that it trains on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from argosy.programs.tune import rows, settings
from argosy.programs.tune.settings import Data


def test_what_kubeflows_client_writes_is_understood() -> None:
    asked = settings.read(
        [
            "run", "--rdzv_endpoint=job-node-0-0.job:29500", "lora_finetune_distributed", "--config", "x_lora",
            "output_dir=/workspace/output", "checkpointer.checkpoint_dir=/workspace/model", "dtype=bf16", "batch_size=4",
            "epochs=2", "model.lora_rank=4", "model.lora_attn_modules=[q_proj,output_proj]", "model.apply_lora_to_mlp=True",
            "dataset=torchtune.datasets.instruct_dataset", "dataset.data_dir=/workspace/dataset/data",
            "dataset.column_map.output=answer", "dataset.train_on_input=True",
        ]
    )  # fmt: skip
    assert asked.distributed
    assert asked.meet_at == "job-node-0-0.job:29500"
    assert (asked.dtype, asked.batch_size, asked.epochs, asked.lr) == ("bf16", 4, 2, 3e-4)
    assert asked.lora is not None
    assert asked.lora.modules == ("q_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert (asked.lora.rank, asked.lora.alpha) == (4, 16)
    assert asked.data == Data("/workspace/dataset/data", {"output": "answer"}, train_on_input=True)


def test_a_full_recipe_has_no_adapter() -> None:
    asked = settings.read(["run", "full_finetune_single_device", "--config", "x"])
    assert asked.lora is None
    assert not asked.distributed
    assert (asked.model, asked.output) == ("/workspace/model", "/workspace/output")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["ls"], "only `tune run"),
        (["run", "batch_size=2"], "name a recipe"),
        (["run", "qat_distributed"], "qat_distributed is not known"),
        (["run", "lora_finetune_single_device", "batch_size=many"], "batch_size=many is no whole number"),
        (["run", "lora_finetune_single_device", "model.quantize_base=True"], "QLoRA"),
    ],
)
def test_what_makes_no_sense_is_said(argv: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings.read(argv)


def test_rows_come_out_of_every_format(tmp_path: Path) -> None:
    row = {"instruction": "add", "input": "1 2", "answer": "3"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.json").write_text(json.dumps([{**row, "input": ""}, {"instruction": "no answer"}]))
    (tmp_path / "c.csv").write_text("instruction,input,answer\nadd,2 2,4\n")
    made = rows.pairs(tmp_path, Data(str(tmp_path), {"output": "answer"}))
    assert [answer for _, answer in made] == ["3", "3", "4"]
    assert "### Input:\n1 2" in made[0][0]
    assert "### Input" not in made[1][0]


def test_rows_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no \.json"):
        rows.pairs(tmp_path, Data(str(tmp_path)))
    (tmp_path / "a.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(ValueError, match="column 'output'"):
        rows.pairs(tmp_path, Data(str(tmp_path)))
