"""The checkpoint contract: complete or not there, whatever is killed when."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from argosy.programs import checkpoints


def save(directory: Path, step: int) -> Path:
    return checkpoints.save(directory, step, lambda where: _state(where, step))


def _state(where: Path, step: int) -> None:
    (where / checkpoints.STATE).write_text(str(step))


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (10, 20, 100):
        save(tmp_path, step)
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path)] == [20, 100]
    assert checkpoints.to_resume(tmp_path, {}) == tmp_path / "step-00000100"


def test_a_step_is_written_once(tmp_path: Path) -> None:
    first = save(tmp_path, 5)
    checkpoints.save(tmp_path, 5, lambda _: pytest.fail("it is there already"))
    assert (first / checkpoints.STATE).read_text() == "5"


def test_a_failed_write_leaves_the_earlier_ones(tmp_path: Path) -> None:
    save(tmp_path, 1)

    def fail(where: Path) -> None:
        (where / checkpoints.STATE).write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="is full"):
        checkpoints.save(tmp_path, 2, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def test_what_a_killed_writer_left_is_ignored_and_cleared(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / ".unfinished-00000002").mkdir()
    (tmp_path / "step-00000003").mkdir()  # without its marker
    assert checkpoints.to_resume(tmp_path, {}) == tmp_path / "step-00000001"
    save(tmp_path, 4)
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.mark.parametrize("asked", ["", "latest"])
def test_nothing_to_resume(tmp_path: Path, asked: str) -> None:
    assert checkpoints.to_resume(tmp_path / "absent", {"RESUME_FROM": asked}) is None
    assert checkpoints.to_resume(None, {}) is None


def test_resume_from_a_named_place(tmp_path: Path) -> None:
    one = save(tmp_path / "other", 7)
    save(tmp_path / "mine", 9)
    assert checkpoints.to_resume(tmp_path / "mine", {"RESUME_FROM": str(one)}) == one
    assert checkpoints.to_resume(tmp_path / "mine", {"RESUME_FROM": str(tmp_path / "other")}) == one
    with pytest.raises(FileNotFoundError, match="unset it to start anew"):
        checkpoints.to_resume(tmp_path / "mine", {"RESUME_FROM": str(tmp_path / "absent")})


def test_publishing_replaces_a_whole_directory(tmp_path: Path) -> None:
    for text in ("old", "new"):
        unfinished = tmp_path / "unfinished"
        unfinished.mkdir()
        (unfinished / "file").write_text(text)
        (unfinished / "file").chmod(0o600)
        checkpoints.publish(unfinished, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "file").read_text() == "new"
    assert (tmp_path / "model" / "file").stat().st_mode & 0o777 == 0o644


def test_half_a_checkpoint_is_never_resumed_from(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    newest = tmp_path / "step-00000002"
    (newest / checkpoints.STATE).write_text("")
    assert checkpoints.fault_of(newest) == "is cut: state.pt has 0 bytes of 1"
    assert checkpoints.to_resume(tmp_path, {}) == tmp_path / "step-00000001"
    (newest / checkpoints.STATE).unlink()
    assert checkpoints.fault_of(newest) == "lacks state.pt"
    with pytest.raises(FileNotFoundError, match=r"\(step-00000002 lacks state.pt\); unset it"):
        checkpoints.to_resume(tmp_path, {"RESUME_FROM": str(newest)})


def test_a_marker_of_any_program_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "step-7").mkdir()
    assert checkpoints.complete(tmp_path) == []
    (tmp_path / "step-7" / checkpoints.COMPLETE).touch()
    (tmp_path / "step-10").mkdir()
    (tmp_path / "step-10" / checkpoints.COMPLETE).touch()
    assert [checkpoints.step_of(path) for path in checkpoints.complete(tmp_path)] == [7, 10]


def test_a_restarted_job_goes_on_from_its_own(tmp_path: Path) -> None:
    other, own = save(tmp_path / "other", 100), save(tmp_path / "own", 3)
    asked = {"RESUME_FROM": str(other), "ARGOSY_RESTART_EPOCH": "0"}
    assert checkpoints.to_resume(tmp_path / "own", asked) == other
    assert checkpoints.to_resume(tmp_path / "own", asked | {"ARGOSY_RESTART_EPOCH": "1"}) == own
    assert checkpoints.to_resume(tmp_path / "none", asked | {"ARGOSY_RESTART_EPOCH": "1"}) == other


def test_a_full_volume_is_one_sentence(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"the checkpoint volume at .* is full \(\d+ MB are free\); enlarge it") as caught:
        checkpoints.save(tmp_path, 2, fail)
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_what_the_environment_says() -> None:
    assert checkpoints.directory_of({"CHECKPOINT_DIR": "/data/c"}) == Path("/data/c")
    assert checkpoints.directory_of({}) is None
    assert [checkpoints.epoch_of({"ARGOSY_RESTART_EPOCH": text}) for text in ("", "2", "x")] == [0, 2, 0]
