"""Held against the answers that a real kube-apiserver gave, by its own recordings and the scripts that compare them.

What may differ, and why, is argued in docs/differences.md; the shares below are what must be the same.
"""

import asyncio
import re
import socket
import sys

import pytest
import yaml
from api_world import ADMIN

from argosy.client.requests import User
from argosy.clock import SystemClock
from argosy.control.runner import run_operators
from argosy.engine.apiserver.authn import Authenticator
from argosy.engine.apiserver.certificates import private_key
from argosy.engine.apiserver.http import serve
from argosy.engine.apiserver.settings import ApiSettings
from argosy.engine.controllers.namespace import plan as namespace
from argosy.testing.cluster import cluster
from cases import FOLDER, needs_cases

TOOLS = FOLDER.parent / "tools"
pytestmark = [needs_cases, pytest.mark.skipif(not TOOLS.exists(), reason=f"no scripts that compare at {TOOLS}")]
USERS = {
    "admintoken": ADMIN,
    "alicetoken": User("alice", frozenset({"system:authenticated"})),
    "bobtoken": User("bob", frozenset({"dev", "system:authenticated"})),
}


async def compared(directory, script, *arguments):
    """What a script prints about an engine without workload controllers, given its kubeconfig."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.setblocking(False)
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{sock.getsockname()[1]}"}}],
                "users": [{"name": "a", "user": {"token": "admintoken"}}],
            }
        )
    )
    clock = SystemClock()
    async with cluster(ApiSettings(clock=clock, signing_key_pem=private_key()), with_account=False) as made:
        filling = asyncio.ensure_future(run_operators(made.client, [namespace.operator("CA")], clock=clock))
        authenticator = Authenticator(made.app.api.tokens, USERS, clock)
        process = None
        try:
            async with serve(made.app, sock, None, authenticator):
                process = await asyncio.create_subprocess_exec(
                    sys.executable, TOOLS / script, *arguments,
                    env={"KUBECONFIG": str(kubeconfig), "PATH": "/usr/bin:/bin"},
                    stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                )  # fmt: skip
                output, _ = await asyncio.wait_for(process.communicate(), 300)
        finally:
            if process is not None and process.returncode is None:
                process.kill()
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
    return output.decode()


def test_verdicts_and_objects(tmp_path):
    said = asyncio.run(compared(tmp_path, "verdicts.py", str(FOLDER)))
    crds, all_crds, verdicts, objects = re.search(
        r"(\d+)/(\d+) CRDs .* same verdict ([\d.]+)% of \d+, same object ([\d.]+)% of", said
    ).groups()
    assert crds == all_crds, said
    assert float(verdicts) >= 99, said
    assert float(objects) >= 97, said


def test_flows(tmp_path):
    said = asyncio.run(compared(tmp_path, "replay.py", str(FOLDER / "flows.jsonl.gz"), "--quiet"))
    same, of = map(int, re.search(r"total: (\d+)/(\d+)", said).groups())
    assert same >= 0.98 * of, said
