"""A meta-controller over three equal devices, driven by hand; and short runs of the four-device pool."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from controller.agents.llm import LLM, Form, Query, Reply
from controller.agents.reasoner import ReasonerLabel
from controller.agents.rules import RulesLlm
from controller.agents.scripted import ScriptedLlm, ScriptLine
from controller.meta.config import MetaConfig
from controller.meta.controller import MetaController
from edgebed.check.worlds import completion
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import DecisionRecord
from emulation.domain.request import Outcome, Request
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import Run
from tests.build.fast_path import build_fast_path

DEVICES = ("d0", "d1", "d2")
TESTBED = TestbedConfig.model_validate(
    {
        "name": "three",
        "models": [{"id": "m", "modality": "image", "modes": ["gpu"]}],
        "nodes": [{"id": d, "hosting": "device", "gpus": [{"sharing": "none"}]} for d in DEVICES],
        "profile": [{"model": "m", "mode": "gpu", "theta": [2.0]}],
    }
)


def script(*lines: dict[str, Any]) -> ScriptedLlm:
    """A reasoner that says these lines in order."""
    return ScriptedLlm([ScriptLine.model_validate(line) for line in lines])


def calls(*named: tuple[str, dict[str, Any]], **line: Any) -> dict[str, Any]:
    """One line of a script that calls tools."""
    return {"calls": [{"name": name, "arguments": arguments} for name, arguments in named], **line}


class Silent:
    """A reasoner that never asks for anything."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    @property
    def label(self) -> ReasonerLabel:
        return "scripted"

    def form(self, agent: str) -> Form:
        return "program"

    def ask(self, query: Query) -> Reply:
        self.asked.append(query)
        return Reply()


class Stage:
    """Dispatches and ends requests one after the other, and lets the reasoner answer whenever it is asked."""

    def __init__(
        self, llm: LLM | None = None, perf: str = "nnls", answers: bool = True, **config: Any
    ) -> None:
        settings = MetaConfig.model_validate(config)
        fast_path = build_fast_path(TESTBED, "sect", perf=perf)
        self.meta = MetaController(TESTBED, fast_path, llm or RulesLlm(settings), settings)
        self.now_s = 0.0
        self.answers = answers
        self.records: list[DecisionRecord] = []
        self.sent: list[str] = []
        self._number = 0
        self.meta.attach(self._take)

    def _take(self) -> None:
        self.records.extend(self.meta.take_records())
        if not self.answers:
            return
        while (question := self.meta.take_question()) is not None:
            self.meta.answered(question, self.meta.think(question), self.now_s)
            self.records.extend(self.meta.take_records())

    def hint(self, device: str, *hints: str) -> None:
        self.meta.hinted(device, hints, self.now_s)

    def send(self) -> tuple[Request, str]:
        """Dispatch one request where the fast path says; returns where that is."""
        self._number += 1
        request = Request(f"r{self._number}", "m", "d0", self.now_s, inf)
        decision = self.meta.route(request, self.now_s)
        assert decision.executor is not None
        self.meta.dispatched(request, decision, self.now_s)
        self.sent.append(decision.executor)
        return request, decision.executor

    def end(
        self, request: Request, device: str, service_s: float | None = 2.0, stutter: bool = False
    ) -> None:
        self.now_s += service_s or 0.0
        outcome: Outcome = "done" if service_s is not None else "node_lost"
        self.meta.completed(completion(request, device, self.now_s, service_s, 0, outcome, stutter))

    def serve(self, count: int, slow: dict[str, float] | None = None) -> list[str]:
        """So many requests, one at a time; `slow`: device to its factor."""
        start = len(self.sent)
        for _ in range(count):
            request, device = self.send()
            factor = (slow or {}).get(device, 1.0)
            self.end(request, device, 2.0 * factor, stutter=factor > 1.0)
        return self.sent[start:]

    def rounds(self, count: int, slow: dict[str, float] | None = None) -> list[str]:
        """So many rounds of three requests at once, so that every device that may be used is."""
        start = len(self.sent)
        for _ in range(count):
            sent = [self.send() for _ in DEVICES]
            for request, device in sent:
                factor = (slow or {}).get(device, 1.0)
                self.end(request, device, 2.0 * factor, stutter=factor > 1.0)
                self.now_s -= 2.0 * factor
            self.now_s += 2.0 * max((slow or {}).values(), default=1.0)
        return self.sent[start:]

    def acts(self, tool: str = "") -> list[dict[str, Any]]:
        """Tool calls in the trail."""
        return [
            r.choice
            for r in self.records
            if r.choice.get("tool", "-") == tool or ("arguments" in r.choice and not tool)
        ]

    def verdicts(self) -> list[dict[str, Any]]:
        return [r.choice for r in self.records if "verdict" in r.choice]


NAMES = {"Thor": "LLM#0", "B60": "LLM#1", "SE100": "SD#0", "Orin": "SD#1"}
INTERVAL_S = 1.0 / 0.28


def window(first: int, last: int, device: str, factor: float, **fields: Any) -> dict[str, Any]:
    """A semantic window in task indices."""
    return {
        "kind": "slowdown", "at_s": first * INTERVAL_S, "until_s": last * INTERVAL_S, "node": NAMES[device],
        "factor": factor, **fields,
    }  # fmt: skip


SEMANTIC = [
    window(10, 25, "B60", 3.0, hint="game"),
    window(35, 50, "Thor", 3.0, hint="video call"),
    window(60, 75, "Orin", 2.0, hint="low battery"),
]


def pool(events: Sequence[dict[str, Any]] = (), tasks: int = 90, **changes: Any) -> Scenario:
    """The paper's pool under a shortened horizon."""
    base = load_scenario("e3-basic").model_dump()
    base["workload"] = [{**base["workload"][0], "count": tasks}]
    base |= {"name": "short", "slots": int(tasks * INTERVAL_S / 30.0) + 1, "events": list(events), **changes}
    return Scenario.model_validate(base)


def run(scenario: Scenario, scheme: str = "e3", seed: int = 0) -> Run:
    return simulate_in_memory(scenario, scheme, seed)


def meta_records(found: Run) -> list[DecisionRecord]:
    return [d for d in found.decisions if d.actor == "meta"]


def stutter_rate(found: Run) -> float:
    return sum(r.stutter for r in found.requests) / len(found.requests)
