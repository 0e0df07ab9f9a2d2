"""A comparison made of generated records: three schemes, three seeds, two events."""

from __future__ import annotations

from functools import cache
from typing import Any

from edgebed.report import Comparison, ParityReport, ParityRow, compare_runs
from emulation.domain.events import Leave, Slowdown
from emulation.domain.records import DecisionRecord, ExecutorRecord, RequestRecord
from emulation.recording import Run
from emulation.rng import stream
from tests.build.records import decision, event, request, run, state

EVENTS = (
    Slowdown(at_s=300, until_s=500, node="n1", factor=2.0),
    Leave(at_s=700, until_s=800, node="n2"),
)
SPEEDS = {"sect": 1.0, "AL": 1.8, "MA": 1.2}


def synthetic_run(scheme: str, seed: int, **changes: Any) -> Run:
    """A run of 100 requests over 1000 s, `SPEEDS[scheme]` times slower than the fastest."""
    rng, requests = stream(seed, f"report {scheme}"), []
    for i in range(100):
        requests.append(_request(scheme, i, rng))
    fields: dict[str, Any] = {"horizon_s": 1000.0, "slots": 100, "scheme": scheme, "seed": seed}
    fields["reasoner"] = "rules" if scheme == "MA" else "none"
    onsets = [event(300, "onset"), event(500, "undo")]
    leaves = [event(700, "onset", 1, "leave", "n2"), event(800, "undo", 1, "leave", "n2")]
    return run(requests, _decisions(scheme), onsets + leaves, _states(), **(fields | changes))


def _request(scheme: str, i: int, rng: Any) -> RequestRecord:
    start_s, model = i * 10.0, "a" if i % 2 else "b"
    node = "n1" if i % 3 or 690 <= start_s < 800 else "n2"
    slow = 2.0 if node == "n1" and 300 <= start_s < 500 else 1.0
    service = float(rng.gamma(50, 0.02)) * slow
    wait = float(rng.exponential(5)) * SPEEDS[scheme]
    lost = model == "b" and rng.random() < 0.05 * SPEEDS[scheme]
    return request(
        start_s,
        wait + service,
        model,
        started_s=None if lost else start_s + wait,
        service_s=None if lost else service,
        executor=f"{node}/{model}",
        outcome="expired" if lost else "done",
    )


def _decisions(scheme: str) -> list[DecisionRecord]:
    found = [
        decision(
            i * 100.0,
            "deployer:n1",
            cause=f"slot {i}",
            choice={"node": "n1", "modes": {"a": "gpu"}},
            changes=i % 2,
        )
        for i in range(10)
    ]
    found.append(
        decision(305, "meta", cause="hint degraded", reason="<n1> is slow & avoided", thinking_s=1.5)
    )
    found.append(
        decision(400, "planner", cause="epoch 2", outcome="voided", violations=("p does not sum to 1",))
    )
    found.append(
        decision(
            5,
            "router",
            request_id="r7",
            choice="n1/a",
            reason=scheme,
            reasoner="none",
            candidates=(("n1/a", 1.25), ("n2/a", 3.5)),
        )
    )
    return found


def _states() -> list[ExecutorRecord]:
    executors = ("n1/a", "n1/b", "n2/a", "n2/b")
    changes = [state(0, e, "starting") for e in executors] + [state(5, e, "ready") for e in executors]
    changes += [state(700, e, "away", "off") for e in executors[2:]]
    return changes + [state(800, e, "ready", "cpu") for e in executors[2:]]


def parity() -> ParityReport:
    """One agreement, one disagreement, one of which the range is too wide to tell."""
    return ParityReport(
        (
            ParityRow("AL", "closed-loop", "a", 10.0, 14.08, 0.408, 3.2, 24.96, None),
            ParityRow("AL", "replay", "a", 10.0, 10.1, 0.01, 9.8, 10.2, True),
            ParityRow("AL", "closed-loop", "b", 12.0, 10.0, 0.2, 9.0, 11.0, False),
        )
    )


@cache
def page_of_all() -> str:
    """Its page, pictures and all, which takes long to draw."""
    from edgebed.report.html import render

    return render(synthetic_comparison())


def synthetic_comparison(seeds: int = 3) -> Comparison:
    """All schemes on all seeds, with the fault ledger and a parity report."""
    runs = [synthetic_run(scheme, seed) for scheme in SPEEDS for seed in range(seeds)]
    return compare_runs(runs, EVENTS, baseline="AL", parity=parity())
