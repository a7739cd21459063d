"""Kubeflow's Python client, unmodified, against the engine: `pip install kubeflow` for it to run. Takes minutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine_home import EngineHome, best_available, running_home

trainer = pytest.importorskip("kubeflow.trainer", reason="Kubeflow's client (pip install kubeflow) is not here")

pytestmark = pytest.mark.slow
_SECONDS = 300


@pytest.fixture(scope="module")
def home() -> Iterator[EngineHome]:
    yield from running_home(best_available())


def add_up(steps):  # its source is sent as it stands
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    total = torch.ones(1) * (dist.get_rank() + 1)
    dist.all_reduce(total)
    print(f"rank {dist.get_rank()} of {dist.get_world_size()}: {total.item() * steps}", flush=True)
    dist.destroy_process_group()


def test_a_function_is_trained_on_two_nodes(home: EngineHome) -> None:
    client = trainer.TrainerClient(trainer.KubernetesBackendConfig(config_file=str(home.path / "kubeconfig")))
    assert {"torch-distributed", "jax-distributed", "peft-lora"} <= {runtime.name for runtime in client.list_runtimes()}
    assert client.get_runtime("torch-distributed").trainer.framework == "torch"
    name = client.train(
        runtime="torch-distributed",
        trainer=trainer.CustomTrainer(
            func=add_up,
            func_args={"steps": 2},
            num_nodes=2,
            resources_per_node={"cpu": "0.4"},
            env={"OMP_NUM_THREADS": "1"},
        ),
    )
    done = client.wait_for_job_status(name, timeout=_SECONDS)
    assert done.status == "Complete"
    assert [step.name for step in sorted(done.steps, key=lambda step: step.name)] == ["node-0", "node-1"]
    for rank in range(2):
        assert list(client.get_job_logs(name, step=f"node-{rank}"))[-1] == f"rank {rank} of 2: 6.0"
    assert "AllJobsCompleted" in {event.reason for event in client.get_job_events(name)}
    assert [job.name for job in client.list_jobs()] == [name]
    client.delete_job(name)
    with pytest.raises(RuntimeError):
        client.get_job(name)
