"""Frames and proofs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.programs.rsh import wire
from argosy.programs.rsh.wire import Frames, Garbled, Sort


@given(st.lists(st.tuples(st.sampled_from(Sort), st.binary(max_size=50))), st.integers(1, 9))
def test_frames_come_out_as_they_went_in(sent: list[tuple[Sort, bytes]], step: int) -> None:
    data = b"".join(wire.frame(*one) for one in sent)
    frames = Frames()
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    assert [one for piece in pieces for one in frames.feed(piece)] == sent


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"\x04\xff\xff\xff\xff", b"SSH-2.0-OpenSSH"])
def test_strangers_are_noticed(data: bytes) -> None:
    with pytest.raises(Garbled):
        list(Frames().feed(data))


def test_a_proof_is_of_one_role_and_one_meeting() -> None:
    secret = wire.secret(b"key\n")
    assert secret == wire.secret(b"key")
    proof = wire.proof(secret, "ssh", b"both")
    assert wire.proves(proof, secret, "ssh", b"both")
    assert not wire.proves(proof, secret, "sshd", b"both")
    assert not wire.proves(proof, secret, "ssh", b"other")
    assert not wire.proves(proof, wire.secret(b"another"), "ssh", b"both")
