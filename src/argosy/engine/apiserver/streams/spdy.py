"""SPDY/3.1 frames, without any input or output: bytes in, frames out, and the other way round.

kubectl speaks SPDY to exec and attach up to 1.29, and to port-forward always: from 1.31 on within a WebSocket. Header
blocks are compressed with one zlib context a direction for the whole connection, so a `Framer` belongs to one connection
and has to see everything. Pure; `link` feeds it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow"
    " authorization cache-control connection content-base content-encoding content-language content-length"
    " content-location content-md5 content-range content-type date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma"
    " proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade"
    " user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie"
    " keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack("!I", len(w)) + w.replace("_", " ").encode() for w in _WORDS.split()) + _TAIL.encode()
"""What both sides' compression begins with, as the specification of SPDY/3 prints it (Adler-32 e3c6a7c2)."""

FRAME_MAX = 1 << 20
"""A longer frame ends the connection: kubectl's are 32 KiB."""
HEADERS_MAX = 1 << 16
"""The same for a header block once it is decompressed."""

_FIN = 0x01
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _HEADERS, _WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
CANCEL = 5
"""The status of a stream that is given up."""
REFUSED_STREAM = 3


class ProtocolError(ValueError):
    """The other side does not speak SPDY/3.1; the connection has to end."""


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes of a stream; with `fin` its sender's last."""

    stream: int
    data: bytes = b""
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynStream:
    """A new stream."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """A new stream is accepted."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream is over, for both sides."""

    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Ping:
    """To be sent back as it is."""

    number: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """The sender takes no more streams."""

    last_stream: int = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class WindowUpdate:
    """The sender of a stream's bytes may send that many more."""

    stream: int
    bytes: int


Frame: TypeAlias = Data | SynStream | SynReply | Reset | Ping | GoAway | WindowUpdate


class Framer:
    """The framing of one connection, both directions."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(zdict=DICTIONARY)
        self._decompress = zlib.decompressobj(zdict=DICTIONARY)
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes; what this side does not need is left out. Raises
        ProtocolError.
        """
        self._pending += data
        while len(self._pending) >= 8:
            head, tail = struct.unpack_from("!II", self._pending)
            length = tail & 0xFFFFFF
            if length > FRAME_MAX:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(self._pending) < 8 + length:
                return
            body = bytes(self._pending[8 : 8 + length])
            del self._pending[: 8 + length]
            flags = tail >> 24
            if not head >> 31:
                yield Data(head, body, bool(flags & _FIN))
                continue
            if (head >> 16) & 0x7FFF != 3:
                raise ProtocolError(f"SPDY version {(head >> 16) & 0x7FFF}")
            try:
                frame = self._control(head & 0xFFFF, flags, body)
            except struct.error:
                raise ProtocolError(f"a control frame of type {head & 0xFFFF} is too short") from None
            if frame is not None:
                yield frame

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        fin = bool(flags & _FIN)
        if kind == _SYN_STREAM:
            stream, _, _ = struct.unpack_from("!IIH", body)
            return SynStream(stream & 0x7FFFFFFF, self._headers(body[10:]), fin)
        if kind == _SYN_REPLY:
            (stream,) = struct.unpack_from("!I", body)
            return SynReply(stream & 0x7FFFFFFF, self._headers(body[4:]), fin)
        if kind == _HEADERS:
            self._headers(body[4:])  # nobody needs them, the decompression does
            return None
        if kind == _PING:
            return Ping(*struct.unpack_from("!I", body))
        if kind in (_RST_STREAM, _GOAWAY, _WINDOW_UPDATE):
            first, second = struct.unpack_from("!II", body)
            first &= 0x7FFFFFFF
            if kind == _RST_STREAM:
                return Reset(first, second)
            return GoAway(first, second) if kind == _GOAWAY else WindowUpdate(first, second & 0x7FFFFFFF)
        return None  # settings and whatever else there may be ask nothing of this side

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._decompress.decompress(block, HEADERS_MAX)
        except zlib.error as error:
            raise ProtocolError(f"a header block does not decompress: {error}") from None
        if self._decompress.unconsumed_tail:
            raise ProtocolError("a header block is too long")
        (count,) = struct.unpack_from("!I", raw)
        position, texts = 4, []
        for _ in range(min(2 * count, len(raw))):
            (length,) = struct.unpack_from("!I", raw, position)
            position += 4
            if position + length > len(raw):
                raise ProtocolError("a header block is cut short")
            texts.append(raw[position : position + length].decode("latin-1"))
            position += length
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=False)}

    def encode(self, frame: Frame) -> bytes:
        """A frame's bytes; they have to be sent in the order in which they were made."""
        fin = _FIN if getattr(frame, "fin", False) else 0
        match frame:
            case Data(stream, data, _):
                return struct.pack("!II", stream, fin << 24 | len(data)) + data
            case SynStream(stream, headers, _):
                return _control(_SYN_STREAM, struct.pack("!IIH", stream, 0, 0) + self._block(headers), fin)
            case SynReply(stream, headers, _):
                return _control(_SYN_REPLY, struct.pack("!I", stream) + self._block(headers), fin)
            case Reset(stream, status):
                return _control(_RST_STREAM, struct.pack("!II", stream, status))
            case Ping(number):
                return _control(_PING, struct.pack("!I", number))
            case GoAway(last, status):
                return _control(_GOAWAY, struct.pack("!II", last, status))
            case WindowUpdate(stream, count):
                return _control(_WINDOW_UPDATE, struct.pack("!II", stream, count))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        raw = [struct.pack("!I", len(headers))]
        for pair in headers.items():
            for text in pair:
                encoded = text.encode("latin-1")
                raw += [struct.pack("!I", len(encoded)), encoded]
        return self._compress.compress(b"".join(raw)) + self._compress.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!HHI", 0x8003, kind, flags << 24 | len(body)) + body
