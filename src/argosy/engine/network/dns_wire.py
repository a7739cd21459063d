"""DNS messages as bytes (RFC 1035, and as much of EDNS as telling a size needs). Pure.

Only what a resolver in a pod asks of a cluster's server: one question in, an answer of a few record types out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5

_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")
_QR, _AA, _TC, _RD, _RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
UDP_BYTES = 512
"""What a UDP answer may have unless the question allows more."""
_UDP_BYTES_MAX = 4096


class Malformed(ValueError):
    """Not a DNS question that can be answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `id`, `recursion` and `opcode` go back unchanged."""

    id: int
    name: str
    """Without the last dot, in the case that it was asked in."""
    type: int
    class_: int
    opcode: int = 0
    recursion: bool = False
    udp_bytes: int = UDP_BYTES
    """How large a UDP answer may be."""
    edns: bool = False
    raw: bytes = b""
    """The question section, for the answer to repeat."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One record. `data` depends on the type: an address (A), a name (CNAME, PTR), (priority, weight, port, name) (SRV)."""

    name: str
    type: int
    ttl_seconds: int
    data: str | tuple[int, int, int, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say to a question."""

    code: int = NOERROR
    answers: tuple[Answer, ...] = ()
    authoritative: bool = True
    extra: tuple[Answer, ...] = field(default=())


def parse_question(message: bytes) -> Question:
    """Read a question. Raises Malformed for anything that is none."""
    if len(message) < _HEADER.size:
        raise Malformed("shorter than a header")
    id, flags, questions, _, _, additional = _HEADER.unpack_from(message)
    if flags & _QR:
        raise Malformed("an answer, not a question")
    if questions != 1:
        raise Malformed(f"{questions} questions")
    name, end = _read_name(message, _HEADER.size)
    if end + 4 > len(message):
        raise Malformed("cut off after the name")
    type, class_ = struct.unpack_from("!HH", message, end)
    udp_bytes, edns = _edns(message, end + 4, additional)
    return Question(
        id=id,
        name=name,
        type=type,
        class_=class_,
        opcode=(flags >> 11) & 0xF,
        recursion=bool(flags & _RD),
        udp_bytes=udp_bytes,
        edns=edns,
        raw=message[_HEADER.size : end + 4],
    )


def build_reply(question: Question, reply: Reply, *, bytes_max: int = 65_535) -> bytes:
    """Write an answer; one that would not fit is cut to a hint to ask again over TCP."""
    body = b"".join(_record(question, answer) for answer in reply.answers)
    extra = b"".join(_record(question, answer) for answer in reply.extra)
    opt = b"\0" + _FIXED.pack(OPT, 1232, 0, 0) if question.edns else b""
    flags = _QR | (question.opcode << 11) | _RA | (_RD if question.recursion else 0) | reply.code
    flags |= _AA if reply.authoritative else 0
    counts = (len(reply.answers), 0, len(reply.extra) + question.edns)
    whole = _HEADER.pack(question.id, flags, 1, *counts) + question.raw + body + extra + opt
    if len(whole) <= bytes_max:
        return whole
    return _HEADER.pack(question.id, flags | _TC, 1, 0, 0, int(question.edns)) + question.raw + opt


def build_error(message: bytes, code: int) -> bytes:
    """An answer to something that could not be read, as far as that is possible."""
    id, flags = struct.unpack_from("!HH", message.ljust(4, b"\0"))
    return _HEADER.pack(id, _QR | (flags & 0x7900) | _RA | code, 0, 0, 0, 0)


def build_question(id: int, name: str, type: int, *, udp_bytes: int = 0) -> bytes:
    """A question to another server."""
    opt = b"\0" + _FIXED.pack(OPT, udp_bytes, 0, 0) if udp_bytes else b""
    head = _HEADER.pack(id, _RD, 1, 0, 0, 1 if udp_bytes else 0)
    return head + write_name(name) + struct.pack("!HH", type, IN) + opt


def parse_reply(message: bytes) -> Reply:
    """Read another server's answer; records of types not known here are left out. Raises Malformed."""
    if len(message) < _HEADER.size:
        raise Malformed("shorter than a header")
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    position = _HEADER.size
    for _ in range(questions):
        _, position = _read_name(message, position)
        position += 4
    found: list[Answer] = []
    for _ in range(answers):
        name, position = _read_name(message, position)
        if position + _FIXED.size > len(message):
            raise Malformed("cut off in a record")
        type, _, ttl, length = _FIXED.unpack_from(message, position)
        start = position + _FIXED.size
        position = start + length
        if position > len(message):
            raise Malformed("cut off in a record's data")
        if type == A and length == 4:
            found.append(Answer(name, A, ttl, str(IPv4Address(message[start:position]))))
        elif type in (CNAME, PTR):
            found.append(Answer(name, type, ttl, _read_name(message, start)[0]))
        elif type == SRV and length > 6:
            priority, weight, port = struct.unpack_from("!HHH", message, start)
            found.append(Answer(name, SRV, ttl, (priority, weight, port, _read_name(message, start + 6)[0])))
    return Reply(flags & 0xF, tuple(found), bool(flags & _AA))


def is_truncated(message: bytes) -> bool:
    """Whether an answer asks to be asked again over TCP."""
    return len(message) >= 4 and bool(struct.unpack_from("!H", message, 2)[0] & _TC)


def write_name(name: str) -> bytes:
    """A name in labels. Raises Malformed."""
    out = bytearray()
    for label in name.rstrip(".").split(".") if name.rstrip(".") else ():
        encoded = label.encode("latin-1", "replace")
        if not 0 < len(encoded) < 64:
            raise Malformed(f"{label!r} is no label")
        out += bytes([len(encoded)]) + encoded
    if len(out) > 254:
        raise Malformed("the name is too long")
    return bytes(out) + b"\0"


def _read_name(message: bytes, position: int) -> tuple[str, int]:
    """The name at a position, and where it ends."""
    labels: list[str] = []
    end = -1
    jumps = size = 0
    while True:
        if position >= len(message):
            raise Malformed("cut off in a name")
        length = message[position]
        if length & 0xC0 == 0xC0:
            if position + 1 >= len(message) or jumps > 16:
                raise Malformed("a name that points nowhere")
            if end < 0:
                end = position + 2
            position = ((length & 0x3F) << 8) | message[position + 1]
            jumps += 1
            continue
        if length & 0xC0:
            raise Malformed("an unknown kind of label")
        position += 1
        if length == 0:
            break
        label = message[position : position + length]
        if len(label) < length:
            raise Malformed("cut off in a label")
        size += length + 1
        if size > 254:
            raise Malformed("a name that is too long")
        labels.append(label.decode("latin-1"))
        position += length
    return ".".join(labels), end if end >= 0 else position


def _edns(message: bytes, position: int, additional: int) -> tuple[int, bool]:
    """The size that the question's OPT record allows. It is the only record that questions carry."""
    if additional < 1 or position + 1 + _FIXED.size > len(message) or message[position] != 0:
        return UDP_BYTES, False
    type, size, _, _ = _FIXED.unpack_from(message, position + 1)
    if type != OPT:
        return UDP_BYTES, False
    return min(max(size, UDP_BYTES), _UDP_BYTES_MAX), True


def _record(question: Question, answer: Answer) -> bytes:
    # The question's own name is at a known place, and most records are about it.
    owner = b"\xc0\x0c" if answer.name.lower() == question.name.lower() else write_name(answer.name)
    if isinstance(answer.data, tuple):
        priority, weight, port, target = answer.data
        data = struct.pack("!HHH", priority, weight, port) + write_name(target)
    elif answer.type == A:
        data = IPv4Address(answer.data).packed
    else:
        data = write_name(answer.data)
    return owner + _FIXED.pack(answer.type, IN, answer.ttl_seconds, len(data)) + data
