"""`argosy logs`"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from argosy import kinds
from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, note, print_json
from argosy.errors import ApiError, UserError
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of, name_of, uid_of
from argosy.sdk import kept, lines, waiting
from argosy.sdk.following import Follower, follow, gang_selector, has_ended, prefix_of
from argosy.sdk.ownership import Family, family_of, find_target
from argosy.sdk.ranks import ranks_of

_FOLLOW_SECONDS = 30 * 86_400.0
_PARALLEL = 16
"""Logs that are read at a time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the logs is wanted."""

    container: str
    query: dict[str, str]
    rank: int | None
    epoch: int | None = None


def command(
    target: Annotated[str, typer.Argument(help="A pod's name, or KIND/NAME; job/NAME is a job of any kind.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    rank: Annotated[int | None, typer.Option(min=0, help="Only this rank of a job.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="Of the gang before its restart number N+1.")] = None,
    first_error: Annotated[bool, typer.Option("--first-error", help="Only the error that began it.")] = False,
    container: Annotated[str, typer.Option("--container", "-c", help="One container; default: the first.")] = "",
    tail: Annotated[int, typer.Option(help="Only the last lines of each pod; -1: all.")] = -1,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the run before the last restart.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Each line's time before it.")] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Show logs; of several pods together, in order of time, each line after its rank. With -o json: pod → text.

    Example: argosy logs pytorchjob/pretrain -f
    """
    query = {"tailLines": str(tail)} if tail >= 0 else {}
    if previous:
        query["previous"] = "true"
    asked = Asked(container, query, rank, epoch)
    asyncio.run(_logs(target, asked, (follow, first_error, timestamps), (namespace, context, kubeconfig), output))


async def _logs(
    target: str,
    asked: Asked,
    how: tuple[bool, bool, bool],
    where: tuple[str, str, Path | None],
    output: Format,
) -> None:
    going_on, first_error, timestamps = how
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        kind, name = await find_target(connection.client, target, connection.namespace)
        family = await family_of(connection.client, kind, name, connection.namespace)
        gang_seen = await _gang(connection, family, target, asked)
        everyone, gone = gang_seen.pods, gang_seen.texts
        ranks = ranks_of(everyone)
        pods = [pod for pod in everyone if asked.rank is None or ranks[name_of(pod)] == asked.rank]
        if not pods:
            raise UserError(f"{target} has no rank {asked.rank}", f"choose one of 0 to {max(ranks.values())}")
        gang = gang_selector(pods)
        if first_error:
            await _show_first_error(connection, target, pods, (asked, gone), output)
        elif output is Format.json:
            texts = await _read_all(connection, pods, (asked, gone), timestamps=timestamps)
            print_json({name: text.decode(errors="replace") for name, text in texts.items()})
        elif (
            going_on and not gone and gang and kind.kind != "Pod" and not (timestamps or asked.query or asked.container)
        ):
            await _follow_gang(connection, kind, name, gang, asked.rank)
        elif not gone and (going_on or len(pods) == 1):
            prefixes = {name: prefix_of(number, len(pods)) for name, number in ranks.items()}
            query = asked.query | ({"timestamps": "true"} if timestamps else {})
            await asyncio.gather(
                *(_stream(connection, pod, asked.container, query, prefixes[name_of(pod)], going_on) for pod in pods)
            )
        else:
            texts = await _read_all(connection, pods, (asked, gone), timestamps=True)
            _print_merged(texts, ranks, timestamps)


async def _gang(connection: Connection, family: Family, target: str, asked: Asked) -> kept.Gang:
    """The pods to show, those that are gone among them. Raises UserError."""
    live = family.pods()
    if asked.epoch is None and family.kind.kind == "Pod":
        return kept.Gang(0, (0,), tuple(live), {})
    saved = await kept.kept_of(connection.client, family)
    found = kept.gang(live, saved, asked.epoch)
    if found is None and (live or saved):
        there = ", ".join(map(str, kept.gang(live, saved).epochs))  # type: ignore[union-attr]
        raise UserError(f"nothing is kept of epoch {asked.epoch} of {target}", f"choose one of: {there}")
    if found is None:
        raise UserError(f"{target} has no pods yet", f"see: argosy why {target}")
    earlier = [epoch for epoch in found.epochs if epoch < found.epoch]
    if earlier and asked.epoch is None:
        note(f"this is epoch {found.epoch}; what was said before: --epoch {' or '.join(map(str, earlier))}")
    return found


