"""Text comes whole and in order: no half characters, nothing of a stop sequence, every token counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise, product
from types import SimpleNamespace
from typing import Any

import pytest

from serve_apps.engines.decoding import Detokenizer, seed_of
from serve_apps.engines.sampling import Defaults, TokenSampler
from serve_apps.wire.ask import Sampling, first_stop
from tests.build.works import Heard, work

pytestmark = pytest.mark.models

BYTES = "à la carte: 10 €".encode()


def of_bytes(ids: list[int]) -> str:
    """A tokenizer with one token per byte."""
    return bytes(ids).decode(errors="replace")


def told(text: bytes, stop: tuple[str, ...] = ()) -> tuple[Heard, Detokenizer]:
    heard = Heard()
    speech = Detokenizer(of_bytes, stop, heard)
    for byte in text:
        speech.add(byte)
        if speech.stopped:
            break
    speech.end()
    return heard, speech


def test_a_character_is_said_when_all_its_bytes_are_there() -> None:
    heard, speech = told(BYTES)
    assert [t for t, _ in heard.said] == list(BYTES.decode())
    assert heard.said[0] == ("à", 2)
    assert heard.said[-1] == ("€", 3)
    assert speech.piece("stop").tokens == heard.tokens == len(BYTES)


def test_bytes_that_never_become_a_character_are_said_at_the_end() -> None:
    heard, _ = told(b"ab" + b"\xe2\x82")
    assert heard.text == "ab\ufffd"
    assert heard.tokens == 4


@pytest.mark.parametrize(
    ("stop", "left"),
    [(("carte",), "à la "), (("rte", "la"), "à "), (("carte!",), BYTES.decode()), (("",), BYTES.decode())],
)
def test_text_ends_before_the_first_stop_sequence(stop: tuple[str, ...], left: str) -> None:
    heard, speech = told(BYTES, stop)
    assert heard.text == speech.text == left
    assert speech.stopped == (left != BYTES.decode())
    assert heard.tokens == speech.piece("stop").tokens


def test_what_may_begin_a_stop_sequence_waits_until_it_is_known() -> None:
    heard = Heard()
    speech = Detokenizer(of_bytes, ("aab",), heard)
    for byte in b"aaa":
        speech.add(byte)
    assert heard.said == [("a", 2)]
    speech.add(ord("b"))
    assert speech.stopped
    assert speech.text == "a"


STOPS = ("ab", "b", "bab", "aab", "é", "ba", "aé", "abab", "éb", "")


def splits(text: bytes, tokens: int) -> Iterator[tuple[bytes, ...]]:
    """Every way to cut a text into so many tokens."""
    for cuts in combinations(range(1, len(text)), tokens - 1):
        yield tuple(text[a:b] for a, b in pairwise((0, *cuts, len(text))))


@pytest.mark.slow
def test_what_is_streamed_is_the_text_up_to_its_first_stop_sequence_however_it_is_cut_into_tokens() -> None:
    """By brute force: every short text, every pair of stop sequences, every way to cut it, characters in two too."""
    tried = 0
    for letters in product("abé", repeat=4):
        text = "".join(letters).encode()
        for stop in combinations(STOPS, 2):
            at = first_stop(text.decode(), stop)
            expected = text.decode() if at is None else text.decode()[:at]
            for tokens in range(1, len(text) + 1):
                for pieces in splits(text, tokens) if tokens in (1, 2, 3, len(text)) else ():
                    heard = Heard()
                    speech = Detokenizer(lambda ids, p=pieces: of_pieces(p, ids), stop, heard)  # type: ignore[misc]
                    for number in range(len(pieces)):
                        speech.add(number)
                        if speech.stopped:
                            break
                    speech.end()
                    assert (heard.text, speech.text) == (expected, expected), (pieces, stop)
                    assert speech.stopped == (at is not None), (pieces, stop)
                    tried += 1
    assert tried > 10_000


def of_pieces(pieces: tuple[bytes, ...], ids: list[int]) -> str:
    return b"".join(pieces[i] for i in ids).decode(errors="replace")


def test_a_stop_sequence_in_what_is_held_back_at_the_end_is_looked_for() -> None:
    heard, speech = told(b"one STOP" + b"\xc3", ("STOP",))
    assert (heard.text, speech.stopped) == ("one ", True)
    heard = Heard()
    speech = Detokenizer(lambda ids: of_pieces((b"x\xc3", b"\xa9END\xc3"), ids), ("END",), heard)
    speech.add(0)
    speech.add(1)
    assert not speech.stopped, "half a character is held back, and what stands before it with it"
    speech.end()
    assert (heard.text, speech.stopped) == ("x\u00e9", True)


def test_what_is_said_before_the_least_length_ends_nothing() -> None:
    heard = Heard()
    speech = Detokenizer(of_bytes, ("ab",), heard, min_tokens=3)
    for byte in b"ababab":
        speech.add(byte)
        if speech.stopped:
            break
    speech.end()
    assert heard.text == "abab"[:3] + "b"


def test_temperature_zero_takes_the_likeliest_and_a_seed_repeats_a_draw() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([0.0, 2.0, 1.9, -3.0])
    assert TokenSampler(Sampling(temperature=0.0), 1.0, 1)(logits) == 1
    first, again, other = (TokenSampler(Sampling(), 1.0, seed) for seed in (7, 7, 8))
    draws = [[sample(logits) for _ in range(50)] for sample in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]
    assert set(draws[0]) >= {0, 1, 2}


def test_top_p_draws_only_from_the_likeliest_tokens_that_make_up_p() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    sample = TokenSampler(Sampling(top_p=0.7), 1.0, 3)
    assert {sample(logits) for _ in range(200)} == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "said",
    [
        {"top_k": 3},
        {"top_p": 0.6},
        {"min_p": 0.3},
        {"temperature": 0.3, "top_k": 4},
        {"repetition_penalty": 1.8},
    ],
)
def test_a_checkpoints_own_sampling_is_that_of_its_library(said: dict[str, float]) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from transformers.generation import logits_process as library

    read = [1, 5]
    logits = torch.tensor([1.0, 2.0, 0.5, -0.4, 1.6, 1.9, 0.1])
    made: list[tuple[str, Any]] = [
        ("repetition_penalty", library.RepetitionPenaltyLogitsProcessor),
        ("temperature", library.TemperatureLogitsWarper), ("top_k", library.TopKLogitsWarper),
        ("top_p", library.TopPLogitsWarper), ("min_p", library.MinPLogitsWarper),
    ]  # fmt: skip
    scores = logits[None].clone()
    for name, processor in made:
        if name in said:
            scores = processor(said[name])(torch.tensor([read]), scores)
    odds = torch.softmax(scores[0], dim=-1)
    config = transformers.GenerationConfig(do_sample=True, **said)
    draws = [
        TokenSampler(Sampling(), 1.0, seed, Defaults.of(config), read)(logits.clone()) for seed in range(3000)
    ]
    counted = torch.bincount(torch.tensor(draws), minlength=7) / len(draws)
    assert float((counted - odds).abs().max()) < 0.04
    assert all(counted[i] == 0 for i in range(7) if odds[i] == 0)


def test_what_the_client_says_comes_before_what_the_checkpoint_says() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([0.0, 2.0, 1.9, -3.0])
    greedy = Defaults.of(SimpleNamespace(do_sample=False))
    assert {TokenSampler(Sampling(), 1.0, s, greedy)(logits) for s in range(50)} == {1}
    assert {TokenSampler(Sampling(temperature=1.0), 1.0, s, greedy)(logits) for s in range(50)} == {0, 1, 2}
    hot = Defaults(temperature=50.0)
    assert {TokenSampler(Sampling(temperature=0.0), 1.0, s, hot)(logits) for s in range(50)} == {1}


def test_the_seed_is_the_clients_or_belongs_to_the_request() -> None:
    assert seed_of(work(1, seed=5), 0) == 5
    assert seed_of(work(1, seed=5), 2) == 7
    assert seed_of(work(1), 0) == seed_of(work(1), 0) != seed_of(work(2), 0)
