"""Checkpoints of PyTorch training that hardly hold it up: copied in memory at once, written in the background.

    checkpointer = Checkpointer(model, optimizer, every=100)
    for step in checkpointer.steps(1000):       # from 0, or from where the last run got to
        train(step)

Imported by training code as `argosy.sdk.checkpoint`, and travels with it like `checkpoints`. Works alone and in a process
group, for DDP and FSDP, and reads a checkpoint into another number of ranks than wrote it: the files are those of
`torch.distributed.checkpoint`. Needs PyTorch 2.4 or newer, which is imported when a `Checkpointer` is made.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

from argosy.programs import checkpoints

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
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        self._copy: Tree = {}
        self.step = 0
        """Steps that are done; after a restore, those of the checkpoint."""
        self._restore()

    def steps(self, total: int) -> Iterator[int]:
        """The numbers of the steps that are left, saving every so often and after the last."""
        while self.step < total:
            yield self.step
            self.step += 1
            if self.step % self._every == 0 or self.step == total:
                self.save()
        self.wait()

    def save(self) -> None:
        """Copy the present state and write it in the background. Raises what the last write raised (OSError: the disk)."""
        if self._directory is None:
            return
        self.wait()
        if self.step and checkpoints.is_complete(checkpoints.place_of(self._directory, self.step)):
            return
        _copy_into(self._copy, self._state())
        progress = json.dumps({"step": self.step, **self.values})
        self._writing = self._thread.submit(self._write, self._directory, self.step, progress)

    def wait(self) -> None:
        """Wait until nothing is being written any more. Raises what the write raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

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


def _copy_into(kept: Tree, state: Mapping[str, Any]) -> None:
    """Bring a copy in main memory to the present state, in the memory that it had the last time."""
    import torch  # noqa: PLC0415

    for name in [name for name in kept if name not in state]:
        del kept[name]
    for name, value in state.items():
        if isinstance(value, Mapping):
            there = kept.get(name)
            kept[name] = there if isinstance(there, dict) else {}
            _copy_into(kept[name], value)
        elif isinstance(value, torch.Tensor) and hasattr(value, "to_local"):
            kept[name] = value.detach().clone()  # a shard with its place among the others
        elif isinstance(value, torch.Tensor):
            there = kept.get(name)
            if not (isinstance(there, torch.Tensor) and there.shape == value.shape and there.dtype == value.dtype):
                there = kept[name] = torch.empty_like(value, device="cpu")
            there.copy_(value)
        else:
            kept[name] = value


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
