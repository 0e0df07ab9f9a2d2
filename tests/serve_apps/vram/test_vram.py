"""The vRAM ledger: what does not fit is refused by name, and nothing is ever promised twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import RayActorError

from serve_apps.vram.actor import VramHost
from serve_apps.vram.ledger import CONTEXT_MB, Claim, Gpu, Overcommit, VramLedger

TOTAL_MB = 24 * 1024.0


def gpu(number: int = 0, used_mb: float = 0.0, total_mb: float = TOTAL_MB) -> Gpu:
    return Gpu(f"GPU-{number}", "Card", "laptop", total_mb, total_mb - used_mb)


def state(ledger: VramLedger) -> dict[str, tuple[Claim, ...]]:
    """All claims by GPU; how a GPU looked at its last claim does not count."""
    return {g.id: claims for g, claims in ledger.accounts() if claims}


def test_a_claim_holds_what_is_stated_and_the_context() -> None:
    ledger = VramLedger()
    (claim,) = ledger.claim("a", [gpu()], 1000.0)
    assert claim.held_mb == ledger.held_mb("GPU-0") == 1000.0 + CONTEXT_MB


def test_a_refusal_names_gpu_holders_what_is_missing_and_the_fix() -> None:
    ledger = VramLedger()
    ledger.claim("edge-1--sd", [gpu()], 16 * 1024)
    with pytest.raises(Overcommit) as refused:
        ledger.claim("edge-2--llm", [gpu()], 8 * 1024)
    said = str(refused.value)
    # 16 + 0.5 held, 8 + 0.5 wanted: 25 of 24
    assert (
        "edge-2--llm needs 8.50 GiB of Card (GPU-0 on laptop, 24.00 GiB), 1.00 GiB more than is left" in said
    )
    assert "held: edge-1--sd 16.50 GiB" in said
    assert "device: cpu" in said
    assert "vram_gb" in said


def test_replicas_of_two_nodes_share_the_account_of_their_one_gpu_and_not_of_another() -> None:
    ledger = VramLedger()
    ledger.claim("n1--m", [gpu(0)], 20_000)
    with pytest.raises(Overcommit):
        ledger.claim("n2--m", [gpu(0)], 20_000)
    ledger.claim("n2--m", [gpu(1)], 20_000)
    assert {g: [c.app for c in claims] for g, claims in state(ledger).items()} == {
        "GPU-0": ["n1--m"],
        "GPU-1": ["n2--m"],
    }


def test_a_restarted_application_replaces_its_own_claim() -> None:
    ledger = VramLedger()
    ledger.claim("a", [gpu()], 20_000)
    for _ in range(3):  # what the one before it still uses is no stranger's
        ledger.claim("a", [gpu(used_mb=20_000 + 2 * CONTEXT_MB)], 20_000)
    assert ledger.held_mb("GPU-0") == 20_000 + CONTEXT_MB
    ledger.claim("a", [gpu(1)], 20_000)
    assert ledger.held_mb("GPU-0") == 0


def test_what_was_measured_at_the_last_load_counts_if_it_is_more_than_what_is_stated() -> None:
    ledger = VramLedger()
    ledger.claim("a", [gpu()], 1000)
    ledger.report("a", [5000])
    assert ledger.held_mb("GPU-0") == 5000
    ledger.release("a")
    assert ledger.claim("a", [gpu()], 1000)[0].need_mb == 5000
    ledger.report("a", [700])
    assert ledger.claim("a", [gpu()], 1000)[0].need_mb == 1000 + CONTEXT_MB


def test_one_that_took_less_than_it_claimed_keeps_its_claim_for_work_to_come() -> None:
    ledger = VramLedger()
    ledger.claim("a", [gpu()], 10_000)
    ledger.report("a", [3000])
    assert ledger.held_mb("GPU-0") == 10_000 + CONTEXT_MB


def test_one_that_took_more_than_is_left_must_go_and_is_believed_next_time() -> None:
    ledger = VramLedger()
    ledger.claim("a", [gpu()], 20_000)
    ledger.claim("b", [gpu()], 1000)
    with pytest.raises(Overcommit, match=r"b took 8\.79 GiB"):
        ledger.report("b", [9000])
    ledger.release("b")
    with pytest.raises(Overcommit, match=r"b needs 8\.79 GiB"):
        ledger.claim("b", [gpu()], 1000)


def test_memory_that_strangers_use_cannot_be_claimed() -> None:
    ledger = VramLedger()
    with pytest.raises(Overcommit, match=r"held: processes outside this testbed 19\.50 GiB"):
        ledger.claim("a", [gpu(used_mb=20 * 1024.0)], 8 * 1024)
    # 16.5 of what is used is a's own
    ledger.claim("a", [gpu()], 16 * 1024)
    ledger.claim("b", [gpu(used_mb=17 * 1024.0)], 6 * 1024)
    with pytest.raises(Overcommit, match=r"c needs 1\.50 GiB.*, 0\.50 GiB more than is left"):
        ledger.claim("c", [gpu(used_mb=18 * 1024.0)], 1024)


def test_a_model_over_several_gpus_claims_a_part_of_each_or_nothing() -> None:
    ledger = VramLedger()
    ledger.claim("a", [gpu(1)], 20_000)
    with pytest.raises(Overcommit, match="GPU-1"):
        ledger.claim("b", [gpu(0), gpu(1)], 10_000)
    assert ledger.held_mb("GPU-0") == 0
    claims = ledger.claim("b", [gpu(0), gpu(2)], 10_000)
    assert [c.need_mb for c in claims] == [5000 + CONTEXT_MB] * 2
    ledger.report("b", [6000, 5600])
    assert (ledger.held_mb("GPU-0"), ledger.held_mb("GPU-2")) == (6000, 5600)


def test_a_report_without_a_claim_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        VramLedger().report("a", [1.0])


apps = st.sampled_from(["a", "b", "c", "d"])
sizes = st.floats(min_value=0, max_value=1.5 * TOTAL_MB)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), apps, st.integers(0, 1), sizes, st.floats(0, TOTAL_MB)),
        st.tuples(st.just("report"), apps, sizes),
        st.tuples(st.just("release"), apps),
    ),
    max_size=30,
)


@given(steps)
def test_nothing_is_ever_above_total_refusals_change_nothing_and_claims_are_conserved(
    given_steps: list[tuple[Any, ...]],
) -> None:
    ledger, holding = VramLedger(), {}
    for kind, app, *rest in given_steps:
        before = state(ledger)
        try:
            if kind == "claim":
                number, stated_mb, used_mb = rest
                holding[app] = ledger.claim(app, [gpu(number, used_mb)], stated_mb)
            elif kind == "report" and app in holding:
                holding[app] = ledger.report(app, rest)
            elif kind == "release":
                assert ledger.release(app) is (app in holding)
                holding.pop(app, None)
        except Overcommit:
            assert state(ledger) == before
        found = {c.app: c for claims in state(ledger).values() for c in claims}
        assert found == {a: claims[0] for a, claims in holding.items()}
        for g, claims in ledger.accounts():
            assert sum(c.held_mb for c in claims) == pytest.approx(ledger.held_mb(g.id))
            assert ledger.held_mb(g.id) <= TOTAL_MB + 1e-3


@given(st.lists(apps, max_size=8))
def test_release_is_idempotent_and_gives_back_exactly_what_was_held(released: list[str]) -> None:
    ledger = VramLedger()
    for app in ("a", "b", "c"):
        ledger.claim(app, [gpu()], 1000)
    for app in released:
        ledger.release(app)
        assert not ledger.release(app)
    left = {"a", "b", "c"} - set(released)
    assert set(ledger.apps()) == left
    assert ledger.held_mb("GPU-0") == len(left) * (1000 + CONTEXT_MB)


class Holder:
    """A replica's handle: alive, dead, or busy loading."""

    def __init__(self, state: str = "alive") -> None:
        self.state = state

    @property
    def __ray_ready__(self) -> Any:
        return self

    async def remote(self) -> bool:
        if self.state == "dead":
            raise RayActorError
        if self.state == "busy":
            await asyncio.Event().wait()
        return True


