"""The corpus: docstrings, the split, the baseline, questions and answers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.programs.demo import corpus
from argosy.programs.demo.corpus import Docstring, Document, Exchange

SOURCE = '''"""The module speaks for itself, at some length."""

class Public:
    """A class that says what it is. And more."""

    def method(self):
        """Return something useful to the caller."""

    def __repr__(self):
        """Nobody asks what this one does, so it is left out."""

    def short(self):
        """Too short."""
'''


def test_docstrings_of_a_file_with_their_names() -> None:
    found = [(doc.name, doc.kind) for doc in corpus.of_source(SOURCE, "pkg.mod")]
    assert found == [("pkg.mod", "module"), ("pkg.mod.Public", "class"), ("pkg.mod.Public.method", "function")]


def test_source_that_does_not_parse_has_none() -> None:
    assert list(corpus.of_source("def (:", "broken")) == []


def test_the_standard_library_is_real_text() -> None:
    documents = corpus.documents(corpus.docstrings(["json", "textwrap", "no_such_module"]))
    assert {document.name.split()[0] for document in documents} == {"json", "textwrap"}
    assert sum(len(document.text) for document in documents) > 10_000
    assert corpus.documents(corpus.docstrings(["json", "textwrap"])) == documents


def test_the_language_reference_is_there() -> None:
    assert sum(len(document.text) for document in corpus.topics()) > 200_000


def test_the_split_does_not_depend_on_what_else_there_is() -> None:
    documents = [Document(f"document {number}", "text") for number in range(400)]
    train, held_out = corpus.split(documents)
    assert len(train) + len(held_out) == 400
    assert 15 <= len(held_out) <= 60
    assert corpus.split(documents[::2])[1] == [document for document in held_out if document in documents[::2]]


@given(st.integers(1, 50), st.integers(1, 20))
def test_unigram_entropy_of_equal_frequencies(kinds: int, repeats: int) -> None:
    assert corpus.unigram_entropy(list(range(kinds)) * repeats) == pytest.approx(math.log(kinds))


@given(st.lists(st.integers(0, 9), min_size=1))
def test_unigram_entropy_is_bounded(tokens: list[int]) -> None:
    assert -1e-9 <= corpus.unigram_entropy(tokens) <= math.log(len(set(tokens))) + 1e-9


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Return it. Then rest.", "Return it."),
        ("Over\n  two lines.\n\nNext paragraph.", "Over two lines."),
        ("See e.g. this one. Next.", "See e.g. this one."),
        ("No end", "No end"),
        ("Version 3.11 came. Yes.", "Version 3.11 came."),
        ("", ""),
    ],
)
def test_first_sentence(text: str, sentence: str) -> None:
    assert corpus.first_sentence(text) == sentence


def test_exchanges_ask_about_public_names_once() -> None:
    found = corpus.exchanges(
        iter(
            [
                Docstring("json.dumps", "function", "Serialize it to a string. More."),
                Docstring("json.dump_again", "function", "Serialize it to a string. Other words."),
                Docstring("json._hidden", "function", "Nobody should ask about this one."),
                Docstring("json.tiny", "function", "Tiny."),
            ]
        )
    )
    assert [(one.name, one.answer) for one in found] == [("json.dumps", "Serialize it to a string.")]
    assert "json.dumps" in found[0].question


def test_unseen_leaves_out_what_gives_a_held_out_text_away() -> None:
    held_out = [Document("d", "Some words.\nThe secret\n  answer is here.")]
    asked = [Exchange("a", "?", "The secret answer is here."), Exchange("b", "?", "Something else.")]
    assert corpus.unseen(held_out, asked) == asked[1:]


def test_text_of_ones_own(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("Too little.")
    with pytest.raises(ValueError, match="give at least"):
        corpus.text_file(text)
    text.write_text("A sentence that begins. A sentence that follows it.\n\n" * 2000)
    documents = corpus.text_file(text)
    assert len(documents) > 10
    asked = corpus.exchanges_of_text(documents[:1])
    assert asked[0].question == "Continue: A sentence that begins."
    assert asked[0].answer == "A sentence that follows it."
