"""Memory of a GPU, by a stand-in for CUDA: claimed before the load, capped, reported; and when it runs out."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from emulation.files import ConfigError
from serve_apps.engines.gpus import failure, visible
from serve_apps.engines.loading import Loader, RealSettings
from serve_apps.vram.ledger import CONTEXT_MB, Gpu, Overcommit
from tests.build.real_work import Engine, World

pytestmark = pytest.mark.models

GB = 2**30


class Card:
    """What `torch.cuda` would say of GPUs of 24 GiB, and what it was told."""

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self.shares: list[tuple[float, int]] = []
        self.emptied = 0
        self.said: list[str] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def props(index: int) -> Any:
            return SimpleNamespace(name="Stand-in", uuid=f"u{index}")

        def memory(index: int) -> tuple[int, int]:
            self.said.append("looked")
            return 20 * GB, 24 * GB

        def cap(share: float, index: int) -> None:
            self.said.append("capped")
            self.shares.append((share, index))

        import torch

        for name, answer in {
            "is_available": lambda: True,
            "device_count": lambda: self.count,
            "get_device_properties": props,
            "get_device_name": lambda: "Stand-in",
            "mem_get_info": memory,
            "max_memory_reserved": lambda index: (3 + index) * GB,
            "max_memory_allocated": lambda: 2 * GB,
            "synchronize": lambda: None,
            "set_per_process_memory_fraction": cap,
        }.items():
            monkeypatch.setattr(torch.cuda, name, answer)


class Account:
    """Grants `mb` on each GPU, or refuses."""

    def __init__(self, card: Card, mb: float | None = 10 * 1024.0) -> None:
        self._card, self._mb = card, mb
        self.seen: Sequence[Gpu] = ()
        self.used: Sequence[float] = ()

    def claim(self, look: Callable[[], Sequence[Gpu]]) -> float:
        self.seen = look()
        self._card.said.append("claimed")
        if self._mb is None:
            raise Overcommit("too much")
        return self._mb

    def report(self, used_mb: Sequence[float]) -> None:
        self.used = used_mb


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    found = Card()
    found.install(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return found


@pytest.mark.parametrize(
    ("asked", "there", "expected"),
    [
        ("0", 1, "0"),
        ("3", 1, "0"),  # the fourth GPU of the inventory, on a laptop with one
        ("3", 2, "1"),
        ("2,3", 4, "2,3"),
        ("2,4", 2, "0"),
        ("GPU-1234", 1, "GPU-1234"),
        ("MIG-1234", 1, "MIG-1234"),
        ("3", 0, "3"),  # no GPU at all: CUDA says so itself
    ],
)
def test_a_gpu_of_the_inventory_is_folded_onto_one_this_machine_has(
    asked: str, there: int, expected: str
) -> None:
    assert visible(asked, there) == expected


def test_a_replica_sees_the_folded_gpu_and_knows_it_by_its_uuid(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    account = Account(card)
    Loader(RealSettings(source="x"), ("gpu",), account)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert [(g.id, g.total_mb, g.free_mb) for g in account.seen] == [("GPU-u0", 24 * 1024, 20 * 1024)]


def test_a_mig_slice_has_an_account_of_its_own(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-77")
    account = Account(card)
    Loader(RealSettings(source="x"), ("gpu",), account)
    assert [g.id for g in account.seen] == ["MIG-77"]


def test_memory_is_claimed_before_anything_is_loaded_and_what_was_used_is_reported(card: Card) -> None:
    account = Account(card)
    loader = Loader(RealSettings(source="x"), ("gpu",), account)
    assert "claimed" in card.said
    assert account.used == ()
    facts = loader.facts([], lambda: None)
    assert list(account.used) == [3 * 1024 + CONTEXT_MB]
    assert facts.vram_held_mb == 3 * 1024 + CONTEXT_MB
    assert facts.vram_mb == 2 * 1024


def test_a_refused_claim_stops_the_load(card: Card) -> None:
    with pytest.raises(ConfigError, match="too much"):
        Loader(RealSettings(source="x"), ("gpu",), Account(card, None))


def test_on_a_cpu_nothing_is_claimed(card: Card) -> None:
    account = Account(card, None)
    facts = Loader(RealSettings(source="x", device="cpu"), ("gpu",), account).facts([], lambda: None)
    assert card.said == []
    assert (facts.vram_held_mb, account.used) == (0.0, ())


def test_a_model_spread_over_gpus_claims_and_reports_each(card: Card) -> None:
    card.count = 2
    account = Account(card)
    Loader(RealSettings(source="x", device_map="auto"), ("gpu",), account).facts([], lambda: None)
    assert [g.id for g in account.seen] == ["GPU-u0", "GPU-u1"]
    assert list(account.used) == [3 * 1024 + CONTEXT_MB, 4 * 1024 + CONTEXT_MB]


def test_without_a_cap_nothing_is_capped(card: Card) -> None:
    Loader(RealSettings(source="x"), ("gpu",), Account(card))
    assert card.shares == []


def test_a_share_is_the_cap(card: Card) -> None:
    Loader(RealSettings(source="x", gpu_memory_share=0.25), ("gpu",), Account(card))
    assert card.shares == [(0.25, 0)]


def test_a_cap_of_what_was_claimed_leaves_the_context_out_and_the_smaller_cap_counts(card: Card) -> None:
    held_mb = 6 * 1024 + CONTEXT_MB
    Loader(RealSettings(source="x", memory_cap="claim"), ("gpu",), Account(card, held_mb))
    assert card.shares == [(0.25, 0)]
    assert card.said.index("claimed") < card.said.index("capped")
    both = RealSettings(source="x", memory_cap="claim", gpu_memory_share=0.125)
    Loader(both, ("gpu",), Account(card, held_mb))
    assert card.shares[1:] == [(0.125, 0)]


@pytest.mark.parametrize(("mb", "said"), [(CONTEXT_MB, "needs the model's vram_gb"), (0.0, "vram_gb")])
def test_a_cap_of_a_claim_of_nothing_is_a_mistake(mb: float, said: str, card: Card) -> None:
    with pytest.raises(ConfigError, match=said):
        Loader(RealSettings(source="x", memory_cap="claim"), ("gpu",), Account(card, mb))
    with pytest.raises(ConfigError, match="nothing is claimed here"):
        Loader(RealSettings(source="x", memory_cap="claim"), ("gpu",))


# -- when it runs out

SAID = "CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacity of 24.00 GiB"


class Full(Engine):
    """A model that asks for more memory than there is, while `broken`."""

    def run(self, *given: Any) -> Any:
        import torch

        scratch = torch.zeros(1000)
        if self.broken:
            raise torch.OutOfMemoryError(SAID)
        del scratch
        return super().run(*given)


def test_a_model_that_runs_out_of_memory_ends_its_request_as_an_error_and_serves_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    reasons: list[str] = []

    world = World()
    world.engine = world.replica._engine = Full()

    async def walk() -> None:
        world.engine.broken = True
        served = (await world.ask(1)).served
        assert served.outcome == "error"
        reasons.append(served.reason)
        world.engine.broken = False
        world.engine.let(3)
        assert (await world.ask(2)).served.outcome == "done"

    world.walk(walk)
    assert reasons == [
        "out of GPU memory: CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacity of 24.00 GiB"
    ]
    assert emptied == [True]


@pytest.mark.slow
def test_the_failed_computation_keeps_no_tensor_alive() -> None:
    import torch

    alive: list[Any] = []

    def compute() -> None:
        scratch = torch.zeros(1000)
        alive.append(weakref.ref(scratch))
        raise torch.OutOfMemoryError(SAID)

    with pytest.raises(torch.OutOfMemoryError) as caught:
        compute()
    gc.collect()
    assert alive[0]() is not None
    assert "Tried to allocate 9.00 GiB" in failure(caught.value)
    assert alive[0]() is None


def test_any_other_failure_is_named_by_its_kind() -> None:
    assert failure(ValueError("no such token")) == "ValueError: no such token"
