"""Checkpoints of PyTorch training: saved in the background, whole, and read by another number of ranks."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from argosy.programs import checkpoints, saving  # noqa: E402

RANK = """
import os, sys, torch, torch.distributed as dist
from argosy.programs.saving import Checkpointer
steps, every = int(sys.argv[1]), int(sys.argv[2])
if "RANK" in os.environ:
    dist.init_process_group("gloo")
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 8))
if dist.is_initialized():
    from torch.distributed.fsdp import fully_shard
    fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
saver = Checkpointer(model, optimizer, every=every, values={"seen": 0})
print("from", saver.step, saver.values["seen"], flush=True)
for step in saver.steps(steps):
    generator = torch.Generator().manual_seed(step)
    loss = model(torch.randn(4, 8, generator=generator)).square().mean()
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    saver.values["seen"] += 4
print(f"loss {loss.item():.6f}", flush=True)
if dist.is_initialized():
    dist.destroy_process_group()
"""


def small(directory: Path, **options: object) -> tuple[object, saving.Checkpointer]:
    model = torch.nn.Linear(4, 4)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    return model, saving.Checkpointer(model, optimizer, directory=directory, **options)


def start(ranks: int, directory: Path, *argv: str) -> list[subprocess.Popen[str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**os.environ, "CHECKPOINT_DIR": str(directory), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    gang = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} if ranks > 1 else {}
    return [
        subprocess.Popen(
            [sys.executable, "-c", RANK, *argv],
            env=environ | gang | ({"RANK": str(rank)} if gang else {}),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(ranks)
    ]  # fmt: skip


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    said = []
    try:
        for process in processes:
            out, error = process.communicate(timeout=120)
            assert process.returncode == 0, error
            said.append(out)
    finally:
        for process in processes:
            process.kill()
    return said


def test_another_number_of_ranks_goes_on(tmp_path: Path) -> None:
    straight = finish(start(1, tmp_path / "straight", "6", "100"))[0].split("loss ")[1]
    assert finish(start(2, tmp_path / "c", "4", "2"))[0].startswith("from 0 0\n")
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path / "c")] == [2, 4]
    said = finish(start(1, tmp_path / "c", "6", "2"))[0]
    assert said.startswith("from 4 16\n")
    assert float(said.split("loss ")[1]) == pytest.approx(float(straight), rel=1e-4)


def test_when_one_rank_is_told_to_end_all_save_after_the_same_step_and_leave(tmp_path: Path) -> None:
    ranks = start(2, tmp_path, "1000000", "1000000")
    try:
        assert [rank.stdout.readline() for rank in ranks if rank.stdout] == ["from 0 0\n"] * 2
        ranks[1].send_signal(signal.SIGTERM)
        said = [rank.communicate(timeout=120)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [143, 143]
    (kept,) = checkpoints.complete(tmp_path)
    assert all(f"saved after step={checkpoints.step_of(kept)}\n" in each for each in said)
    assert finish(start(1, tmp_path, str(checkpoints.step_of(kept) + 1), "100"))[0].startswith(
        f"from {kept.name[5:].lstrip('0')} "
    )


def test_the_optimizer_waits_for_the_copy(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
    saver = saving.Checkpointer(model, optimizer, directory=tmp_path, every=1, keep=100)
    before = []
    for step in saver.steps(8):
        before.append([value.clone() for value in model.state_dict().values()])
        model(torch.randn(4, 64) + step).square().sum().backward()
        optimizer.step()
    for step in range(1, 8):
        other = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.BatchNorm1d(64))
        place = tmp_path / "other"
        place.mkdir(exist_ok=True)
        (tmp_path / f"step-{step:08d}").rename(place / f"step-{step:08d}")
        restored = saving.Checkpointer(other, torch.optim.AdamW(other.parameters()), directory=place)
        assert restored.step == step
        assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), before[step], strict=True))


def test_a_change_that_no_optimizer_made_is_found_out(tmp_path: Path) -> None:
    model, saver = small(tmp_path, every=1)
    assert isinstance(model, torch.nn.Module)
    held = threading.Event()
    saver._copier.submit(held.wait)  # so that the copy comes after the change
    for step in saver.steps(3):
        if step == 1:
            with torch.no_grad():
                model.weight.zero_()
            held.set()
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path)] == [2, 3]
    other, restored = small(tmp_path)
    assert isinstance(other, torch.nn.Module)
    assert restored.step == 3
    assert torch.equal(other.weight, torch.zeros(4, 4))


def test_only_the_newest_are_kept_and_half_ones_are_passed_over(tmp_path: Path) -> None:
    _, saver = small(tmp_path, keep=2)
    for step in (1, 2, 3):
        saver.step = step
        saver.save()
    saver.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    data = next((tmp_path / "step-00000003").glob("*.distcp"))
    with data.open("r+b") as file:
        file.truncate(data.stat().st_size // 2)
    assert small(tmp_path)[1].step == 2


def test_the_disk_s_own_word_is_found_in_the_errors_of_all_ranks() -> None:
    from torch.distributed.checkpoint.api import CheckpointException

    error = OSError(errno.ENOSPC, "No space left on device")
    assert saving._disk_error(CheckpointException("write", {1: (error, None)})) is error
    assert saving._disk_error(CheckpointException("write", {0: (ValueError("x"), None)})) is None


def test_without_a_place_nothing_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHECKPOINT_DIR", raising=False)
    model = torch.nn.Linear(2, 2)
    saver = saving.Checkpointer(model, every=1)
    assert list(saver.steps(3)) == [0, 1, 2]
