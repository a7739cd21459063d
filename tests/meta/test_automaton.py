"""The automaton finds what Python's own matcher finds, and takes its time neither over good nor over bad expressions."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.meta import re2
from argosy.meta.automaton import Automaton

letters = st.sampled_from([
    "a", "b", "[ab]", "[^a]", ".", r"\d", r"\w", r"\W", r"\b", "^", r"\Z", "(?i:A)", r"\s", "(?m:^)", "(?m:$)", "(?s:.)",
    r"[\d-]", "(?i:[a-b])", "",
])  # fmt: skip
expressions = st.recursive(
    letters,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}?", "*?"])).map(
            lambda p: f"({p[0]}){p[1]}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(expressions, st.lists(st.text("aAb1 \n-x", max_size=8), min_size=1, max_size=6))
def test_the_same_is_found(expression, texts):
    automaton = Automaton(expression, re.ASCII)
    for text in texts:
        assert automaton.search(text) == (re.search(expression, text, re.ASCII) is not None), (expression, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^(a+)+$", "a" * 5000 + "!", False),
        ("^(a|aa)+$", "a" * 5000, True),
        ("(.*)*x", "a" * 5000, False),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 5000, False),
        (".*.*.*=", "a" * 5000, False),
        ("(a?){500}b", "a" * 5000, False),
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "a-" * 2000 + ".", False),
        (r"^(\p{L}+\s?)*$", "ab " * 1000 + "1", False),
    ],
)
def test_nobody_waits(pattern, text, found):
    began = time.process_time()
    assert re2.found(pattern, text) is found
    assert time.process_time() - began < 3


@pytest.mark.parametrize("pattern", ["((a{1,1000}){1,1000}){1,1000}", "(a{1000}){1000}"])
def test_repetitions_that_multiply_are_refused(pattern):
    with pytest.raises(re2.Unsupported, match="too many states"):
        re2.compiled(pattern)
