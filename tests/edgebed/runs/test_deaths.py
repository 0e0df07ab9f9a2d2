"""What died unplanned in a live run stands beside its record and under every table; what the plan killed does not."""

from __future__ import annotations

from pathlib import Path

from edgebed.report.tables import checks
from edgebed.runs.comparison import compare_virtual, conclude
from edgebed.runs.deaths import note_deaths, unplanned
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import read_note
from emulation.domain.records import EventRecord
from serve_apps.testbed.lives import Life, Role, Watch
from tests.build.small import small_scenario


def event(type_: str, target: str, phase: str = "onset") -> EventRecord:
    assert phase in ("onset", "undo")
    return EventRecord(1.0, 0, type_, target, phase, visible=True)  # type: ignore[arg-type]


def test_deaths_that_the_event_plan_meant_are_not_unplanned() -> None:
    died = {"n1--sd": 2, "node:n1": 1, "node:n10": 1, "gateway": 1}
    plan = [event("replica_kill", "n1/sd"), event("replica_kill", "n1/sd", "undo"), event("slowdown", "n10")]
    assert unplanned(died, plan) == {"n1--sd": 1, "node:n1": 1, "node:n10": 1, "gateway": 1}
    assert unplanned(died, [*plan, event("node_kill", "n1")]) == {"node:n10": 1, "gateway": 1}


def test_a_run_in_which_something_died_is_not_compared_in_silence(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "runs")
    compare_virtual(small_scenario(), ["sect"], [0], layout, quiet=True)
    watch = Watch()
    watch.expect(Role("gateway", 60.0, vital=True))
    for now_s, lives in enumerate(({Life("a")}, {Life("b")}, {Life("c")})):
        watch.look(now_s, {"gateway": lives})
    folder = layout.run_folder("sect", 0)
    note = read_note(folder)
    assert note is not None
    assert note_deaths(watch, note, folder).died == {"gateway": 2}
    comparison = conclude(layout)
    assert comparison is not None
    said = "sect, seed 0: died unplanned: gateway ×2"
    assert said in comparison.remarks
    assert said in [cell.text for cell in checks(comparison)]
