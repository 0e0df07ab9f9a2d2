"""Phases of the slotted source: whole slots, everything accounted for, and nothing moved where there are none."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from emulation.files import load_scenario
from tests.build.workloads import SLOTTED, scenario
from workloads.generate import generate

SLOT_S = 20.0
"""Of the test scenario, which has 25 slots and 5 more in its tail."""


def per_slot(*sources: dict[str, Any], seed: int = 1) -> Counter[int]:
    return Counter(int(r.arrival_s // SLOT_S) for r, _ in generate(scenario(*sources), seed).items)


def test_a_phase_has_requests_in_its_own_slots_only() -> None:
    found = per_slot({**SLOTTED, "k_min": 1, "from_slot": 4, "until_slot": 9})
    assert found == {slot: 2 * 4 for slot in range(4, 9)}


def test_a_phase_without_end_goes_on_to_the_last_slot_of_the_tail() -> None:
    assert set(per_slot({**SLOTTED, "k_min": 1, "from_slot": 20})) == set(range(20, 30))
    assert set(per_slot({**SLOTTED, "k_min": 1, "from_slot": 20, "until_slot": 99})) == set(range(20, 30))


def test_phases_side_by_side_leave_no_slot_out_and_none_twice() -> None:
    phases = [{**SLOTTED, "k_min": 1, "until_slot": 7}, {**SLOTTED, "k_min": 1, "from_slot": 7}]
    assert per_slot(*phases) == per_slot({**SLOTTED, "k_min": 1})


def test_every_phase_accounts_for_all_it_read() -> None:
    sources = [{**SLOTTED, "until_slot": 7}, {**SLOTTED, "k_max": 1, "from_slot": 7, "until_slot": 12}]
    workload = generate(scenario(*sources), 1)
    assert [a.read for a in workload.accounting] == [7 * 2 * 4, 5 * 2 * 4]
    for account in workload.accounting:
        assert account.read == account.emitted + sum(account.dropped.values())
    assert len(workload.items) == sum(a.emitted for a in workload.accounting)


def test_a_source_over_all_slots_draws_what_it_always_drew() -> None:
    """The digest was taken before there were phases: requests, truth and accounts of bristol-A, seed 3."""
    workload = generate(load_scenario("bristol-A"), 3)
    accounts = [
        (a.source, a.kind, a.read, a.emitted, tuple(sorted(a.dropped.items()))) for a in workload.accounting
    ]
    whole = repr((workload.items, [tuple(sorted(workload.max_tokens.items()))], accounts))
    for since in (", input_tokens=None", ", tenant=None"):  # fields that truth and requests have had since
        whole = whole.replace(since, "")
    assert hashlib.blake2b(whole.encode(), digest_size=8).hexdigest() == "ca3f537e1acb63a8"
    assert generate(scenario({**SLOTTED, "from_slot": 0, "until_slot": 30}), 3) == generate(
        scenario(SLOTTED), 3
    )


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"from_slot": 9, "until_slot": 9}, "until_slot 9 must be after from_slot 9"),
        ({"from_slot": 30}, "workload.0..from_slot 30 is after the last slot, 29"),
        ({"from_slot": -1}, "from 0 to 1,000,000 slots, not -1"),
    ],
)
def test_a_phase_that_cannot_be_is_refused(slots: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        scenario({**SLOTTED, **slots})


@pytest.mark.parametrize(("at", "before", "after"), [(100, "text", "image"), (250, "image", "text")])
def test_the_packaged_flip_turns_the_mix_round_at_an_epoch_boundary(at: int, before: str, after: str) -> None:
    flip = load_scenario("bristol-A-flip")
    assert at % flip.epoch_slots == 0
    prompts: Counter[tuple[str, str]] = Counter()
    for request, _ in generate(flip, 0).items:
        slot = int(request.arrival_s // flip.slot_s)
        kind = "text" if request.model.startswith("gpt2") else "image"
        if at - 50 <= slot < at + 50:
            prompts[before if slot < at else after, kind] += request.prompts
    assert prompts["text", "text"] > 3 * prompts["text", "image"]
    assert prompts["image", "image"] > 3 * prompts["image", "text"]
