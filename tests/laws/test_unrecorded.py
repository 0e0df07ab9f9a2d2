"""What is only for records is not made where nobody takes them, and a run goes as it would with them."""

from __future__ import annotations

import pytest

from controller.meta.audit import AuditTrail
from edgebed.runs.virtual import simulate
from emulation.domain.records import DecisionRecord
from emulation.files import load_scenario
from emulation.recording import MemorySink


@pytest.mark.parametrize("name", ["e3-semantic-a", "e3-churn"])
def test_a_run_that_nobody_records_ends_as_one_that_is_recorded(name: str) -> None:
    sink, world = MemorySink(), load_scenario(name)
    assert simulate(world, "e3", 0) == simulate(world, "e3", 0, sink)
    assert any(isinstance(r, DecisionRecord) and r.actor == "meta" for r in sink.records)


def test_nobody_writes_an_audit_trail_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[DecisionRecord] = []

    def heard(self: AuditTrail, take: object = AuditTrail.take) -> list[DecisionRecord]:
        records: list[DecisionRecord] = take(self)  # type: ignore[operator]
        taken.extend(records)
        return records

    monkeypatch.setattr(AuditTrail, "take", heard)
    simulate(load_scenario("e3-semantic-a"), "e3", 0)
    assert taken == []
    simulate(load_scenario("e3-semantic-a"), "e3", 0, MemorySink())
    assert taken != []
