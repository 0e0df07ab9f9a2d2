"""A time is in exactly one slot, and everything that bins by slots says the same one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from math import inf, nextafter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebed.reproduce.ma.slots import SlotTally
from emulation.domain.scenario import PeriodicSource, SlottedSource
from emulation.domain.slots import slot_of, slot_start_s, slots_until, within_slot_s
from emulation.metrics.series import latency_series
from tests.build.fakes import device_testbed, scenario
from tests.build.fast_path import build_fast_path
from tests.build.records import header, request, run
from workloads.generate import generate

LENGTHS = st.one_of(
    st.sampled_from([0.1, 0.7, 1 / 3, 1e-3, 7.7, 30.0, 20.0, 1e6]), st.floats(1e-6, 1e9, allow_nan=False)
)
NUMBERS = st.integers(0, 2**40)
ODD = (0.1, 0.7, 1 / 3, 0.3, 1.1, 29.9)


@given(NUMBERS, LENGTHS)
def test_a_slot_begins_at_its_begin_and_ends_just_before_the_next(slot: int, slot_s: float) -> None:
    assert slot_of(slot_start_s(slot, slot_s), slot_s) == slot
    assert slot_of(nextafter(slot_start_s(slot + 1, slot_s), -inf), slot_s) == slot


@given(st.floats(-1e12, 1e12), LENGTHS)
def test_a_time_is_in_the_slot_that_has_begun_last(t_s: float, slot_s: float) -> None:
    slot = slot_of(t_s, slot_s)
    if abs(slot) < 2**52:
        assert slot_start_s(slot, slot_s) <= t_s < slot_start_s(slot + 1, slot_s)


@given(NUMBERS, LENGTHS, st.floats(0, 1, exclude_max=True))
def test_what_is_within_a_slot_stays_in_it(slot: int, slot_s: float, share: float) -> None:
    assert slot_of(within_slot_s(slot, share, slot_s), slot_s) == slot


@given(st.integers(0, 10**6), LENGTHS)
def test_a_horizon_of_whole_slots_has_so_many(slots: int, slot_s: float) -> None:
    assert slots_until(slot_start_s(slots, slot_s), slot_s) == slots
    assert slots_until(nextafter(slot_start_s(slots, slot_s), inf), slot_s) == slots + 1


@pytest.mark.parametrize("t_s", [1e300, -1e300, 1e22])
def test_times_beyond_all_slots_are_answered_too(t_s: float) -> None:
    assert slot_of(t_s, 0.1) == int(t_s / 0.1)


@pytest.mark.parametrize("slot_s", ODD)
def test_the_random_router_draws_once_per_slot(slot_s: float) -> None:
    slots = 2000
    path = build_fast_path(device_testbed(nodes=8), "random", {"slot_s": slot_s})
    world = scenario(
        device_testbed(nodes=8),
        slot_s=slot_s,
        slots=slots,
        workload=(PeriodicSource(interval_s=slot_s, count=slots, models=("m",), origins=("d0",)),),
    )
    chosen = [path.route(r, r.arrival_s).executor for r, _ in generate(world, 0).items]
    assert len(chosen) == slots
    assert sum(a == b for a, b in pairwise(chosen)) / slots == pytest.approx(1 / 8, abs=0.03)


@pytest.mark.parametrize("slot_s", ODD)
@pytest.mark.parametrize("offset", ["start", "uniform"])
def test_one_request_per_slot_is_one_in_every_bin(slot_s: float, offset: str) -> None:
    slots = 700
    source = SlottedSource(models=("m",), origins=("d0",), k_min=1, k_max=1, offset=offset)
    world = scenario(device_testbed(), slot_s=slot_s, slots=slots, workload=(source,))
    sent = [request(r.arrival_s, 1.0, "m") for r, _ in generate(world, 3).items]
    fields = {"slot_s": slot_s, "slots": slots, "horizon_s": world.horizon_s, "models": ("m",)}
    recorded = run(sent, **fields)
    assert [b.arrived for b in latency_series(recorded)] == [1] * slots
    assert [b.arrived for b in latency_series(recorded, 3)] == [3] * (slots // 3) + [slots % 3]
    tally = SlotTally()
    tally.write(header(**fields))
    for one in sent:
        tally.write(one)
    assert tally.figures().arrived[:, 0].tolist() == [1] * slots


ROOT = Path(__file__).parents[2]
PACKAGES = ("emulation", "controller", "workloads", "serve_apps", "edgebed")


@pytest.mark.slow
def test_seconds_are_divided_into_slots_in_one_place_only() -> None:
    found = {
        str(path.relative_to(ROOT)): [ast.unparse(node) for node in _countings(ast.parse(path.read_text()))]
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    assert {path: nodes for path, nodes in found.items() if nodes} == {
        "emulation/domain/slots.py": ["int(t_s / slot_s)"]
    }


def _countings(tree: ast.AST) -> Iterator[ast.AST]:
    """Whole numbers made of seconds by a division, and sums that a length of a slot is added to again and again."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.FloorDiv | ast.Mod)
            and _seconds(node.right)
        ):
            yield node
        elif isinstance(node, ast.Call) and _name(node.func) in ("int", "floor", "ceil", "round", "divmod"):
            inside = [n for a in node.args for n in ast.walk(a)]
            if any(
                isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div) and _seconds(n.right) for n in inside
            ):
                yield node
        elif isinstance(node, ast.AugAssign) and _name(node.value).endswith(
            ("slot_s", "period_s", "interval_s")
        ):
            yield node


def _seconds(node: ast.AST) -> bool:
    return _name(node).endswith("_s")


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
