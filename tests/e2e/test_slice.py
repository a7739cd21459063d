"""The whole engine in miniature, at every isolation level: a gang that meets, fails and recovers, a Service, an engine
that is killed and comes back, and nothing left at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from engine_home import EngineHome

from argosy import kinds
from argosy.cli.connection import connect
from argosy.client.client import Client
from argosy.client.requests import Request
from argosy.errors import ApiError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.sdk import waiting
from argosy.sdk.apply import apply

_SECONDS = 60.0
_MEMBER = """
import contextlib, os, pathlib, socket, sys, urllib.request

rank, place = int(os.environ["RANK"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
listening = pathlib.Path(sys.argv[1], "listening")
with contextlib.suppress(FileExistsError):
    os.mkfifo(listening)
if rank == 0:
    with socket.create_server((os.environ["POD_IP"], place[1])) as listener:
        listening.open("wb").close()
        peer, _ = listener.accept()
else:
    listening.read_bytes()  # until the master listens
    peer = None
    while peer is None:  # until its name is known, too
        with contextlib.suppress(OSError):
            peer = socket.create_connection(place)
peer.sendall(b"%d" % rank)
print("met", peer.recv(1).decode(), flush=True)
page = None
while page is None:  # until the Service's address is served
    with contextlib.suppress(OSError):
        page = urllib.request.urlopen(os.environ["PAGE"])
print("read", page.read().decode(), flush=True)
marker = pathlib.Path(sys.argv[1], f"life-{rank}")
if not marker.exists():
    marker.touch()
    peer.recv(1)  # until the peer is killed, or this pod
    sys.exit("the peer is gone")
print("done", flush=True)
"""
_PAGE = """
import http.server, os, socketserver

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the page")

socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer((os.environ["POD_IP"], 8000), Page).serve_forever()
"""


def test_a_gang_a_service_and_a_crash(home: EngineHome, tmp_path: Path) -> None:
    state = home.up()
    kubeconfig = Path(state["kubeconfig"])
    _with(kubeconfig, lambda client: _first_life(client, tmp_path))
    assert "nothing holds it up" in home.argosy("why", "pytorchjob/meet")

    before = home.processes()
    home.crash(int(state["pid"]))
    state = home.up()
    after = home.processes()
    pods = {pid: line for pid, line in before.items() if "argosy.cluster.main" not in line}
    assert pods.items() <= after.items(), "the pods run on, and the new engine has started none anew"

    _with(kubeconfig, _second_life)
    logs = home.argosy("logs", "pytorchjob/meet")
    assert all(said in logs for said in ("met 1", "met 0", "read the page", "done")), logs
    _with(kubeconfig, _page_is_there)
    assert asyncio.run(_get(f"{state['ingress']}/page")) == b"the page"

    assert "everything has ended" in home.argosy("down")
    assert home.leftovers() == []
    assert "nothing was running" in home.argosy("down")

    # What was applied is still there; and a killed engine's pods can be ended without one.
    state = home.up()
    _with(kubeconfig, _page_is_there)
    home.crash(int(state["pid"]))
    assert "everything has ended" in home.argosy("down")
    assert home.leftovers() == []


async def _first_life(client: Client, shared: Path) -> None:
    shared.chmod(0o755)
    await apply(client, _page(), namespace="default")
    await _page_is_there(client)
    await apply(client, [_job(shared)], namespace="default")
    for pod in ("meet-master-0", "meet-worker-0"):
        await _logged(client, pod, "read the page")


async def _second_life(client: Client) -> None:
    """The new engine has the gang as it was; then one of it dies."""
    job = await client.get(PYTORCH_JOB, "meet", "default")
    assert is_true(job, "Running")
    await client.delete(kinds.POD, Key("default", "meet-worker-0"), grace_seconds=0)
    await waiting.until(
        client, PYTORCH_JOB, Key("default", "meet"), waiting.succeeded_or_raise, timeout_seconds=_SECONDS
    )


async def _logged(client: Client, pod: str, text: str) -> None:
    """Wait until a pod has said something."""
    key = Key("default", pod)
    await waiting.until(
        client, kinds.POD, key, lambda found: dig(found, "status", "phase") == "Running", timeout_seconds=_SECONDS,
        comes_back=True,
    )  # fmt: skip
    said = b""
    async with asyncio.timeout(_SECONDS):
        async for chunk in client.logs(kinds.POD, key, follow=True):
            said += chunk
            if text.encode() in said:
                return
    raise AssertionError(f"{pod} ended without saying {text!r}: {said.decode()}")


async def _page_is_there(client: Client) -> None:
    """Ask the Service, as `kubectl get --raw` would, until it answers."""
    async with asyncio.timeout(_SECONDS):
        while True:
            try:
                answer = await client.raw(Request("GET", "/api/v1/namespaces/default/services/page:8080/proxy/"))
            except ApiError:  # nobody is behind it yet
                await asyncio.sleep(0.05)
                continue
            assert answer.body == b"the page"
            return


async def _get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


def _with(kubeconfig: Path, work: Callable[[Client], Awaitable[object]]) -> object:
    async def connected() -> object:
        async with connect(path=kubeconfig) as connection:
            return await work(connection.client)

    return asyncio.run(connected())


def _job(shared: Path) -> Obj:
    container = {
        "name": "pytorch",
        "image": "python:3",
        "command": ["python", "-c", _MEMBER, "/shared/lives"],
        "env": [_POD_IP, {"name": "PAGE", "value": "http://page.default.svc:8080/"}],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared/lives"}],
    }
    volumes = [{"name": "shared", "hostPath": {"path": str(shared)}}]
    template = {"spec": {"containers": [container], "volumes": volumes}}
    replica = {"replicas": 1, "restartPolicy": "OnFailure", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "meet", "namespace": "default"},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": replica}},
    }


def _page() -> list[Obj]:
    container = {"name": "page", "image": "python:3", "command": ["python", "-c", _PAGE], "env": [_POD_IP]}
    container |= {
        "ports": [{"containerPort": 8000}],
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
    }
    labels = {"app": "page"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    rule = {"path": "/page", "pathType": "Prefix", "backend": {"service": {"name": "page", "port": {"number": 8080}}}}
    bodies: list[tuple[str, str, Obj]] = [
        ("apps/v1", "Deployment", {"selector": {"matchLabels": labels}, "template": template}),
        ("v1", "Service", {"selector": labels, "ports": [{"port": 8080, "targetPort": 8000}]}),
        ("networking.k8s.io/v1", "Ingress", {"rules": [{"http": {"paths": [rule]}}]}),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "page", "namespace": "default"}, "spec": spec}
        for version, kind, spec in bodies
    ]


_POD_IP: Obj = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
