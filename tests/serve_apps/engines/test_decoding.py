"""Text comes whole and in order: no half characters, nothing of a stop sequence, every token counted."""

from __future__ import annotations

import pytest

from serve_apps.engines.decoding import Detokenizer, TokenSampler, seed_of
from serve_apps.wire.ask import Sampling
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


def test_the_seed_is_the_clients_or_belongs_to_the_request() -> None:
    assert seed_of(work(1, seed=5), 0) == 5
    assert seed_of(work(1, seed=5), 2) == 7
    assert seed_of(work(1), 0) == seed_of(work(1), 0) != seed_of(work(2), 0)
