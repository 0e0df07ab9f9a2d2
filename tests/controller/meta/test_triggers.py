"""When the reasoner is called, to the task."""

from __future__ import annotations

import pytest

from controller.meta.config import MetaConfig
from controller.meta.triggers import Gate, Trigger
from tests.build.meta import DEVICES, Silent, Stage


def test_a_signature_cools_down_for_exactly_its_tasks() -> None:
    gate = Gate(MetaConfig(cooldown_tasks=20))
    onset = Trigger("onset", "d0")
    assert gate.passes(onset, 5)
    assert not gate.passes(onset, 24)
    assert gate.passes(Trigger("onset", "d1"), 24), "another device is another signature"
    assert gate.passes(onset, 25)


def test_only_what_is_no_event_keeps_the_minimum_gap() -> None:
    gate = Gate(MetaConfig(cooldown_tasks=0, min_gap_tasks=20))
    assert gate.passes(Trigger("onset", "d0"), 10)
    assert not gate.passes(Trigger("residual", "d1", "m"), 29)
    assert gate.passes(Trigger("onset", "d2"), 11)
    assert not gate.passes(Trigger("residual", "d1", "m"), 30)
    assert gate.passes(Trigger("residual", "d1", "m"), 31)


@pytest.mark.parametrize("ttl", [1, 7, 50])
def test_a_mask_covers_exactly_its_tasks(ttl: int) -> None:
    stage = Stage(Silent())
    stage.serve(4)
    stage.meta.steered.mask("d0", ttl)
    sent = stage.serve(ttl)
    assert "d0" not in sent
    assert stage.meta.steered.ttl_left("d0") is None
    assert "d0" in stage.serve(3)


def test_a_sustained_residual_alarms_and_a_single_outlier_does_not() -> None:
    llm = Silent()
    stage = Stage(llm, drift_window_s=100.0)
    stage.serve(12)
    request, device = stage.send()
    stage.end(request, device, 6.0)
    stage.serve(6)
    assert llm.asked == []
    stage.serve(12, slow=dict.fromkeys(DEVICES, 3.0))
    assert llm.asked
    assert llm.asked[0].situation["kind"] == "residual"
    assert llm.asked[0].situation["facts"]["observed_over_predicted"] > 1.3


def test_alarms_keep_the_gap_however_many_devices_drift() -> None:
    llm = Silent()
    stage = Stage(llm, drift_window_s=100.0)
    stage.serve(12)
    stage.serve(60, slow=dict.fromkeys(DEVICES, 4.0))
    tasks = [q.situation["tasks"] for q in llm.asked]
    assert all(later - earlier >= 20 for earlier, later in zip(tasks, tasks[1:], strict=False))


def test_no_alarm_while_predictions_hold() -> None:
    llm = Silent()
    stage = Stage(llm)
    stage.serve(200)
    assert llm.asked == []
