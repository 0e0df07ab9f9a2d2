"""A run for the page that is computed from the time: as many nodes as one likes, faults, decisions, hostile texts."""

from __future__ import annotations

from collections.abc import Sequence
from math import sin

from edgebed.ui.page.run_catalog import Entry
from edgebed.ui.views import (
    CostView,
    DecisionDetail,
    DecisionView,
    EventView,
    ExecutorView,
    FlowView,
    Frame,
    ModelSeries,
    NodeView,
    Series,
    Span,
)
from emulation.domain.cluster import TestbedConfig
from emulation.files import load_scenario

HOSTILE = "<img src=x onerror=alert(1)>{{ 7 * 7 }}"
ACTORS = ("planner", "scheduler", "deployer:edge-1", "meta", "router")


class ComputedRun:
    """A `Source`. At `fault_s` the first node becomes three times slower for a while."""

    def __init__(
        self, scheme: str = "MA", nodes: int = 4, growing: bool = False, end_s: float = 480.0
    ) -> None:
        self.name, self.scheme, self.seed, self.world = f"{scheme} · seed 0", scheme, 0, "virtual"
        self.reasoner = "rules"
        self.testbed: TestbedConfig = load_scenario("demo").testbed
        self.models = tuple(model.id for model in self.testbed.models)
        self.nodes, self.growing, self.end_s = nodes, growing, end_s
        self.to_s = end_s / 2 if growing else end_s
        self.bias = {"MA": 1.0, "AL": 2.2}.get(scheme, 0.8)

    def span(self) -> Span:
        return Span(from_s=0.0, to_s=self.to_s, end_s=self.end_s, growing=self.growing)

    def decides(self, t_s: float) -> tuple[str, str]:
        return self.scheme, self.reasoner

    def frame(self, t_s: float) -> Frame:
        arrived, failed = int(2 * t_s), int(0.1 * t_s)
        return Frame(
            t_s=t_s,
            nodes=tuple(self._node(i, t_s) for i in range(self.nodes)),
            flows=tuple(self._flow(i, j, t_s) for i in range(self.nodes) for j in (i, (i + 1) % self.nodes)),
            arrived=arrived,
            done=int(1.8 * t_s),
            failed=failed,
            in_system=arrived - int(1.8 * t_s) - failed,
        )

    def _slow(self, t_s: float) -> bool:
        return 100 <= t_s < 200

    def _node(self, i: int, t_s: float) -> NodeView:
        slow = i == 0 and self._slow(t_s)
        return NodeView(
            id=f"edge-{i}", hosting="pods", devices=("GPU 24 GB", "8 cores"), available=not (i == 2 and t_s > 300),
            slowdown=3.0 if slow else 1.0, faults=("slowdown",) if slow else (), rtt_s=None,
            executors=tuple(self._executor(i, m, t_s) for m in range(len(self.models))),
        )  # fmt: skip

    def _executor(self, i: int, m: int, t_s: float) -> ExecutorView:
        phase = i + m + int(t_s / 30)
        mode = ("gpu", "cpu", "gpu", "off")[phase % 4]
        queued = max(0, round(6 * (1 + sin(t_s / 20 + i + m)))) if mode != "off" else 0
        return ExecutorView(
            id=f"edge-{i}/{self.models[m]}", node=f"edge-{i}", model=self.models[m],
            state="off" if mode == "off" else "starting" if phase % 9 == 0 else "ready", mode=mode,
            gpu_share=0.5 if mode == "gpu" else None, queued=queued, masked=phase % 7 == 0,
            predicted_s=1.5, measured_s=1.5 * self.bias,
        )  # fmt: skip

    def _flow(self, i: int, j: int, t_s: float) -> FlowView:
        rate = round(1 + sin(t_s / 40 + i), 2)
        return FlowView(origin=f"edge-{i}", node=f"edge-{j}", per_s=rate)

    def series(self, until_s: float) -> Series:
        ends = tuple(float(t) for t in range(10, int(until_s) + 1, 10))
        return Series(
            bucket_s=10.0,
            t_s=ends,
            models={m: self._model(i, ends) for i, m in enumerate(self.models)},
            fairness=tuple(0.9 - 0.05 * self.bias for _ in ends),
            predicted=tuple((1 + k % 9 / 10, self.bias * (1 + k % 11 / 7), self.models[k % 4]) for k in range(200)),
        )  # fmt: skip

    def _model(self, i: int, ends: Sequence[float]) -> ModelSeries:
        p50 = tuple(self.bias * (2 + i + sin(t / 30) + (6 if self._slow(t) else 0)) for t in ends)
        return ModelSeries(
            p50_s=p50,
            p95_s=tuple(2.5 * v for v in p50),
            success=tuple(0.7 if self._slow(t) else 0.98 for t in ends),
            first_token_s=tuple(None if i else 0.4 * v for v in p50),
            arrived_per_s=tuple(1 + 0.5 * sin(t / 50) for t in ends),
        )

    def decisions(
        self, until_s: float, actors: Sequence[str] = (), before: int | None = None, most: int = 50
    ) -> Sequence[DecisionView]:
        last = int(until_s / 5)
        numbers = range(min(last, before - 1 if before is not None else last), -1, -1)
        found = [v for v in map(self._view, numbers) if not actors or v.actor.partition(":")[0] in actors]
        return found[:most]

    def _view(self, number: int) -> DecisionView:
        actor = ACTORS[number % len(ACTORS)]
        said = HOSTILE if number % 11 == 0 else f"gpt2 from edge-{number % 4} to edge-{(number + 1) % 4}"
        outcome = "rejected" if number % 8 == 3 else "applied"
        return DecisionView(
            number=number, t_s=5.0 * number, actor=actor, said=said, outcome=outcome, reasoner="rules"
        )

    def decision(self, number: int) -> DecisionDetail:
        if not 0 <= number <= self.end_s / 5:
            raise KeyError(number)
        return DecisionDetail(
            view=self._view(number), cause=f"slot {number}", inputs_age_s=0.4, reason=f"least wait {HOSTILE}",
            thinking_s=1.25, landed_s=5.0 * number + 1.25, choice={"gpu": ["edge-1", HOSTILE]},
            candidates=(("edge-0/gpt2", 1.2, False), ("edge-1/gpt2", 2.2, True)),
            exchanges=({"question": HOSTILE, "reply": "{}", "tools": [{"name": "mask", "node": "edge-1"}]},),
            violations=(), promised="p95 of gpt2 falls", became="fell from 8.2 s to 3.1 s",
        )  # fmt: skip

    def events(self, until_s: float) -> Sequence[EventView]:
        slow = EventView(
            number=0, type="slowdown", target="edge-0", onset_s=100.0, by_hand=False, detail={"factor": 3.0},
            undone_s=200.0 if until_s >= 200 else None,
        )  # fmt: skip
        leave = EventView(number=1, type="leave", target="edge-2", onset_s=300.0, undone_s=None, by_hand=True)
        return [event for event in (slow, leave) if event.onset_s <= until_s]

    def costs(self, until_s: float) -> Sequence[CostView]:
        return [
            CostView(actor=a, decisions=int(until_s / 20), changes=i, thinking_s=0.1 * until_s, tokens=None, price=None)
            for i, a in enumerate(ACTORS[:3])
        ]  # fmt: skip


class ComputedRuns:
    """A `RunCatalog` of such runs."""

    title, root, url = "computed", None, None

    def __init__(self, *runs: ComputedRun) -> None:
        self.runs: list[ComputedRun] = list(runs)

    def entries(self) -> Sequence[Entry]:
        return [Entry(f"{i}", r.name, r.scheme, r.seed, r.growing) for i, r in enumerate(self.runs)]

    def open(self, key: str) -> ComputedRun:
        try:
            return self.runs[int(key)]
        except (ValueError, IndexError):
            raise KeyError(key) from None
