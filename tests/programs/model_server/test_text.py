"""Text as it grows: half characters, stop strings in pieces."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.programs.model_server.text import TextStream


def decode(tokens: Sequence[int]) -> str:
    """A tokenizer whose tokens are bytes."""
    return bytes(tokens).decode(errors="replace")


def told(text: str | bytes, stops: Sequence[str] = ()) -> tuple[list[str], bool]:
    stream = TextStream(decode, stops)
    pieces = []
    for token in text.encode() if isinstance(text, str) else text:
        pieces.append(stream.push(token))
        if stream.stopped:
            return pieces, True
    return [*pieces, stream.finish()], stream.stopped


@given(st.text())
def test_nothing_is_lost_or_invented(text: str) -> None:
    pieces, stopped = told(text)
    assert "".join(pieces) == text
    assert not stopped


def test_half_a_character_is_not_told() -> None:
    assert told("aé€𝄞")[0][:-1] == ["a", "", "é", "", "", "€", "", "", "", "𝄞"]


def test_bytes_that_are_no_character_are_told_in_the_end() -> None:
    assert "".join(told(b"ok\xff")[0]).startswith("ok")
    assert "".join(told(b"\xff\xff\xff\xff\xff\xffok")[0]).endswith("ok")


@given(st.text(alphabet="abc", max_size=40), st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3))
def test_the_text_ends_before_the_first_stop(text: str, stops: list[str]) -> None:
    pieces, stopped = told(text, stops)
    ends = [text.find(stop) + len(stop) for stop in stops if stop in text]
    assert stopped == bool(ends)
    if not ends:
        assert "".join(pieces) == text
        return
    met = [stop for stop in stops if text[: min(ends)].endswith(stop)]
    assert "".join(pieces) == text[: min(ends) - max(len(stop) for stop in met)]


@pytest.mark.parametrize(("text", "pieces"), [("xEy", ["x", "", "Ey", ""]), ("xEN", ["x", "", "", "EN"])])
def test_what_may_become_a_stop_is_held_back(text: str, pieces: list[str]) -> None:
    assert told(text, ["END"]) == (pieces, False)
