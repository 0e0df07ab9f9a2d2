"""Every controller is an actor of its own: blocking one stops its decisions, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulation.recording import SIDE_FILE, Run
from serve_apps.testbed.lookout import BACK_S
from serve_apps.wire.calls import Unreached
from serve_apps.wire.names import PLANNER, SCHEDULER, deployer_name
from tests.build.killing import kill
from tests.build.waiting import eventually

Begin = Callable[..., Any]
BLOCKED_WALL_S = 4.0
WATCHED_S = 8.0
"""Virtual seconds, four of them to one on the wall: at least one slot, here an epoch of the planner too."""
ALIKE = (SCHEDULER, deployer_name("n1"))
AT_ONCE = {"search": {"thinking_slots": 0.0}}
"""The planner is charged a slot of thinking for its what-ifs, or its first new plan would land a slot late."""


def _requests_until(live: Any, t_s: float) -> int:
    served = 0
    while live.now_s < t_s:
        served += live.chat(max_tokens=4, headers={"X-Edge-Origin": "n2"}).status_code == 200
    return served


def _decided_between(run: Run, actor: str, from_s: float, to_s: float) -> int:
    return sum(d.actor == actor and from_s < d.t_s < to_s for d in run.decisions)


# `long`: they are blocked in the same way as the planner, whose case stays.
@pytest.mark.parametrize("blocked", [PLANNER, *(pytest.param(a, marks=pytest.mark.long) for a in ALIKE)])
def test_blocking_an_actor_stops_only_its_own_decisions(begin: Begin, blocked: str) -> None:
    live = begin("MA+sect", epoch_slots=1, controllers=AT_ONCE)
    assert live.chat(max_tokens=4).status_code == 200
    live.cluster.calls.tell(blocked, "block", BLOCKED_WALL_S)
    eventually(lambda: not _answers(live, blocked), timeout_s=5)
    from_s = live.now_s
    served = _requests_until(live, from_s + WATCHED_S)
    footer, run = live.end()
    assert served > 2
    assert footer.conserved()
    actors = {PLANNER, SCHEDULER, deployer_name("n1"), deployer_name("n2")}
    stopped = {a for a in actors if _decided_between(run, a, from_s, from_s + WATCHED_S) == 0}
    assert stopped == {blocked}


def test_decision_records_name_the_process_that_decided(begin: Begin) -> None:
    live = begin("MA+sect", epoch_slots=1, controllers=AT_ONCE)
    live.reaches(6.0)
    _, run = live.end()
    where: dict[str, set[tuple[str, int, str]]] = {
        a: set() for a in ("planner", "scheduler", "deployer:n1", "deployer:n2")
    }
    for line, decision in _numbered(live):
        if decision.actor in where:
            side = run.side[line]
            where[decision.actor].add((side["name"], side["pid"], side["ray_node"]))
    assert all(len(found) == 1 for found in where.values())
    assert len({pid for found in where.values() for _, pid, _ in found}) == 4


def _numbered(live: Any) -> list[tuple[int, Any]]:
    """Decisions of a run that is over, each with its line in the record: the side file refers to it."""
    return [(line, r) for line, r in enumerate(live.written()) if r.kind == "decision"]


def test_killed_controller_comes_back_and_decides_on(begin: Begin) -> None:
    live = begin("MA+sect", controllers=AT_ONCE)
    live.reaches(6.0)
    first = live.cluster.calls.call_now(SCHEDULER, "where")
    kill(first["pid"])
    killed_s = live.now_s
    second = eventually(lambda: _other_process(live, first["pid"]), timeout_s=BACK_S)
    eventually(lambda: f'"pid":{second["pid"]},' in (live.folder / SIDE_FILE).read_text(), timeout_s=BACK_S)
    assert live.chat(max_tokens=4).status_code == 200
    footer, run = live.end()
    assert footer.conserved()
    after = [d for d in run.decisions if d.actor == SCHEDULER and d.t_s > killed_s]
    pids = {run.side[line]["pid"] for line, d in _numbered(live) if d in after}
    assert pids == {second["pid"]}


def _answers(live: Any, actor: str) -> bool:
    try:
        live.cluster.calls.call_now(actor, "where", limit_s=0.3)
    except Unreached:
        return False
    return True


def _other_process(live: Any, pid: int) -> Any:
    try:
        where = live.cluster.calls.call_now(SCHEDULER, "where", limit_s=5)
    except Unreached:
        return None
    return where if where["pid"] != pid else None
