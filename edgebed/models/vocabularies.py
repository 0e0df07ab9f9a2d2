"""Vocabularies that are made, not learned: every byte or letter, and a list of English words as one token each.

A checkpoint with random weights needs a tokenizer of the right kind; what it was trained on does not matter.
Nothing here needs a library, and the same call gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

_TEXT = """
    a about above across after again all also always an and any are around as at away back be been before
    bicycle big bird black blue boat book both bridge bright build but by can car cat child city clear close cloud
    cold colour computer could day dark describe dog door down each early edge every eye far fast field find fire first
    fish five flower fog for four from front full get girl give go good grass great green grey ground group had half
    hand harbour has have he head her here high hill him his horse hot house how if image in into is it its
    just keep kitchen know lake large last late left leave less let light like line link little long look low made make
    man many map market may me mean model more morning most mountain much must my name near need network never new next
    night no node not now of off old on once one only open or other our out over own paper part path people photo
    picture place plain plate point queue quiet rain read red request right river road room round run same sand say sea
    see serve serves set she short should show side sky slow small snow so some soon stand start station stay still
    stone stop story street sun table take tell than that the their them then there these they thing this three through
    time to today together token town train travel tree two under until up us use very view wait walk wall warm was
    water way we wear well were what when where which while white who wide will wind window windowsill with woman wood
    word words work world would write year yellow you young your
"""
WORDS = tuple(_TEXT.split())
BLANK = "\u0120"
"""How byte-level vocabularies write a blank: byte 32 moved to a printable place."""
WORD_END = "</w>"
"""How CLIP's vocabulary marks the last piece of a word."""


def byte_letters() -> list[str]:
    """The printable character that stands for each byte, in the order of GPT-2's published vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(moved))]


def gpt2(end: str, size: int | None = None) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of GPT-2's form: a blank and a listed word are one token; the last id is `end`.

    `size` fills the vocabulary up with tokens no text contains, but a model may well say.
    """
    pieces, merges = _grown(byte_letters(), ((BLANK, *word) for word in WORDS))
    return _numbered([*_filled(pieces, size, BLANK), end]), merges


def clip(start: str, end: str, size: int | None = None) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of CLIP's form, ending with the two marks, `end` last as CLIP needs it."""
    letters = byte_letters()
    alphabet = [*letters, *(letter + WORD_END for letter in letters)]
    pieces, merges = _grown(alphabet, ((*word[:-1], word[-1] + WORD_END) for word in WORDS if len(word) > 1))
    size = None if size is None else size - 1
    return _numbered([*_filled(pieces, size, ""), start, end]), merges


def bert(specials: Iterable[str], size: int | None = None) -> dict[str, int]:
    """Vocabulary of BERT's form: marks, letters that begin a word or go on (`##`), whole words."""
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters)]
    words = [word for word in WORDS if len(word) > 1]
    missing = 0 if size is None else size - len(pieces) - len(words)
    return _numbered([*pieces, *words, *(f"w{number}" for number in range(missing))])


def _grown(alphabet: list[str], words: Iterable[tuple[str, ...]]) -> tuple[list[str], list[tuple[str, str]]]:
    """The pieces of every word, each one symbol longer than the last, and the merges that make them."""
    pieces = dict.fromkeys(alphabet)
    merges: dict[tuple[str, str], None] = {}
    for symbols in words:
        left = symbols[0]
        for right in symbols[1:]:
            merges[left, right] = None
            left += right
            pieces[left] = None
    return list(pieces), list(merges)


def _filled(pieces: list[str], size: int | None, before: str) -> list[str]:
    """The pieces, filled up with made ones to `size` less the one that is still to come."""
    missing = 0 if size is None else size - len(pieces) - 1
    return [*pieces, *(f"{before}w{number}" for number in range(missing))]


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(pieces)}
