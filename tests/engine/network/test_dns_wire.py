import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.network import dns_wire as wire
from argosy.engine.network.dns_wire import Answer, Malformed, Reply

LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=6).map(".".join)


@given(
    NAME,
    st.integers(0, 65_535),
    st.sampled_from([wire.A, wire.AAAA, wire.SRV, wire.TXT]),
    st.sampled_from([0, 512, 1232, 9000]),
)
def test_questions_come_back(name, id, type, size):
    question = wire.parse_question(wire.build_question(id, name, type, udp_bytes=size))
    assert (question.id, question.name, question.type, question.class_) == (id, name, type, wire.IN)
    assert question.recursion
    assert question.edns is bool(size)
    assert question.udp_bytes == (min(max(size, 512), 4096) if size else 512)


@given(NAME, NAME, st.lists(st.ip_addresses(v=4).map(str), max_size=20), st.integers(0, 300))
def test_answers_come_back(name, target, addresses, ttl):
    question = wire.parse_question(wire.build_question(7, name, wire.A))
    answers = [Answer(name, wire.CNAME, ttl, target)]
    answers += [Answer(target, wire.A, ttl, address) for address in addresses]
    answers.append(Answer(name, wire.SRV, ttl, (0, 100, 80, target)))
    message = wire.build_reply(question, Reply(wire.NOERROR, tuple(answers)))
    assert wire.parse_reply(message) == Reply(wire.NOERROR, tuple(answers))
    assert message[:2] == b"\0\7"


def test_what_does_not_fit_is_cut_to_a_hint():
    question = wire.parse_question(wire.build_question(7, "a.b", wire.A))
    reply = Reply(answers=tuple(Answer("a.b", wire.A, 0, f"10.0.0.{i}") for i in range(100)))
    message = wire.build_reply(question, reply, bytes_max=question.udp_bytes)
    assert len(message) <= 512
    assert wire.is_truncated(message)
    assert not wire.is_truncated(wire.build_reply(question, reply))


@given(st.binary(max_size=80))
def test_rubbish_is_refused_and_never_more_than_that(message):
    for read in (wire.parse_question, wire.parse_reply):
        with contextlib.suppress(Malformed):
            read(message)
    assert len(wire.build_error(message, wire.FORMERR)) == 12


@given(NAME, st.integers(0, 200))
def test_a_message_cut_short_is_refused(name, cut):
    message = wire.build_question(7, name, wire.A)
    if cut < len(message):
        with pytest.raises(Malformed):
            wire.parse_question(message[:cut])


def test_names_that_point_at_themselves_are_refused():
    head = b"\0\7\1\0\0\1\0\0\0\0\0\0"
    with pytest.raises(Malformed):
        wire.parse_question(head + b"\xc0\x0c" + b"\0\1\0\1")
    with pytest.raises(Malformed):
        wire.write_name("a" * 64)
    with pytest.raises(Malformed):
        wire.write_name("a..b")
