"""Text comes whole and in order: no half characters, nothing of a stop sequence, every token counted."""

from __future__ import annotations

import pytest

from serve_apps.engines.decoding import Chooser, Teller, seed_of
from serve_apps.wire.messages import Sampling
from tests.build.works import Heard, work

pytestmark = pytest.mark.models

BYTES = "à la carte: 10 €".encode()


def of_bytes(ids: list[int]) -> str:
    """A tokenizer with one token per byte."""
    return bytes(ids).decode(errors="replace")


def told(text: bytes, stop: tuple[str, ...] = ()) -> tuple[Heard, Teller]:
    heard = Heard()
    teller = Teller(of_bytes, stop, heard)
    for byte in text:
        teller.add(byte)
        if teller.stopped:
            break
    teller.end()
    return heard, teller


def test_a_character_is_said_when_all_its_bytes_are_there() -> None:
    heard, teller = told(BYTES)
    assert [t for t, _ in heard.said] == list(BYTES.decode())
    assert heard.said[0] == ("à", 2)
    assert heard.said[-1] == ("€", 3)
    assert teller.tokens == heard.tokens == len(BYTES)


def test_bytes_that_never_become_a_character_are_said_at_the_end() -> None:
    heard, _ = told(b"ab" + b"\xe2\x82")
    assert heard.text == "ab\ufffd"
    assert heard.tokens == 4


@pytest.mark.parametrize(
    ("stop", "left"),
    [(("carte",), "à la "), (("rte", "la"), "à "), (("carte!",), BYTES.decode()), (("",), BYTES.decode())],
)
def test_text_ends_before_the_first_stop_sequence(stop: tuple[str, ...], left: str) -> None:
    heard, teller = told(BYTES, stop)
    assert heard.text == teller.text == left
    assert teller.stopped == (left != BYTES.decode())
    assert heard.tokens == teller.tokens


def test_what_may_begin_a_stop_sequence_waits_until_it_is_known() -> None:
    heard = Heard()
    teller = Teller(of_bytes, ("aab",), heard)
    for byte in b"aaa":
        teller.add(byte)
    assert heard.said == [("a", 2)]
    teller.add(ord("b"))
    assert teller.stopped
    assert teller.text == "a"


def test_temperature_zero_takes_the_likeliest_and_a_seed_repeats_a_draw() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([0.0, 2.0, 1.9, -3.0])
    assert Chooser(Sampling(temperature=0.0), 1.0, 1)(logits) == 1
    first, again, other = (Chooser(Sampling(), 1.0, seed) for seed in (7, 7, 8))
    draws = [[choose(logits) for _ in range(50)] for choose in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]
    assert set(draws[0]) >= {0, 1, 2}


def test_top_p_draws_only_from_the_likeliest_tokens_that_make_up_p() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    choose = Chooser(Sampling(top_p=0.7), 1.0, 3)
    assert {choose(logits) for _ in range(200)} == {0, 1}


def test_the_seed_is_the_clients_or_belongs_to_the_request() -> None:
    assert seed_of(work(1, seed=5), 0) == 5
    assert seed_of(work(1, seed=5), 2) == 7
    assert seed_of(work(1), 0) == seed_of(work(1), 0) != seed_of(work(2), 0)
