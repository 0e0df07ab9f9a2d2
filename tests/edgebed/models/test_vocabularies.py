"""Made vocabularies: listed words are one token, and every text survives the way there and back."""

from __future__ import annotations

import pytest

from edgebed.models import vocabularies

pytestmark = pytest.mark.models


def test_byte_letters_are_256_different_printable_characters() -> None:
    letters = vocabularies.byte_letters()
    assert len(set(letters)) == 256
    assert all(letter.isprintable() for letter in letters)
    assert vocabularies.BLANK in letters


@pytest.mark.parametrize("size", [None, 2000])
def test_every_merge_joins_pieces_that_are_there_into_one_that_is(size: int | None) -> None:
    for vocabulary, merges in (vocabularies.gpt2("<e>", size), vocabularies.clip("<s>", "<e>", size)):
        assert all({a, b, a + b} <= set(vocabulary) for a, b in merges)
        assert vocabulary["<e>"] == len(vocabulary) - 1
        assert sorted(vocabulary.values()) == list(range(size or len(vocabulary)))


def test_a_bert_vocabulary_has_as_many_tokens_as_asked() -> None:
    vocabulary = vocabularies.bert(("[PAD]", "[UNK]"), 1500)
    assert sorted(vocabulary.values()) == list(range(1500))
    assert vocabulary["[PAD]"] == 0
    assert {"cat", "c", "##c"} <= set(vocabulary)