def test_the_claim_of_a_dead_replica_goes_to_whoever_needs_it() -> None:
    async def walk() -> None:
        host, first = VramHost(), Holder()
        await host.claim("a", [gpu()], 20_000, first)
        with pytest.raises(Overcommit, match="held: a 20.03 GiB"):
            await host.claim("b", [gpu()], 20_000, Holder())
        first.state = "dead"
        await host.claim("b", [gpu()], 20_000, Holder())
        ((_, claims),) = await host.accounts()
        assert [c.app for c in claims] == ["b"]

    asyncio.run(walk())


def test_a_replica_that_loads_and_says_nothing_keeps_its_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_apps.vram.actor.ALIVE_TIMEOUT_S", 0.01)

    async def walk() -> None:
        host = VramHost()
        await host.claim("a", [gpu()], 20_000, Holder("busy"))
        with pytest.raises(Overcommit):
            await host.claim("b", [gpu()], 20_000, Holder())

    asyncio.run(walk())


def test_what_a_stopped_replica_held_is_gone_when_somebody_looks() -> None:
    async def walk() -> None:
        host, first = VramHost(), Holder()
        await host.claim("a", [gpu()], 20_000, first)
        first.state = "dead"
        assert [claims for _, claims in await host.accounts()] == [()]

    asyncio.run(walk())


def test_a_successor_that_claimed_while_the_dead_were_counted_keeps_its_claim() -> None:
    async def walk() -> None:
        host, first = VramHost(), Holder("dead")
        await host.claim("a", [gpu()], 20_000, first)
        counting = asyncio.ensure_future(host.accounts())
        await host.claim("a", [gpu()], 20_000, Holder())
        ((_, claims),) = await counting
        assert [c.app for c in claims] == ["a"]

    asyncio.run(walk())


def test_a_replica_that_took_more_than_is_left_loses_its_claim() -> None:
    async def walk() -> None:
        host = VramHost()
        await host.claim("a", [gpu()], 20_000, Holder())
        await host.claim("b", [gpu()], 1000, Holder())
        await host.report("a", [20_100])
        with pytest.raises(Overcommit, match="b took 8.79 GiB"):
            await host.report("b", [9000])
        ((_, claims),) = await host.accounts()
        assert [c.app for c in claims] == ["a"]

    asyncio.run(walk())
