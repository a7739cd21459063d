"""What a verb answers with, before anyone has decided how it is written.

Verbs return an `Answer`; `render` turns it into objects for a caller in the same process, or into bytes, a Table or
metadata alone for one behind HTTP. A record keeps its stored bytes, so that nothing is encoded twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from argosy.engine.apiserver.streams.sessions import Session
from argosy.engine.store import Change, Record
from argosy.meta.json import Obj
from argosy.meta.kind import Kind


@dataclass(slots=True)
class Seen:
    """One event of a watch. Exactly one of `obj` and `change` is set; a change's line is shared by all who watch.

    Not frozen: one is made for every event and watch, and freezing takes longer than all the rest of it.
    """

    type: str
    obj: Obj | None = None
    change: Change | None = None


@dataclass(slots=True)
class Answer:
    """One of: an object (`obj`, or `record` with its bytes), a list (`records` with `meta`), a watch, a stream."""

    status: int = 200
    obj: Obj | None = None
    record: Record | None = None
    records: Sequence[Record] | None = None
    meta: Obj = field(default_factory=dict)
    """Of a list: its `metadata`."""
    watch: AsyncGenerator[Sequence[Seen], None] | None = None
    """Events by batches: those that are there at once are written at once."""
    chunks: AsyncGenerator[bytes, None] | None = None
    body: bytes | None = None
    session: Session | None = None
    """What a connection is to be joined to, once it is upgraded."""
    headers: dict[str, str] = field(default_factory=dict)
    kind: Kind | None = None
    """The kind in the version that was asked for: how records are shown. None: as they are."""

    @classmethod
    def text(cls, text: str, status: int = 200) -> Answer:
        """Plain text."""
        return cls(status, body=text.encode(), headers={"content-type": "text/plain; charset=utf-8"})
