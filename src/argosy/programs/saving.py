"""Checkpoints of PyTorch training that hardly hold it up: copied in memory beside the next step, written after that.

    checkpointer = Checkpointer(model, optimizer, every=100)
    for step in checkpointer.steps(1000):       # from 0, or from where the last run got to
        train(step)

Imported by training code as `argosy.sdk.checkpoint`, and travels with it like `checkpoints`. Works alone and in a process
group, for DDP and FSDP, and reads a checkpoint into another number of ranks than wrote it: the files are those of
`torch.distributed.checkpoint`. Needs PyTorch 2.4 or newer, which is imported when a `Checkpointer` is made.

Parameters and the optimizer's state change in `optimizer.step()` alone, so they are copied while the next step computes its
gradients, and only the optimizer waits for the copy. Whoever changes them elsewhere is found out by PyTorch's own version
counters (those of plain tensors, shards have none): that copy is thrown away, and from then on everything is copied before
`save` returns.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from argosy.programs import checkpoints
from argosy.programs.notice import Notice

Tree: TypeAlias = MutableMapping[str, Any]
"""Tensors and plain values by name, nested, as PyTorch's state dicts are."""
_MODEL, _OPTIMIZER = "model", "optimizer"
PROGRESS = "progress.json"
"""The step and the plain values, for whoever wants to read them without PyTorch."""


