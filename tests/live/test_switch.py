"""The scheme of a live run is switched under load: nobody is lost, and who is killed comes up with the new one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from emulation.metrics.evidence import fault_ledger, played_events
from emulation.metrics.switches import decided_by
from tests.build.killing import kill
from tests.build.live import CONTROL, LiveRun, scenario
from tests.build.waiting import eventually

PATIENCE_S = 120.0
"""Wall seconds a busy machine has to start a gateway."""


def _switch(live: LiveRun, to: str) -> httpx2.Response:
    return live.http.post("/control/scheme", json={"to": to}, headers=CONTROL)


def _scheme(live: LiveRun) -> Any:
    """The scheme by which the gateway decides; None while there is none."""
    try:
        return live.http.get("/health", timeout=5).json().get("scheme")
    except httpx2.HTTPError:
        return None


def test_another_scheme_decides_under_load_and_so_does_a_gateway_that_is_killed_afterwards(
    begin: Callable[..., LiveRun],
) -> None:
    plan = [{"kind": "scheme", "to": "sect", "at_s": 100_000.0}]
    live = begin("AL", events=plan)
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(live.chat, max_tokens=60) for _ in range(8)]
        assert live.http.post("/control/scheme", json={"to": "MA"}).status_code == 401
        said = _switch(live, "MA")
        statuses = [one.result().status_code for one in sent]
    assert said.status_code == 200, said.text
    assert (said.json()["before"], said.json()["scheme"], said.json()["missing"]) == ("AL", "MA", [])
    assert statuses == [200] * 8, "what was in flight went on"
    eventually(lambda: {"planner", "scheduler"} <= {d.actor for d in live.decisions}, PATIENCE_S)

    refused = [_switch(live, to).json()["error"]["message"] for to in ("MA", "MAA", "oracle")]
    assert refused[0] == "MA is in force already"
    assert "did you mean 'MA'" in refused[1]
    assert "oracle cannot come in while a live run goes on" in refused[2]
    listed = live.http.get("/control/schemes", headers=CONTROL).json()
    assert listed["scheme"] == "MA"
    assert {c["scheme"] for c in listed["schemes"] if c["refused"]} >= {"oracle", "oracle-safe"}

    kill(live.http.get("/health").json()["pid"])
    eventually(lambda: _scheme(live) == "MA", PATIENCE_S)
    assert live.chat().status_code == 200
    live.undo(1)
    eventually(lambda: _scheme(live) == "AL", PATIENCE_S)

    footer, run = live.end()
    assert footer.conserved()
    assert decided_by(run) == "AL→MA→AL"
    in_force, back = (e for e in run.events if e.type == "scheme")
    assert set(in_force.detail["took_up"]) == {
        "gateway:0", "planner", "scheduler", "deployer:n1", "deployer:n2",
    }  # fmt: skip
    landed = [d for d in run.decisions if d.landed_s is not None and d.actor in ("planner", "scheduler")]
    assert landed
    assert all(d.landed_s is not None and d.landed_s <= back.t_s for d in landed), (
        "and no more once it went out"
    )
    rows = fault_ledger(run, played_events(run, scenario(events=plan).events))
    assert [row.landed for row in rows] == [None, True]
