"""`python -m argosy.programs.rsh.kubectl exec POD -- command …`: what MPIJob v1's kubexec.sh needs of kubectl.

It waits for a worker that does not run yet, passes output and the exit code through, and sees to it that the command ends
when its caller does: a kubelet lets it run on, so the command runs beside a reader of its standard input, which ends with
the connection.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

import aiohttp

from argosy.client.kubeconfig import Access, in_cluster
from argosy.meta.json import Obj, decode, dig
from argosy.programs.rsh import words

_FAILED = 1
_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.5
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_LEASHED = """\
exec 3<&0
"$@" </dev/null & command=$!
(cat <&3; kill $command) >/dev/null 2>&1 & reader=$!
wait $command; code=$?
kill $reader 2>/dev/null
exit $code"""


class Failed(Exception):
    """The command could not be run, or was lost sight of."""


async def execute(wanted: words.Exec, access: Access) -> int:
    """Run it and return its exit code. Raises Failed."""
    query = [("command", word) for word in ("/bin/sh", "-c", _LEASHED, "leashed", *wanted.command)]
    query += [(name, "true") for name in ("stdin", "stdout", "stderr")]
    if wanted.container:
        query.append(("container", wanted.container))
    namespace = wanted.namespace or access.namespace
    url = f"{access.server}/api/v1/namespaces/{namespace}/pods/{wanted.pod}/exec"
    until = time.monotonic() + _PATIENCE_SECONDS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=access.ssl_context() or True)) as session:
        while True:
            headers = {"authorization": f"Bearer {access.bearer()}"}
            try:
                async with session.ws_connect(
                    url, params=query, headers=headers, protocols=_PROTOCOLS, heartbeat=30, max_msg_size=0
                ) as channel:
                    return await _follow(channel, wanted.pod)
            except (aiohttp.ClientError, OSError) as error:
                if time.monotonic() >= until:
                    raise Failed(f"cannot execute in pod {wanted.pod}: {error}") from None
            await asyncio.sleep(_PAUSE_SECONDS)


async def _follow(channel: aiohttp.ClientWebSocketResponse, pod: str) -> int:
    async for message in channel:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        sort, content = message.data[0], message.data[1:]
        if sort in (_STDOUT, _STDERR):
            while content:
                content = content[os.write(sort, content) :]
        elif sort == _STATUS:
            return _code(decode(content))
    raise Failed(f"the connection to pod {pod} was closed before its command had ended")


def _code(status: Obj) -> int:
    """The command's exit code. Raises Failed when it did not get so far."""
    if status.get("status") == "Success":
        return 0
    for cause in dig(status, "details", "causes", default=()):
        if cause.get("reason") == "ExitCode":
            return int(cause.get("message") or _FAILED)
    raise Failed(str(status.get("message") or "the command could not be started"))


def main(arguments: list[str]) -> int:
    """Run it and return its exit code."""
    try:
        wanted = words.kubectl(arguments)
        access = in_cluster()
        if access is None:
            raise Failed("there is no service account here: this runs in pods only")
        return asyncio.run(execute(wanted, access))
    except (words.Misused, Failed) as error:
        sys.stderr.write(f"kubectl: {error}\n")
        return _FAILED


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
