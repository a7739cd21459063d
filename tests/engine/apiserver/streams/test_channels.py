import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.apiserver.streams import channels
from argosy.engine.apiserver.streams.channels import FOR_COMMANDS, FOR_PORTS, Channel, Message, choose

V5, V4 = FOR_COMMANDS["v5.channel.k8s.io"], FOR_COMMANDS["v4.channel.k8s.io"]
TEXT = FOR_COMMANDS["v4.base64.channel.k8s.io"]


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        (["v5.channel.k8s.io", "v4.channel.k8s.io"], FOR_COMMANDS, "v5.channel.k8s.io"),
        (["v9.channel.k8s.io", "v4.channel.k8s.io"], FOR_COMMANDS, "v4.channel.k8s.io"),
        (["v5.channel.k8s.io", "v4.channel.k8s.io"], FOR_PORTS, "v4.channel.k8s.io"),
        ([], FOR_COMMANDS, ""),
        (["v9.channel.k8s.io"], FOR_COMMANDS, None),
    ],
)
def test_the_first_offer_that_is_known(offered, known, chosen):
    found = choose(offered, known)
    assert (found.name if found else None) == chosen


@pytest.mark.parametrize(
    ("protocol", "raw", "message"),
    [
        (V5, b"\x00abc", Message(0, b"abc")),
        (V5, b"\x00", Message(0, b"")),
        (V5, b"\xff\x00", Message(0, None)),
        (V4, b"\xff\x00", Message(255, b"\x00")),
        (V4, b"\x04{}", Message(4, b"{}")),
        (TEXT, b"0aGk=", Message(0, b"hi")),
        (V5, b"", None),
        (V5, b"\xff", None),
        (V5, b"\xff\x00\x01", None),
        (TEXT, b"x", None),
        (TEXT, b"0%%%", None),
    ],
)
def test_messages_are_read(protocol, raw, message):
    if message is None:
        with pytest.raises(ValueError, match="message"):
            channels.decode(protocol, raw)
    else:
        assert channels.decode(protocol, raw) == message


@given(st.sampled_from(list(FOR_COMMANDS.values())), st.sampled_from(list(Channel)), st.binary(max_size=300))
def test_what_is_written_can_be_read(protocol, channel, data):
    assert channels.decode(protocol, channels.encode(protocol, channel, data)) == Message(channel, data)
