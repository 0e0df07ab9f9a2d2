"""What a browser is told of a run at a moment."""

from __future__ import annotations

import json

import pytest

from edgebed.ui.page import shared, state
from edgebed.ui.page.deltas import delta
from edgebed.ui.page.moment import Moment
from edgebed.ui.page.room import Room
from edgebed.ui.page.state import FEED, state_of
from edgebed.ui.views import Frame, Span
from tests.build.room import ComputedRun, ComputedRuns

RUN = ComputedRun("MA", nodes=24)


def at(t_s: float) -> dict[str, object]:
    return state_of(RUN, Moment(t_s=t_s), RUN.span())


@pytest.mark.parametrize("t_s", [0.0, 99.0, 150.0, 301.0, 480.0])
def test_it_is_plain_json_with_every_node_and_executor(t_s: float) -> None:
    state = at(t_s)
    assert json.loads(json.dumps(state)) == state
    assert sum(key.startswith("n/") for key in state) == 24
    assert sum(key.startswith("e/") for key in state) == 96
    assert sum(key.startswith("d/") for key in state) <= FEED


def test_a_fault_is_said_on_its_node_while_it_is_in_force() -> None:
    def said(t_s: float) -> list[str]:
        node = at(t_s)["n/edge-0"]
        assert isinstance(node, list)
        return list(node[3])

    assert [said(t) for t in (99, 150, 201)] == [[], ["×3 slower"], []]


def test_figures_have_units() -> None:
    facts = at(150)["facts"]
    assert isinstance(facts, list)
    assert dict(facts)["time"] == "150 s of 480 s"


def test_half_a_second_changes_little_of_24_nodes() -> None:
    whole, change = json.dumps(at(200.0)), json.dumps(delta(at(200.0), at(200.5)))
    assert len(change) < len(whole) / 2


class CountedRun(ComputedRun):
    """A run that grows a little whenever it is looked at, as one that is recorded does; it counts its frames."""

    frames = 0

    def span(self) -> Span:
        self.to_s += 0.01
        return super().span()

    def frame(self, t_s: float) -> Frame:
        self.frames += 1
        return super().frame(t_s)


def test_viewers_who_follow_a_run_share_its_state_within_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [7]
    for module in (shared, state):
        monkeypatch.setattr(module, "beat", lambda: now[0])
    run = CountedRun(growing=True)
    catalog = ComputedRuns(run)
    rooms = [Room(catalog) for _ in range(3)]

    def seen() -> list[dict[str, object]]:
        for room in rooms:
            room.tick()
        return [state_of(run, room.moment, room.span()) for room in rooms]

    first = seen()
    assert first[0] == first[1] == first[2]
    assert run.frames == 1
    now[0] += 1
    assert seen()[0] != first[0]
    assert run.frames == 2
    rooms[1].seek(50.0)
    apart = [state_of(run, room.moment, room.span()) for room in rooms]
    assert [said["facts"] == apart[0]["facts"] for said in apart] == [True, False, True]
    assert run.frames == 3


def test_two_at_one_moment_each_see_how_their_own_time_goes() -> None:
    playing, still = (state_of(RUN, Moment(t_s=150.0, playing=p), RUN.span()) for p in (True, False))
    assert playing["time"] != still["time"]
    assert {k: v for k, v in playing.items() if k != "time"} == {
        k: v for k, v in still.items() if k != "time"
    }