class Checkpointer:
    """Saves and restores a model, its optimizer and some plain values. Every rank makes one and calls it alike."""

    def __init__(
        self,
        model: Any,
        optimizer: Any = None,
        *,
        directory: Path | str | None = None,
        every: int = 100,
        keep: int = 2,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        """`directory`: default `$CHECKPOINT_DIR`; where there is neither, nothing is saved. `every`: steps. `values`: more
        state, as JSON has it; `values` of this object holds it after a restore. Raises FileNotFoundError as `to_resume` does.
        """
        import torch.distributed as dist  # noqa: PLC0415 - heavy, and optional

        self._model, self._optimizer = model, optimizer
        chosen = Path(directory) if directory else checkpoints.directory_of()
        self._directory, self._every, self._keep = chosen, every, keep
        self.values: Tree = dict(values or {})
        joined = dist.is_available() and dist.is_initialized()
        self._ranks = dist.get_world_size() if joined else 1
        self._leads = not joined or dist.get_rank() == 0
        # Collectives of the writing thread must not meet those of training.
        self._group = dist.new_group(backend="gloo") if joined else None
        self._thread, self._copier = ThreadPoolExecutor(1, "checkpoint"), ThreadPoolExecutor(1, "checkpoint-copy")
        self._writing: Future[None] | None = None
        self._copying: Future[bool] | None = None
        self._eager = self._owed = False
        optimizers = self._optimizers()
        self._hooked = bool(optimizers) and all(hasattr(each, "register_step_pre_hook") for each in optimizers)
        for each in optimizers if self._hooked else ():
            each.register_step_pre_hook(self._copied)
        self._copy: Tree = {}
        self.step = 0
        """Steps that are done; after a restore, those of the checkpoint."""
        self._restore()

    def steps(self, total: int) -> Iterator[int]:
        """The numbers of the steps that are left, saving every so often and after the last. When any rank is told to end
        (SIGTERM), all of them save after the same step and exit with 143.
        """
        near = _End(self._ranks) if self._directory is not None else None
        try:
            while self.step < total:
                yield self.step
                self.step += 1
                if near is not None and self.step < total and near.is_near():
                    self._save_and_leave(near.notice)
                if self.step % self._every == 0 or self.step == total or self._owed:
                    self.save()
            self.wait()
        finally:
            if near is not None:
                near.notice.close()

    def _save_and_leave(self, notice: Notice) -> NoReturn:
        self.save()
        self.wait()
        print(f"told to end: saved after step={self.step}", flush=True)
        notice.leave()

    def save(self) -> None:
        """Take the present state and write it in the background. Raises what the last write raised (OSError: the disk)."""
        if self._directory is None:
            return
        self.wait()
        if self.step and checkpoints.is_complete(checkpoints.place_of(self._directory, self.step)):
            return
        self._owed = False
        later = {_address(p) for p in self._model.parameters()} if self._hooked and not self._eager else set()
        copies = _Copies(later)
        copies.plan(self._copy, self._state(), of_optimizer=False)
        progress = json.dumps({"step": self.step, **self.values})
        if copies.waiting:
            self._copying = self._copier.submit(copies.finish)
        self._writing = self._thread.submit(self._write_when, self._copying, self._directory, self.step, progress)

    def wait(self) -> None:
        """Wait until nothing is being written any more. Raises what the write raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _copied(self, *_: object) -> None:
        """Before the optimizer changes anything: wait for the copy."""
        copying = self._copying
        if copying is not None:
            copying.result()

    def _write_when(self, copying: Future[bool] | None, directory: Path, step: int, progress: str) -> None:
        whole = copying is None or copying.result()
        self._copying = None
        if self._group is not None:
            whole = self._all(whole)
        if whole:
            self._write(directory, step, progress)
        else:
            self._eager = self._owed = True

    def _all(self, whole: bool) -> bool:
        """Whether it is so on every rank."""
        import torch  # noqa: PLC0415
        import torch.distributed as dist  # noqa: PLC0415

        told = torch.tensor(int(whole))
        dist.all_reduce(told, dist.ReduceOp.MIN, group=self._group)
        return bool(told.item())

    def _write(self, directory: Path, step: int, progress: str) -> None:
        import torch.distributed as dist  # noqa: PLC0415
        import torch.distributed.checkpoint as dcp  # noqa: PLC0415

        unfinished = [str(checkpoints.begin(directory, step))] if self._leads else [""]
        if self._group is not None:
            dist.broadcast_object_list(unfinished, src=0, group=self._group)
        place = Path(unfinished[0])
        try:
            writer = dcp.FileSystemWriter(place, sync_files=False)
            with warnings.catch_warnings(action="ignore"):  # that a single process is single
                dcp.save(self._copy, storage_writer=writer, process_group=self._group, no_dist=self._group is None)
            _flush_own(place, dist.get_rank() if self._group is not None else 0)
            if self._group is not None:
                dist.barrier(self._group)
            if self._leads:
                (place / PROGRESS).write_text(progress)
                checkpoints.finish(place, step, self._keep)
        except BaseException as error:
            if self._leads:
                shutil.rmtree(place, ignore_errors=True)
            cause = _disk_error(error)
            if cause is not None:
                raise checkpoints.told(cause, directory) from error
            raise

    def _restore(self) -> None:
        import torch.distributed as dist  # noqa: PLC0415
        import torch.distributed.checkpoint as dcp  # noqa: PLC0415
        from torch.distributed.checkpoint.state_dict import set_state_dict  # noqa: PLC0415

        found: list[Any] = [checkpoints.to_resume(self._directory, os.environ) if self._leads else None]
        if self._group is not None:
            dist.broadcast_object_list(found, src=0, group=self._group)  # all resume from the same one
        if found[0] is None:
            return
        state = self._state()
        with warnings.catch_warnings(action="ignore"):
            dcp.load(state, checkpoint_id=found[0], process_group=self._group, no_dist=self._group is None)
        set_state_dict(
            self._model, self._optimizers(), model_state_dict=state[_MODEL], optim_state_dict=state.get(_OPTIMIZER, {})
        )
        progress = json.loads((found[0] / PROGRESS).read_text())
        self.step = int(progress.pop("step"))
        self.values |= progress

    def _state(self) -> Tree:
        from torch.distributed.checkpoint.state_dict import get_state_dict  # noqa: PLC0415

        model, optimizer = get_state_dict(self._model, self._optimizers())
        return {_MODEL: model} | ({_OPTIMIZER: optimizer} if self._optimizers() else {})

    def _optimizers(self) -> Sequence[Any]:
        if self._optimizer is None:
            return ()
        return self._optimizer if isinstance(self._optimizer, list | tuple) else (self._optimizer,)


class _End:
    """Whether any rank was told to end: asked after every step, answered one step later, so that nobody waits for it."""

    def __init__(self, ranks: int) -> None:
        import torch.distributed as dist  # noqa: PLC0415

        self.notice = Notice({})  # the ranks speak to each other, not through files
        self._group = dist.new_group(backend="gloo") if ranks > 1 else None
        self._asked: tuple[Any, Any] | None = None

    def is_near(self) -> bool:
        """The same on every rank."""
        import torch  # noqa: PLC0415
        import torch.distributed as dist  # noqa: PLC0415

        if self._group is None:
            return self.notice.came
        near = False
        if self._asked is not None:
            work, told = self._asked
            work.wait()
            near = bool(told.item())
        told = torch.tensor(int(self.notice.came))
        self._asked = (dist.all_reduce(told, dist.ReduceOp.MAX, group=self._group, async_op=True), told)
        return near


class _Copies:
    """Bringing a copy to the present state, in the memory that it had the last time: some of it now, some beside training."""

    def __init__(self, later: set[int]) -> None:
        """`later`: addresses of the parameters, which may be copied beside training; empty where nothing may."""
        self._later = later
        self.waiting: list[tuple[Any, Any, int]] = []
        """Where to, where from, and the version that is meant."""

    def plan(self, kept: Tree, state: Mapping[str, Any], *, of_optimizer: bool) -> None:
        """Go through a state; what may not wait is copied here. Buffers may not: they change while gradients are computed."""
        import torch  # noqa: PLC0415

        for name in [name for name in kept if name not in state]:
            del kept[name]
        for name, value in state.items():
            if isinstance(value, Mapping):
                there = kept.get(name)
                kept[name] = there if isinstance(there, dict) else {}
                self.plan(kept[name], value, of_optimizer=of_optimizer or name == _OPTIMIZER)
            elif isinstance(value, torch.Tensor):
                there = kept.get(name)
                if not (isinstance(there, torch.Tensor) and there.shape == value.shape and there.dtype == value.dtype):
                    there = kept[name] = _room_for(value)
                if self._later and (of_optimizer or _address(value) in self._later):
                    source = _local(value)
                    self.waiting.append((_local(there), source, source._version))
                else:
                    _local(there).copy_(_local(value))
            else:
                kept[name] = value

    def finish(self) -> bool:
        """Copy the rest; whether nothing was changed meanwhile."""
        for there, value, _ in self.waiting:
            there.copy_(value)
        return all(value._version == version for _, value, version in self.waiting)


def _room_for(value: Any) -> Any:
    """Memory for a copy: the machine's own for a plain tensor, the device's for a shard that knows its mesh."""
    import torch  # noqa: PLC0415

    if hasattr(value, "to_local"):
        return torch.empty_like(value)
    return torch.empty_like(value, device="cpu", pin_memory=value.is_cuda)


def _local(value: Any) -> Any:
    return value.to_local() if hasattr(value, "to_local") else value


def _address(value: Any) -> int:
    return int(_local(value).data_ptr())


def _flush_own(place: Path, rank: int) -> None:
    """Have a rank's own files on the disk before the checkpoint is called complete."""
    for path in place.glob(f"__{rank}_*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _disk_error(error: BaseException | None) -> OSError | None:
    """The OSError behind what torch.distributed.checkpoint raises: it wraps the errors of all ranks."""
    for inner in getattr(error, "failures", {}).values():
        found = _disk_error(inner[0] if isinstance(inner, tuple) else inner)
        if found is not None:
            return found
    return error if isinstance(error, OSError) else None
