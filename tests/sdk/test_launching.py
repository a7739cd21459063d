"""From a wish to a job in a cluster, and a job followed to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import UserError
from argosy.meta.crd import crd_for
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, annotations_of, name_of, uid_of
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.sdk.following import gang_selector, has_ended, hopeless, prefix_of
from argosy.sdk.functions import _code_of, train
from argosy.sdk.launching import Launch, Wish, follow_to_the_end, launch
from argosy.sdk.workspace import collect
from argosy.testing.cluster import cluster

CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)


def fit(lr: float = 0.1) -> None:
    """A function that stands in a file."""
    print(lr)


def wanted(root: Path, **wish: object) -> Launch:
    return Launch(Wish(("python", "a.py"), named_after="a", **wish), collect(root))  # type: ignore[arg-type]


def test_names_and_what_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            unnamed = [name_of(await launch(client, wanted(tmp_path), "default")) for _ in range(2)]
            assert unnamed == ["a", "a-2"]
            first = await launch(client, wanted(tmp_path, name="mine", claim="c"), "default")
            assert annotations_of(first)["argosy.dev/checkpoint-dir"] == "/data/checkpoints/mine"
            again = await launch(client, wanted(tmp_path, name="mine", claim="c"), "default")
            assert again["metadata"]["uid"] == first["metadata"]["uid"]
            (tmp_path / "a.py").write_text("2")
            with pytest.raises(UserError, match="pytorchjob/mine is there already, with other code"):
                await launch(client, wanted(tmp_path, name="mine"), "default")

    asyncio.run(go())


async def finish(client: Client, name: str, type: str, message: str = "") -> None:
    status = {"conditions": [{"type": type, "status": "True", "message": message}]}
    await client.patch(PYTORCH_JOB, Key("default", name), {"status": status}, subresource="status")


def test_the_end_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            good, bad = [await launch(client, wanted(tmp_path), "default") for _ in range(2)]
            ends = [asyncio.create_task(follow_to_the_end(client, job)) for job in (good, bad)]
            await finish(client, "a", "Succeeded")
            await finish(client, "a-2", "Failed", "it broke")
            assert name_of(await ends[0]) == "a"
            with pytest.raises(UserError, match="PyTorchJob a-2 failed: it broke"):
                await ends[1]

    asyncio.run(go())


def waiting(reason: str) -> Obj:
    return {"initContainerStatuses": [{"name": "w", "state": {"waiting": {"reason": reason, "message": "no such"}}}]}


def test_a_pod_that_cannot_start_ends_the_waiting(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            job = await launch(client, wanted(tmp_path), "default")
            labels = {"training.kubeflow.org/job-name": "a"}
            spec = {"containers": [{"name": "pytorch", "image": "x"}]}
            pod = {"metadata": {"name": "a-master-0", "namespace": "default", "labels": labels}, "spec": spec}
            await client.create(kinds.POD, pod)
            end = asyncio.create_task(follow_to_the_end(client, job))
            status = {"status": waiting("ImagePullBackOff")}
            await client.patch(kinds.POD, Key("default", "a-master-0"), status, subresource="status")
            with pytest.raises(UserError, match="pod a-master-0 cannot start: ImagePullBackOff: no such"):
                await end

    asyncio.run(go())


def test_what_the_pods_wait_for_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")

    async def go() -> None:
        async with cluster() as world:
            client = world.client
            await client.create(CRD, crd_for(PYTORCH_JOB))
            job = await launch(client, wanted(tmp_path), "default")
            owner = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "a", "uid": uid_of(job)}
            meta = {"name": "a-master-0", "namespace": "default", "ownerReferences": [owner | {"controller": True}]}
            await client.create(kinds.POD, {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "x"}]}})
            placed = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
            status = {"status": {"conditions": [placed]}}
            await client.patch(kinds.POD, Key("default", "a-master-0"), status, subresource="status")
            told: asyncio.Queue[str] = asyncio.Queue()
            end = asyncio.create_task(follow_to_the_end(client, job, held_up=told.put_nowait))
            assert await told.get() == "Pod a-master-0: not placed: 0/1 nodes are available"
            await finish(client, "a", "Succeeded")
            await end

    asyncio.run(asyncio.wait_for(go(), 30))


def test_what_may_still_come_is_waited_for() -> None:
    assert hopeless({"status": waiting("ContainerCreating")}) == ""
    assert hopeless({}) == ""
    assert [prefix_of(3, pods) for pods in (1, 4, 50)] == [b"", b"[3] ", b"[ 3] "]


def test_a_gang_is_known_by_its_labels() -> None:
    def pod(**labels: str) -> Obj:
        return {"metadata": {"name": "p", "labels": {key.replace("__", "/"): value for key, value in labels.items()}}}

    job = "batch.kubernetes.io__job-name"
    assert gang_selector([pod(**{job: "a"}), pod(**{job: "a"})]) == "batch.kubernetes.io/job-name=a"
    assert gang_selector([pod(**{job: "a"}), pod(**{job: "b"})]) == ""
    assert gang_selector([pod()]) == ""
    assert has_ended({"status": {"conditions": [{"type": "Complete", "status": "True"}]}})
    assert not has_ended({"status": {"conditions": [{"type": "Failed", "status": "False"}]}})


def test_a_function_travels_with_the_directory_around_its_file() -> None:
    here = Path(__file__)
    code = _code_of(fit, here.parent)
    assert code.named.endswith("test_launching.py")
    assert any(file.path == code.named for file in code.workspace.files)


def test_a_function_of_a_notebook_travels_as_its_source(tmp_path: Path) -> None:
    cell = "def typed(x):\n    import math\n    return math.sqrt(x)\n"
    names: Obj = {"__name__": "__main__"}
    exec(compile(cell, "<cell 1>", "exec"), names)
    with pytest.raises(UserError, match="the source of typed is not to be had"):
        _code_of(names["typed"], None)


def test_what_cannot_travel_is_told(tmp_path: Path) -> None:
    def inner() -> None: ...

    with pytest.raises(UserError, match="within another function"):
        train(inner)
    with pytest.raises(UserError, match="the arguments cannot travel"):
        train(fit, arguments={"lr": object()}, workdir=Path(__file__).parent)
    with pytest.raises(UserError, match="is not in the working directory"):
        _code_of(fit, tmp_path)