async def _follow_gang(connection: Connection, kind: Kind, name: str, selector: str, rank: int | None) -> None:
    """Show what a job's pods print until the job has ended, also those that a restart makes anew."""

    def write(text: bytes) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()

    follower = Follower(connection.client, connection.namespace, selector, write, rank)
    key = Key(connection.namespace, name)
    await follow(follower, waiting.until(connection.client, kind, key, has_ended, timeout_seconds=_FOLLOW_SECONDS))


def _print_merged(texts: dict[str, bytes], ranks: dict[str, int], timestamps: bool) -> None:
    ordered = sorted(texts, key=lambda name: ranks[name])
    out = sys.stdout.buffer
    for line in lines.merged({name: lines.stamped(name, texts[name]) for name in ordered}):
        stamp = f"{line.time}Z ".encode() if timestamps and line.time else b""
        out.write(prefix_of(ranks[line.source], len(ranks)) + stamp + line.text + b"\n")
    out.flush()


async def _show_first_error(
    connection: Connection, target: str, pods: Sequence[Obj], asked: tuple[Asked, Mapping[str, bytes]], output: Format
) -> None:
    ranks = ranks_of(pods)
    texts = await _read_all(connection, pods, asked, timestamps=True)
    found = lines.first_error({name: list(lines.stamped(name, text)) for name, text in texts.items()})
    if found is None or found.consequence:
        ended = _first_end(pods)
        if ended and output is Format.text:
            note(f"rank {ranks[ended[1]]} (pod {ended[1]}) ended first, at {ended[0]}: {ended[2]}")
    if output is Format.json:
        print_json(
            found and {"pod": found.source, "rank": ranks[found.source], "time": found.time, "lines": found.lines}
        )
    elif found is None:
        raise UserError(f"no line of {target} speaks of an error", f"see: argosy why {target}")
    else:
        note(f"rank {ranks[found.source]} (pod {found.source}) at {found.time[:23]}Z:")
        sys.stdout.write("\n".join(found.lines) + "\n")


def _first_end(pods: Iterable[Obj]) -> tuple[str, str, str] | None:
    """When, where and how the first container ended badly."""
    ends = [
        (str(ended.get("finishedAt") or ""), name_of(pod), f"exit code {ended['exitCode']} ({ended.get('reason')})")
        for pod in pods
        for status in dig(pod, "status", "containerStatuses", default=())
        if (ended := dig(status, "state", "terminated") or dig(status, "lastState", "terminated"))
        and ended.get("exitCode")
    ]
    return min(ends, default=None)


async def _read_all(
    connection: Connection, pods: Sequence[Obj], how: tuple[Asked, Mapping[str, bytes]], *, timestamps: bool
) -> dict[str, bytes]:
    """Each pod's log by its name; a pod that cannot be read is told, and left out. Of one that is gone what was kept."""
    asked, gone = how
    tail = asked.query.get("tailLines")
    query = asked.query | ({"timestamps": "true"} if timestamps else {})
    at_once = asyncio.Semaphore(_PARALLEL)

    async def one(pod: Obj) -> bytes | None:
        if uid_of(pod) in gone:
            return kept.shown(gone[uid_of(pod)], tail=int(tail) if tail else None, timestamps=timestamps)
        async with at_once:
            try:
                return b"".join([chunk async for chunk in _chunks(connection, pod, asked.container, query, False)])
            except ApiError as error:
                if len(pods) == 1:
                    raise
                note(f"{name_of(pod)}: {error.message}")
                return None

    texts = await asyncio.gather(*(one(pod) for pod in pods))
    if not any(text is not None for text in texts):
        raise UserError("none of these pods has such a log", "see: argosy ps, or argosy why KIND/NAME")
    found: dict[str, bytes] = {}
    for pod, text in zip(pods, texts, strict=True):
        if text is not None:  # of pods of one name, one was made in the other's place
            found[name_of(pod)] = found.get(name_of(pod), b"") + text
    return found


async def _stream(
    connection: Connection, pod: Obj, container: str, query: dict[str, str], prefix: bytes, follow: bool
) -> None:
    pending = b""
    out = sys.stdout.buffer
    try:
        async for chunk in _chunks(connection, pod, container, query, follow):
            *whole, pending = (pending + chunk).split(b"\n")
            if whole:
                out.write(b"".join(prefix + line + b"\n" for line in whole))
                out.flush()
    except ApiError as error:
        if not prefix:
            raise
        note(f"{name_of(pod)}: {error.message}")
    if pending:
        out.write(prefix + pending + b"\n")
        out.flush()


def _chunks(
    connection: Connection, pod: Obj, container: str, query: dict[str, str], follow: bool
) -> AsyncGenerator[bytes, None]:
    chosen = container or str(pod["spec"]["containers"][0]["name"])
    return connection.client.logs(kinds.POD, key_of(pod), container=chosen, follow=follow, query=query)
