"""A decider that answers nonsense, or decides without a forecast, must be seen in the report, not only survived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebed.report import compare_runs
from edgebed.report.tables import checks
from edgebed.runs import whatif
from edgebed.runs.virtual import simulate_in_memory
from emulation.files import load_scenario


def test_replaced_decisions_are_a_failed_check() -> None:
    scenario = load_scenario("demo").model_copy(update={"slots": 4})
    run = simulate_in_memory(scenario, "MA", 1)
    assert all(cell.tone == "good" for cell in checks(compare_runs([run])))
    bad = tuple(
        replace(d, reason="invalid answer: last valid decision kept", violations=("it raised KeyError",))
        if d.actor == "planner"
        else d
        for d in run.decisions
    )
    failed = [cell for cell in checks(compare_runs([replace(run, decisions=bad)])) if cell.tone == "bad"]
    assert len(failed) == 1
    assert "planner" in failed[0].text
    assert "KeyError" in failed[0].text


def test_plans_that_nobody_emulated_are_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif._SHARED, "ask", lambda message: "KeyError: 'gpt2'")
    scenario = load_scenario("demo").model_copy(update={"slots": 12})
    run = simulate_in_memory(scenario, "MA", 1)
    failed = [cell for cell in checks(compare_runs([run])) if cell.tone == "bad"]
    assert len(failed) == 1
    assert "2 of 2 plans made without the forecast" in failed[0].text
    assert "KeyError: 'gpt2'" in failed[0].text
