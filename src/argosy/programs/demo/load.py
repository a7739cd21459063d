"""A burst of requests against an OpenAI endpoint, and what became of them.

    python -m argosy.programs.demo.load --url http://gateway:8000 --model demo --concurrency 8 --seconds 10

Prints one JSON object. The demo uses it to make a model scale; it needs nothing but aiohttp.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from argosy.meta.json import Obj, decode, dig

QUESTIONS = ("What does json.dumps do?", "What is asyncio.Lock?", "Explain os.walk.", "What does unittest.main do?")


@dataclass(frozen=True, slots=True)
class Burst:
    """What to send. `models` are asked in turn."""

    url: str
    models: tuple[str, ...]
    concurrency: int = 8
    seconds: float = 10.0
    max_tokens: int = 32
    api_key: str = ""


@dataclass(slots=True)
class Outcome:
    """What came back so far; times are seconds."""

    latencies: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def summary(self) -> Obj:
        """The figures of the burst."""
        return {
            "requests": len(self.latencies),
            "failed": sum(self.errors.values()),
            "errors": dict(self.errors.most_common(5)),
            "seconds": round(self.seconds, 2),
            "requests_per_second": round(len(self.latencies) / self.seconds, 2) if self.seconds else 0.0,
            "tokens_per_second": round(self.tokens / self.seconds, 1) if self.seconds else 0.0,
            "latency_seconds": quantiles(self.latencies),
            "first_token_seconds": quantiles(self.first_tokens),
        }


def quantiles(values: Sequence[float]) -> Obj:
    """p50, p95, p99 and the largest; empty for no values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    at = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    found = {name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4) for name, share in at.items()}
    return found | {"max": round(ordered[-1], 4)}


async def run(burst: Burst, outcome: Outcome) -> None:
    """Keep `concurrency` requests under way for `seconds`, then wait for the last. `outcome` grows meanwhile."""
    began = time.monotonic()
    headers = {"Authorization": f"Bearer {burst.api_key}"} if burst.api_key else {}
    connector = aiohttp.TCPConnector(limit=burst.concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(burst.concurrency):
                    group.create_task(_client(session, burst, outcome, number))
        finally:
            outcome.seconds = time.monotonic() - began


async def _client(session: aiohttp.ClientSession, burst: Burst, outcome: Outcome, number: int) -> None:
    deadline = time.monotonic() + burst.seconds
    while time.monotonic() < deadline:
        began = time.monotonic()
        try:
            await _ask(session, burst, outcome, number)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            outcome.errors[str(error)[:200] or type(error).__name__] += 1
            await asyncio.sleep(min(0.2, burst.seconds / 10))
        else:
            outcome.latencies.append(time.monotonic() - began)
        number += burst.concurrency


async def _ask(session: aiohttp.ClientSession, burst: Burst, outcome: Outcome, number: int) -> None:
    body = {
        "model": burst.models[number % len(burst.models)],
        "messages": [{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}],
        "max_tokens": burst.max_tokens,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, spoke = time.monotonic(), False
    async with session.post(f"{burst.url.rstrip('/')}/v1/chat/completions", json=body) as response:
        if response.status != 200:
            text = await response.text()
            raise ValueError(f"HTTP {response.status}: {_message(text)}")
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            event: Obj = decode(line[6:])
            if "error" in event:
                raise ValueError(dig(event, "error", "message", default="error in the stream"))
            if not spoke and dig(event, "choices", 0, "delta", "content"):
                spoke = True
                outcome.first_tokens.append(time.monotonic() - began)
            outcome.tokens += dig(event, "usage", "completion_tokens", default=0)


def _message(text: str) -> str:
    try:
        return str(dig(decode(text), "error", "message", default=text))[:160]
    except ValueError:
        return text[:160]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="load", description="Send a burst of chat requests and print what became of them."
    )
    parser.add_argument("--url", default=os.environ.get("OPENAI_BASE_URL", "").removesuffix("/v1"), help="without /v1")
    parser.add_argument("--model", action="append", required=True, help="repeat it to ask several in turn")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--max-tokens", type=int, default=32)
    given = parser.parse_args()
    if not given.url:
        parser.error("give --url, the endpoint without /v1")
    key = os.environ.get("OPENAI_API_KEY", "")
    burst = Burst(given.url, tuple(given.model), given.concurrency, given.seconds, given.max_tokens, key)
    outcome = Outcome()
    asyncio.run(run(burst, outcome))
    print(json.dumps(outcome.summary(), indent=1))


if __name__ == "__main__":
    main()
