"""Writing a run down in MLflow without ever letting that hinder the training.

A thread of its own imports mlflow (two seconds), talks to the server and may fail: training only puts values into a
queue. The thread starts with the first metrics, so that a job that comes back is training again before mlflow takes any
of its time. The run's id is kept in a file beside the checkpoints, so a job that is restarted continues the same run. Used by
`pretrain` and `finetune`; `MLFLOW_TRACKING_URI` unset means that nothing is tracked.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Defaults under which mlflow gives up soon and talks to nobody but its server."""
_MOST_WAITING = 10_000
_AGAIN_SECONDS, _LAST_TRIES_SECONDS = 5.0, 0.5
_PATIENCE_SECONDS, _UNHEARD_SECONDS = 60.0, 10.0

Job = Callable[[Any, str], None]
"""(MlflowClient, run id) -> None"""


def context(environ: Mapping[str, str]) -> dict[str, str]:
    """The tags by which operators know the job's runs, from MLFLOW_RUN_CONTEXT: mlflow adds them in `start_run` alone."""
    try:
        given = json.loads(environ.get("MLFLOW_RUN_CONTEXT") or "{}")
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}


class Run:
    """One MLflow run, written to in the background. Every method returns at once, except `finish`."""

    def __init__(
        self, experiment: str, name: str, run_file: Path | None, tags: Mapping[str, str], *, active: bool = True
    ) -> None:
        self._experiment, self._name, self._run_file, self._tags = (
            experiment,
            name,
            run_file,
            {**context(os.environ), **tags},
        )
        self._jobs: queue.Queue[Job | None] = queue.Queue(_MOST_WAITING)
        self._complained = False
        self._deadline = float("inf")
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.id = ""
        if active and os.environ.get("MLFLOW_TRACKING_URI"):
            self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    def parameters(self, values: Mapping[str, object]) -> None:
        """Log parameters once; a resumed run keeps those it has."""

        def write(client: Any, run_id: str) -> None:
            known = client.get_run(run_id).data.params
            for key, value in values.items():
                if key not in known:
                    client.log_param(run_id, key, value)

        self._put(write)

    def metrics(self, step: int, **values: float) -> None:
        """Log metrics of a step, with the present time."""
        now = int(time.time() * 1000)

        def write(client: Any, run_id: str) -> None:
            from mlflow.entities import Metric  # noqa: PLC0415

            client.log_batch(run_id, metrics=[Metric(key, value, now, step) for key, value in values.items()])

        self._put(write)
        self._start()

    def tags(self, **values: str) -> None:
        """Set tags."""

        def write(client: Any, run_id: str) -> None:
            for key, value in values.items():
                client.set_tag(run_id, key, value)

        self._put(write)

    def directory(self, path: Path, name: str) -> None:
        """Upload a directory as the artifact `name`."""
        self._put(lambda client, run_id: client.log_artifacts(run_id, str(path), name))

    def finish(self, status: str = "FINISHED", seconds: float = _PATIENCE_SECONDS) -> None:
        """Write what is left and end the run; give up after `seconds`, or sooner if the server never answered."""
        if self._thread is None:
            return
        seconds = seconds if self.id else min(seconds, _UNHEARD_SECONDS)
        self._start()
        self._deadline = time.monotonic() + seconds
        self._put(lambda client, run_id: client.set_terminated(run_id, status))
        self._put(None)
        self._ending.set()
        self._thread.join(seconds + 5)

    def _start(self) -> None:
        if self._thread is not None and self._thread.ident is None:
            self._thread.start()

    def _put(self, job: Job | None) -> None:
        if self._thread is None:
            return
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self._complain("too much waits to be written to MLflow; the rest of this run is not tracked")

    def _work(self) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        client = None
        while client is None and time.monotonic() < self._deadline:
            try:
                client = self._open()
            except Exception as error:
                self._complain(f"MLflow does not answer, training goes on: {_first_line(error)}")
                if self._ending.wait(_AGAIN_SECONDS):
                    time.sleep(_LAST_TRIES_SECONDS)
        while client is not None and (job := self._jobs.get()) is not None:
            try:
                job(client, self.id)
            except Exception as error:
                self._complain(f"MLflow did not take a value, training goes on: {_first_line(error)}")

    def _open(self) -> Any:
        from mlflow import MlflowClient  # noqa: PLC0415

        client = MlflowClient()
        known = self._run_file.read_text().strip() if self._run_file and self._run_file.exists() else ""
        if known and self._resume(client, known):
            return client
        experiment = client.get_experiment_by_name(self._experiment)
        number = experiment.experiment_id if experiment else self._create_experiment(client)
        run = client.create_run(number, run_name=self._name, tags=self._tags)
        self.id = run.info.run_id
        if self._run_file:
            self._run_file.parent.mkdir(parents=True, exist_ok=True)
            self._run_file.write_text(f"{self.id}\n")
        return client

    def _resume(self, client: Any, known: str) -> bool:
        try:
            client.update_run(known, status="RUNNING")
        except Exception as error:
            if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        self.id = known
        return True

    def _create_experiment(self, client: Any) -> str:
        try:
            return str(client.create_experiment(self._experiment))
        except Exception:
            experiment = client.get_experiment_by_name(self._experiment)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _complain(self, sentence: str) -> None:
        if not self._complained:
            self._complained = True
            print(sentence, file=sys.stderr, flush=True)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
