"""Once the budget of its reasoner is spent, the rules are the meta-controller's reasoner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.build.meta import Stage, calls, script

SPENT = {"failure": "budget"}
LOOKS = calls(("get_system_status", {}))


def _drive(stage: Stage, outage: bool = False) -> list[dict[str, Any]]:
    """A device is in use for a while, then another turns slow; what was done, by whom, with what."""
    stage.hint("d1", "interactive")
    if outage:
        stage.meta.outage("timeout", stage.now_s)
    stage.serve(6)
    stage.hint("d1")
    stage.rounds(40, slow={"d2": 2.5})
    kept = ("tool", "by", "arguments")
    return [{name: act[name] for name in kept} for act in stage.acts()]


@pytest.mark.parametrize("said", [(SPENT,), (LOOKS, SPENT)], ids=["at once", "on the way"])
@pytest.mark.parametrize("outage", [False, True])
def test_the_rules_answer_what_it_was_asked_last_and_all_that_follows(
    said: tuple[dict[str, Any], ...], outage: bool
) -> None:
    stage, ruled = Stage(script(*said), perf="prior"), Stage(perf="prior")
    done, expected = _drive(stage, outage), _drive(ruled)
    by_model = [a for a in done if a["by"] == "reasoner"][: len(said) - 1]
    assert [a["tool"] for a in by_model] == ["get_system_status"] * (len(said) - 1)
    assert [a for a in done if a not in by_model] == [a for a in expected if a not in by_model]
    assert "update_calibration" in {a["tool"] for a in done}
    asked = [r for r in stage.records if "exchange" in r.choice]
    assert [r.reasoner for r in asked[: len(said)]] == ["scripted"] * len(said)
    assert {r.reasoner for r in asked[len(said) :]} == {"rules"}
    assert [r.violations for r in asked if r.violations] == [("budget",)]
