"""A fault of another package in a run: it lands, is seen to end, and one that fails ends the run in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgebed
from emulation.domain.events import OutsideFault
from emulation.outside_faults import made
from tests.build import faultlab
from tests.build.command_line import small

HERE = faultlab.HERE


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "outside",
        "fault": f"{HERE}:{name}",
        "node": "arc-b60",
        "at_s": 20,
        "until_s": 50,
        **fields,
    }


def run_with(folder: Path, *events: dict[str, Any]) -> edgebed.Result:
    return edgebed.simulate(small(folder, events=list(events)), "sect")


def test_it_lands_and_is_seen_to_end(tmp_path: Path) -> None:
    result = run_with(tmp_path, event("Slower", settings={"factor": 3}))
    assert result.comparison.faults is not None
    (row,) = result.comparison.faults
    assert (row.landed, row.recovered, row.effect) == (True, True, 3.0)
    steps = [(e.t_s, e.phase, e.detail["value"]) for e in result.run("sect", 0).events]
    assert steps == [(20.0, "onset", 3.0), (27.5, "step", 4.5), (50.0, "undo", 0.0)]


def test_it_makes_served_work_slower(tmp_path: Path) -> None:
    long = event("Slower", settings={"factor": 20}, at_s=1, until_s=79)
    slow, clean = (run_with(tmp_path, *events).summary("sect", 0) for events in ((long,), ()))
    assert slow.stutter_rate is not None
    assert slow.stutter_rate > 0 == clean.stutter_rate
    assert slow.mean_latency_s != clean.mean_latency_s


def test_one_that_does_not_end_makes_the_run_invalid(tmp_path: Path) -> None:
    result = run_with(tmp_path, event("Sticky"))
    assert result.comparison.faults_valid is False
    assert not result.sound


def test_one_that_raises_fails_its_run_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        edgebed.ConfigError, match=f"^fault {HERE}:Raising: begin: RuntimeError: out of order$"
    ):
        run_with(tmp_path, event("Raising"))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fault": f"{HERE}:Nobody"}, "has no Nobody"),
        ({"fault": f"{HERE}:Regular"}, "must be a class derived from emulation.outside_faults.OwnFault"),
        ({"settings": {"factor": 0.5}}, "settings.factor: input should be greater than 1"),
        ({"fault": f"{HERE}:PastItsEnd"}, "a level at 400 s comes after the end of the event"),
        ({"node": "arc"}, "unknown node 'arc'; did you mean 'arc-b60'"),
        ({"fault": "no path: at all"}, "must be the path of a class, package.module:NAME"),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_runs(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(edgebed.ConfigError) as error:
        run_with(tmp_path, event("Slower", **fields))
    assert said in str(error.value)


def test_alike_events_share_one_object_and_others_do_not() -> None:
    one, alike, other = (
        OutsideFault.model_validate(event("Slower", settings={"factor": factor})) for factor in (2, 2, 3)
    )
    assert made(one) is made(alike)
    assert made(one) is not made(other)
