"""The command line, as KServe and vLLM people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from argosy.programs.model_server import settings
from argosy.programs.model_server.loading import LoadError, check, context_of


def read(*argv: str, **environ: str) -> settings.Settings:
    return settings.from_arguments(argv, environ)


def test_as_the_operator_writes_it() -> None:
    made = read(
        "--model_name=demo", "--model_dir=/mnt/models", "--http_port=8080", "--host=10.64.0.7",
        "--enable-lora", "--lora-modules", "a=/mnt/models/a", '{"name": "b", "path": "/mnt/b", "base_model_name": "x"}',
    )  # fmt: skip
    assert (made.name, made.source, made.port, made.host) == ("demo", "/mnt/models", 8080, "10.64.0.7")
    assert made.adapters == {"a": "/mnt/models/a", "b": "/mnt/b"}


def test_defaults() -> None:
    made = read("--model", "/models/base", POD_IP="127.70.0.2")
    assert (made.name, made.host, made.port, made.batch_max) == ("base", "127.70.0.2", 8080, 16)


def test_volumes_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt" / "models").symlink_to("/somewhere")
    made = read("--model_dir", "/mnt/models", "--lora-modules", "a=/mnt/models/a", ARGOSY_ROOT=str(tmp_path))
    assert made.source == f"{tmp_path}/mnt/models"
    assert made.adapters == {"a": f"{tmp_path}/mnt/models/a"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "give --model_dir"),
        (["--model_dir=x", "--http_port=many"], "invalid int value"),
        (["--model_dir=x", "--lora-modules", "nopath"], "write NAME=PATH"),
        (["--model_dir=x", "--model_name=a", "--lora-modules", "a=/x"], "give it another"),
        (["--model_dir=x", "--max_batch=0"], "at least 1"),
        (["--model_dir=x", "--what"], "unrecognized arguments"),
    ],
)
def test_mistakes_end_in_one_sentence(argv: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*argv)
    assert caught.value.code == 2
    errors = capfd.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_paths_are_checked_before_torch(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="is not a directory"):
        check(read("--model_dir", str(tmp_path / "absent")))
    with pytest.raises(LoadError, match=r"config\.json is missing"):
        check(read("--model_dir", str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LoadError, match="no weights"):
        check(read("--model_dir", str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"")
    check(read("--model_dir", str(tmp_path)))


@pytest.mark.parametrize(
    ("config", "said"),
    [(None, r"adapter_config\.json is missing"), ("{", "damaged"), ('{"peft_type":"IA3"}', "only LoRA")],
)
def test_adapters_are_checked_before_torch(tmp_path: Path, config: str | None, said: str) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    if config is not None:
        (adapter / "adapter_config.json").write_text(config)
    with pytest.raises(LoadError, match=said):
        check(read("--model_dir", str(tmp_path), "--lora-modules", f"a={adapter}"))


def test_the_context_is_what_the_model_was_made_for_or_less() -> None:
    class Config:
        max_position_embeddings = 512

    assert [context_of(Config, asked) for asked in (0, 100, 4096)] == [512, 100, 512]
    assert context_of(object(), 0) == 4096
