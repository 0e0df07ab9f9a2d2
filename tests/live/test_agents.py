"""Planner, scheduler and deployment agents that ask a model over HTTP, each in an actor of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulation.domain.events import LlmOutage
from emulation.domain.records import DecisionRecord
from emulation.recording import Run
from tests.build.hierarchy import Hierarchy
from tests.build.live import LiveRun, scenario
from tests.build.stand_in_llm import serving
from tests.build.waiting import eventually

Begin = Callable[..., Any]
PLAN = {"n1": {"gpt2": "gpu", "blip": "cpu", "sd": "gpu"}, "n2": {"gpt2": "gpu", "big": "cpu"}}
ACTORS = ("planner", "scheduler", "deployer:n1", "deployer:n2")


def _model(**behaviour: Any) -> Hierarchy:
    return Hierarchy(bed=scenario().testbed, plan=PLAN, **behaviour)


def _begin(begin: Begin, model: Hierarchy, timeout_s: float = 5.0, slot_s: float = 0.5, **agents: Any) -> Any:
    openai = {"base_url": model.url, "model": "tiny", "timeout_s": timeout_s, "attempts": 1}
    roles = dict.fromkeys(("planner", "scheduler", "deployer"), "openai")
    controllers = {"agents": {**roles, "openai": openai, **agents}}
    return begin("MA", slot_s=slot_s, epoch_slots=2, controllers=controllers, live={"speedup": 1.0})


def _of(run: Run | LiveRun, actor: str, exchanges: bool = False) -> list[DecisionRecord]:
    return [d for d in run.decisions if d.actor == actor and ("exchange" in d.choice) is exchanges]


def _asked_after(run: Run | LiveRun, actor: str, t_s: float) -> list[DecisionRecord]:
    return [d for d in _of(run, actor, exchanges=True) if d.t_s > t_s]


def test_every_agent_asks_the_model_and_its_answers_are_applied(begin: Begin) -> None:
    with serving(_model()) as model:
        live = _begin(begin, model)
        eventually(lambda: live.chat(max_tokens=1).status_code == 200)
        eventually(lambda: all(len(_of(live, a)) >= 2 for a in ACTORS), 60.0)
        footer, run = live.end()
    assert footer.conserved()
    assert run.header.reasoner == "openai"
    for actor in ACTORS:
        decided = _of(run, actor)
        assert len(decided) >= 2, actor
        assert all(d.reasoner == "openai" and not d.reason.startswith("invalid") for d in decided), actor
        assert all(d.thinking_s > 0 for d in decided)
        assert len(_of(run, actor, exchanges=True)) == len(decided)
    assert _of(run, "planner")[0].choice["roles"] == PLAN
    assert _of(run, "deployer:n2")[-1].choice["modes"] == PLAN["n2"]


def test_requests_are_served_while_the_model_does_not_answer(begin: Begin) -> None:
    with serving(_model(failure="timeout")) as model:
        live = _begin(begin, model, timeout_s=1.5, slot_s=1.0)
        eventually(lambda: live.chat(max_tokens=1).status_code == 200)
        served = [live.chat(max_tokens=2, ignore_eos=True).status_code for _ in range(6)]
        eventually(lambda: all(_of(live, a, exchanges=True) for a in ACTORS))
        eventually(lambda: any(d.t_s > 0 for d in _of(live, "scheduler")))
        footer, run = live.end()
    assert served == [200] * 6
    assert footer.conserved()
    for actor in ACTORS:
        asked = _of(run, actor, exchanges=True)
        assert asked, actor
        assert {(d.outcome, d.violations) for d in asked} == {("rejected", ("timeout",))}
    overran = [d for d in _of(run, "scheduler") if d.t_s > 0]
    assert overran
    assert len(overran) <= footer.t_s / 1.5 + 1, "asked while it was thinking: a slot has 1 s, a thought 1.5"


def test_an_outage_of_the_plan_reaches_every_agent(begin: Begin) -> None:
    with serving(_model()) as model:
        live = _begin(begin, model)
        eventually(lambda: live.chat(max_tokens=1).status_code == 200)
        t_s = live.cluster.progress().t_s
        until_s = t_s + 2.0
        live.cluster.inject(LlmOutage(at_s=t_s, until_s=until_s, failure="refusal"))
        eventually(lambda: all(_asked_after(live, a, until_s + 1.0) for a in ACTORS), 60.0)
        _, run = live.end()
    for actor in ACTORS:
        inside = [d for d in _of(run, actor, exchanges=True) if t_s + 0.5 < d.t_s < until_s - 0.5]
        assert all(d.choice["exchange"].get("injected") == "refusal" for d in inside), actor
        after = _asked_after(run, actor, until_s + 1.0)
        assert after
        assert not any("injected" in d.choice["exchange"] for d in after), actor
    assert any("injected" in d.choice["exchange"] for d in _of(run, "scheduler", exchanges=True))
