"""What the gateway adds to a request, beside the shortest proxy in the same language."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from argosy.meta.json import encode
from benchmarks.figures import Figure, quantile
from benchmarks.servers import MODEL

_REQUESTS = 1000
_ROUNDS = 3
_CLIENTS = 16
_BUSY_SECONDS = 3.0
_BODY = encode({"model": MODEL, "messages": [{"role": "user", "content": "Say something short, please. " * 5}]})


async def gateway() -> list[Figure]:
    """Added latency of one client, and requests a second of 16, through the gateway and through a plain proxy."""
    with _process("model") as model, _process("plain", model) as plain, _process("gateway", model) as ours:
        latencies: dict[int, list[float]] = {model: [], plain: [], ours: []}
        for _ in range(_ROUNDS):  # by turns, so that the machine's moods hit all of them alike
            for port in latencies:
                latencies[port] += await _one_by_one(port)
        rates = {port: await _at_once(port) for port in latencies}
    direct = latencies[model]
    added = {port: [quantile(latencies[port], q) - quantile(direct, q) for q in (0.5, 0.99)] for port in (plain, ours)}
    return [
        Figure(
            "gateway adds, p50 / p99",
            _added(added[ours]),
            "p50 0.6 ms",
            f"plain aiohttp proxy: {_added(added[plain])} to {quantile(direct, 0.5) * 1000:.2f} ms direct;"
            " LiteLLM 12.5 ms p50, nginx 0.12 ms (measured on 2 cores)",
        ),
        Figure(
            f"gateway requests a second, {_CLIENTS} clients",
            f"{rates[ours]:.0f}/s",
            "",
            f"plain aiohttp proxy: {rates[plain]:.0f}/s; direct: {rates[model]:.0f}/s; LiteLLM 72/s (measured on 2 cores)",
        ),
    ]


def _added(seconds: list[float]) -> str:
    return " / ".join(f"{value * 1000:.2f}" for value in seconds) + " ms"


async def _one_by_one(port: int) -> list[float]:
    async with aiohttp.ClientSession() as session:
        for _ in range(50):
            await _ask(session, port)
        seconds = []
        for _ in range(_REQUESTS):
            began = time.perf_counter()
            await _ask(session, port)
            seconds.append(time.perf_counter() - began)
        return seconds


async def _at_once(port: int) -> float:
    count = 0
    end = time.perf_counter() + _BUSY_SECONDS

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await _ask(session, port)
            count += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*[work(session) for _ in range(_CLIENTS)])
    return count / _BUSY_SECONDS


async def _ask(session: aiohttp.ClientSession, port: int) -> None:
    headers = {"content-type": "application/json"}
    async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", data=_BODY, headers=headers) as answer:
        await answer.read()
        answer.raise_for_status()


@contextmanager
def _process(role: str, upstream: int = 0) -> Generator[int]:
    """One of `servers`; its port."""
    command = [sys.executable, "-m", "benchmarks.servers", role, str(upstream)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None, "it was asked for"
            yield int(child.stdout.readline())
        finally:
            child.kill()
