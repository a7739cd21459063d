import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.apiserver.streams import spdy
from argosy.engine.apiserver.streams.spdy import Data, Framer, GoAway, Ping, Reset, SynReply, SynStream, WindowUpdate

NUMBERS = st.integers(1, 0x7FFFFFFF)
TOKENS = st.text(st.characters(min_codepoint=0x61, max_codepoint=0x7A), min_size=1, max_size=12)
VALUES = st.text(st.characters(max_codepoint=0xFF), max_size=40)
HEADERS = st.dictionaries(TOKENS, VALUES, max_size=5)
FRAMES = st.one_of(
    st.builds(Data, NUMBERS, st.binary(max_size=2000), st.booleans()),
    st.builds(SynStream, NUMBERS, HEADERS, st.booleans()),
    st.builds(SynReply, NUMBERS, HEADERS, st.booleans()),
    st.builds(Reset, NUMBERS, st.integers(1, 11)),
    st.builds(Ping, st.integers(0, 0xFFFFFFFF)),
    st.builds(GoAway, NUMBERS, st.integers(0, 2)),
    st.builds(WindowUpdate, NUMBERS, NUMBERS),
)


def test_the_dictionary_is_the_specification_s():
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_frames_survive_any_cutting(frames, sizes):
    writer, reader = Framer(), Framer()
    wire = b"".join(writer.encode(frame) for frame in frames)
    got, position, turn = [], 0, 0
    while position < len(wire):
        size = sizes[turn % len(sizes)]
        got += reader.feed(wire[position : position + size])
        position, turn = position + size, turn + 1
    assert got == frames


def test_settings_and_later_headers_are_passed_over_but_keep_the_compression():
    writer, reader = Framer(), Framer()
    first = writer.encode(SynStream(1, {"streamtype": "error"}))
    later = bytearray(writer.encode(SynReply(1, {"more": "headers"})))
    later[2:4] = struct.pack("!H", 8)
    settings = struct.pack("!HHI", 0x8003, 4, 4) + struct.pack("!I", 0)
    last = writer.encode(SynStream(3, {"streamtype": "data"}))
    got = list(reader.feed(first + settings + bytes(later) + last))
    assert got == [SynStream(1, {"streamtype": "error"}), SynStream(3, {"streamtype": "data"})]


@pytest.mark.parametrize(
    "wire",
    [
        struct.pack("!HHI", 0x8002, 6, 4) + bytes(4),  # another version
        struct.pack("!HHI", 0x8003, 6, 2) + bytes(2),  # too short for a ping
        struct.pack("!HHI", 0x8003, 1, 14) + bytes(14),  # headers that are not compressed
        struct.pack("!II", 1, 0xFFFFFF),  # too long
    ],
)
def test_what_is_not_spdy_is_refused(wire):
    with pytest.raises(spdy.ProtocolError):
        list(Framer().feed(wire))


def test_a_small_block_cannot_become_a_large_one():
    bomb = zlib.compressobj(zdict=spdy.DICTIONARY)
    block = bomb.compress(bytes(1 << 24)) + bomb.flush(zlib.Z_SYNC_FLUSH)
    body = struct.pack("!IIH", 1, 0, 0) + block
    with pytest.raises(spdy.ProtocolError, match="too long"):
        list(Framer().feed(struct.pack("!HHI", 0x8003, 1, len(body)) + body))


@given(st.binary(max_size=300))
def test_noise_is_read_or_refused(noise):
    with contextlib.suppress(spdy.ProtocolError):
        list(Framer().feed(noise))
