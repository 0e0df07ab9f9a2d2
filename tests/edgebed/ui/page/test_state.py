"""What a browser is told of a run at a moment."""

from __future__ import annotations

import json

import pytest

from edgebed.ui.page.deltas import delta
from edgebed.ui.page.moment import Moment
from edgebed.ui.page.state import FEED, state_of
from tests.build.room import ComputedRun

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
