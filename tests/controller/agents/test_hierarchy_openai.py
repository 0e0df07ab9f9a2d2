"""Planner, scheduler and deployment agents over real HTTP: good answers are applied, wrong ones rejected and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.agents.replay import ReplayMiss
from controller.loop import INVALID
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.records import DecisionRecord
from emulation.domain.scenario import Scenario
from emulation.recording import JsonlSink, Run, read_run
from tests.build.hierarchy import BED, PLAN, Hierarchy, policy, short
from tests.build.stand_in_llm import serving

QUICK = {"timeout_s": 5.0, "attempts": 1, "backoff_s": 0.0}
MODELS = [m.id for m in BED.models]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serving(Hierarchy()) as found:
        monkeypatch.setenv("EDGEBED_LLM_BASE_URL", found.url)
        monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        yield found


def _agents(**changes: Any) -> dict[str, Any]:
    return {"openai": QUICK, **changes}


def _of(run: Run, actor: str, exchanges: bool) -> list[DecisionRecord]:
    return [d for d in run.decisions if d.actor.startswith(actor) and ("exchange" in d.choice) is exchanges]


def _goes_on(run: Run) -> None:
    """Requests are conserved, and served whatever the agents say."""
    assert run.footer is not None
    assert run.footer.conserved()
    assert run.footer.in_system == {}
    assert sum(r.outcome == "done" for r in run.requests) > 50


@pytest.mark.slow
def test_a_hierarchy_of_models_plans_schedules_and_deploys(server: Hierarchy) -> None:
    run = simulate_in_memory(with_reasoner(short(**_agents()), "openai"), "MA", 0)
    _goes_on(run)
    assert run.header.reasoner == "openai"
    plans = _of(run, "planner", exchanges=False)
    assert [d.reason for d in plans] == ["the plan I know"] * len(plans)
    assert plans[0].choice["roles"]["VM7"] == PLAN["VM7"]
    guides, patterns = _of(run, "scheduler", exchanges=False), _of(run, "deployer", exchanges=False)
    assert all(len(d.choice["table"]) == 24 for d in guides)
    assert patterns[-1].choice["modes"] == PLAN[patterns[-1].choice["node"]]
    decided = [*plans, *guides, *patterns]
    assert all((d.reasoner, d.violations) == ("openai", ()) for d in decided)
    assert all(d.thinking_s > 0 for d in decided), "real thinking is charged"
    assert all(d.landed_s == pytest.approx(d.t_s + d.thinking_s) for d in decided if d.t_s > 0)
    asked = [d for d in run.decisions if d.actor != "router" and "exchange" in d.choice]
    assert len(asked) == len(decided) == len(server.seen)


def test_a_planner_consults_what_if_before_it_answers(server: Hierarchy) -> None:
    server.consult = True
    run = simulate_in_memory(short(slots=2, epoch_slots=2, **_agents(planner="openai")), "MA", 0)
    first, second = _of(run, "planner", exchanges=True)[:2]
    (answered,) = first.choice["results"]
    expected = orjson.loads(answered)
    assert set(expected["success"]) == set(MODELS)
    assert 0.0 < expected["objective"] < 1.0
    assert second.choice["exchange"]["calls"] == []
    (plan,) = _of(run, "planner", exchanges=False)[:1]
    assert plan.violations == ()
    assert plan.thinking_s > 2.0, "emulating takes time too"
    said = orjson.dumps(server.seen).decode()
    assert "events" not in said
    assert ".yaml" not in said, "no scenario ever reaches a planner"


def _drop(*path: str) -> Any:
    def spoil(answer: dict[str, Any]) -> None:
        for key in path[:-1]:
            answer = answer[key]
        del answer[path[-1]]

    return spoil


def _put(value: Any, *path: str) -> Any:
    def spoil(answer: dict[str, Any]) -> None:
        for key in path[:-1]:
            answer = answer[key]
        answer[path[-1]] = value

    return spoil


def _says(text: str) -> Any:
    return lambda answer: text


CROWDED = {"gpt2": "gpu", "blip": "gpu", "sd": "gpu"}
PLANS = {
    "bad JSON": (_says('{"p": {"gpt2": '), "not one JSON object"),
    "prose round it": (lambda a: f"Sure! {orjson.dumps(a).decode()}", "not one JSON object"),
    "two blocks": (_says("```json\n{}\n```\n```json\n{}\n```"), "not one JSON object"),
    "a list": (_says("[]"), "should be an object"),
    "not a number": (_says('{"p": {"sd": {"VM3": NaN}}, "roles": {}}'), "NaN is not a JSON number"),
    "key twice": (_says('{"p": {}, "p": {}, "roles": {}}'), "key 'p' appears twice"),
    "deeply nested": (_says("[" * 50_000), "nested too deeply"),
    "half a character": (_says('{"reason": "\ud800"}'), "p: Field required"),
    "empty": (_says(""), "not one JSON object"),
    "number as text": (_put("1.0", "p", "sd", "VM3"), "p.sd.VM3: Input should be a valid number"),
    "wrong sum": (_put(0.5, "p", "sd", "VM3"), "p[sd] sums to 1.3, must be 1"),
    "negative share": (_put(-0.2, "p", "sd", "VM3"), "p[sd][VM3] = -0.2 is negative"),
    "GPU model on the CPU node": (_put("gpu", "roles", "VM2", "sd"), "sd cannot run on gpu of VM2"),
    "GPU model beside the GPUs": (_put("cpu", "roles", "VM2", "sd"), "roles put sd on VM2"),
    "GPU model routed to the CPU node": (_put({"VM2": 1.0}, "p", "sd"), "p[sd] uses 'VM2'"),
    "over capacity": (_put(CROWDED, "roles", "VM3"), "do not fit the slices or vRAM of VM3"),
    "missing model": (_drop("p", "blip"), "p lacks model 'blip'"),
    "missing node": (_drop("roles", "VM4"), "roles lack node 'VM4'"),
    "missing roles": (_drop("roles"), "roles: Field required"),
    "unknown model": (_put({"VM3": 1.0}, "p", "gpt5"), "p names unknown model 'gpt5'"),
    "unknown node": (_put({}, "roles", "VM9"), "roles name unknown node 'VM9'"),
    "unknown mode": (_put("tpu", "roles", "VM3", "sd"), "roles.VM3.sd: Input should be 'off', 'cpu' or 'gpu'"),
    "extra key": (_put(1, "mood"), "mood: unknown key"),
    "traffic to no host": (_put({"VM3": 1.0}, "p", "blip"), "whose role does not host it"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLANS)
def test_an_invalid_plan_is_rejected_with_its_reason_and_the_system_goes_on(
    server: Hierarchy, kind: str
) -> None:
    server.whom, (server.spoil, reason) = "global planner", PLANS[kind]
    run = simulate_in_memory(short(**_agents(planner="openai", repairs=1)), "MA", 0)
    _goes_on(run)
    assert run.header.reasoner == "planner openai, others rules"
    rejected = _of(run, "planner", exchanges=True)
    plans = _of(run, "planner", exchanges=False)
    assert len(rejected) == 2 * len(plans) > 0, "one try and one repair"
    assert {d.outcome for d in rejected} == {"rejected"}
    assert all(any(reason in v for v in d.violations) for d in rejected), rejected[0].violations
    assert all(d.reason.startswith(INVALID) and d.violations for d in plans)
    again = [m["content"] for b in server.seen for m in b["messages"][2:] if m["role"] == "user"]
    assert any(reason in text for text in again), "the model is told what was wrong"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("timeout", "timeout"), ("http_500", "http_500"), ("http_429", "http_429"), ("refusal", "refusal"),
        ("garbage", "malformed_response"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whom", ["planner", "scheduler", "deployer"])
def test_a_model_that_fails_is_not_asked_again_and_the_system_goes_on(
    server: Hierarchy, whom: str, failure: str, said: str
) -> None:
    server.failure, server.fails, server.whom = failure, 2, {"deployer": "deployment agent"}.get(whom, whom)
    patience = {**QUICK, "timeout_s": 1.5} if failure == "timeout" else QUICK
    run = simulate_in_memory(
        short(slots=4, epoch_slots=2, **_agents(**{whom: "openai"}, openai=patience)), "MA", 0
    )
    _goes_on(run)
    failed = [d for d in _of(run, whom, exchanges=True) if d.outcome == "rejected"]
    assert [d.violations for d in failed] == [(said,)] * 2
    replaced = [d for d in _of(run, whom, exchanges=False) if d.reason.startswith(INVALID)]
    assert [d.violations[0] for d in replaced] == [said] * 2
    if failure == "timeout":
        assert all(d.thinking_s > 1.4 for d in replaced), "waiting in vain is charged as well"


SLOTS = {
    "unknown destination": ("scheduler", _put("VM9", "table", "VM2", "sd"), "names unknown node 'VM9'"),
    "image model to the CPU node": ("scheduler", _put("VM2", "table", "VM2", "sd"), "may not be routed"),
    "out of the roles": ("scheduler", _put("VM3", "table", "VM2", "blip"), "not allowed this slot: VM5, VM7 are"),
    "missing origin": ("scheduler", _drop("table", "VM4"), "table lacks origin 'VM4'"),
    "missing model": ("scheduler", _drop("table", "VM4", "sd"), "table[VM4] lacks 'sd'"),
    "extra key": ("scheduler", _put({}, "masked"), "masked: unknown key"),
    "GPU where there is none": ("deployer:VM2", _put("gpu", "modes", "gpt2"), "gpt2 cannot run on gpu of VM2"),
    "over capacity": ("deployer:VM3", _put({**dict.fromkeys(MODELS, "gpu")}, "modes"), "do not fit the slices"),
    "model left out": ("deployer:VM3", _drop("modes", "blip"), "modes lack 'blip'"),
    "model of another world": ("deployer:VM3", _put("cpu", "modes", "gpt5"), "modes name 'gpt5'"),
    "no such mode": ("deployer:VM3", _put("half", "modes", "sd"), "Input should be 'off', 'cpu' or 'gpu'"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", SLOTS)
def test_an_invalid_slot_answer_is_repaired_or_replaced(server: Hierarchy, kind: str) -> None:
    actor, server.spoil, reason = SLOTS[kind]
    role, _, node = actor.partition(":")
    server.whom = f"deployment agent of node {node}" if node else "prompt scheduler"
    server.fails = 4
    run = simulate_in_memory(short(slots=3, **_agents(**{role: "openai"}, repairs=2)), "MA", 0)
    _goes_on(run)
    exchanges, decisions = _of(run, actor, exchanges=True), _of(run, actor, exchanges=False)
    assert [d.outcome for d in exchanges[:6]] == ["rejected"] * 4 + ["applied"] * 2
    assert all(any(reason in v for v in d.violations) for d in exchanges[:4]), exchanges[0].violations
    assert decisions[0].reason.startswith(INVALID), "three wrong answers: replaced"
    assert not decisions[1].reason.startswith(INVALID), "one wrong answer: repaired"


@pytest.mark.slow
def test_a_guiding_scheduler_masks_and_weighs(server: Hierarchy) -> None:
    scenario = short(**_agents(scheduler="openai"))
    scenario = scenario.model_copy(
        update={"controllers": {**scenario.controllers, "agent": {}, "fast_path": {"eta_s": 5.0}}}
    )
    run = simulate_in_memory(scenario, "MA+sect", 0)
    _goes_on(run)
    guides = _of(run, "scheduler", exchanges=False)
    assert all(d.violations == () and d.reasoner == "openai" for d in guides)
    assert all(d.choice["table"] == {} and d.choice["masked"] for d in guides)
    assert "VM3/blip" in guides[-1].choice["masked"], "outside the roles"
    assert "VM6/gpt2" in guides[-1].choice["masked"], "left out by the model"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_put({"sd": ["VM2"]}, "masked"), "masked[sd] names 'VM2', which is not allowed"),
        (_put(0.2, "weights", "sd", "VM3"), "weights[sd] sums to 0.7, must be 1"),
        (_put({"sd": ["VM3"]}, "masked"), "weights[sd] gives 0.5 to masked VM3"),
        (_drop("weights", "sd"), "weights lack model 'sd'"),
    ],
)
def test_an_impossible_guide_is_rejected(server: Hierarchy, spoil: Any, reason: str) -> None:
    server.whom, server.spoil, server.fails = "prompt scheduler", spoil, 1
    run = simulate_in_memory(short(slots=3, **_agents(scheduler="openai")), "MA+sect", 0)
    _goes_on(run)
    first, second = _of(run, "scheduler", exchanges=True)[:2]
    assert (first.outcome, second.outcome) == ("rejected", "applied")
    assert any(reason in v for v in first.violations), first.violations


@pytest.mark.parametrize("fallback", ["last_valid", "rules", "random"])
def test_what_stands_in_for_a_planner_that_fails_is_configuration(server: Hierarchy, fallback: str) -> None:
    server.whom, server.spoil = "global planner", _says("no")
    run = simulate_in_memory(short(**_agents(planner="openai", repairs=0, fallback=fallback)), "MA", 0)
    _goes_on(run)
    plans = _of(run, "planner", exchanges=False)
    by_rules = fallback != "random"
    said = "the rules decide instead" if by_rules else "random policy"
    assert all(said in d.reason for d in plans)
    assert {d.reasoner for d in plans} == {"rules" if by_rules else "openai"}
    if by_rules:
        assert plans[0].choice["roles"] == PLAN, "the scenario's plan is what its rules do"


@pytest.mark.slow
def test_an_outage_of_the_model_is_felt_by_every_agent_and_passes(server: Hierarchy) -> None:
    outage = {"kind": "llm_outage", "at_s": 80.0, "until_s": 130.0, "failure": "malformed_json"}
    scenario = short(**_agents())
    scenario = Scenario.model_validate({**dict(scenario), "events": [outage]})
    run = simulate_in_memory(with_reasoner(scenario, "openai"), "MA", 0)
    _goes_on(run)
    for actor in ("planner", "scheduler", "deployer:VM3"):
        decided = _of(run, actor, exchanges=False)
        assert all(d.violations for d in decided if 80.0 <= d.t_s < 130.0)
        assert not any(d.violations for d in decided if not 80.0 <= d.t_s < 140.0)
        assert any(80.0 <= d.t_s < 130.0 for d in decided)


def _decisions(run: Run) -> list[bytes]:
    """Every decision of an agent as bytes, but for the name of what thought."""
    return [
        orjson.dumps([d.t_s, d.actor, d.cause, d.choice, d.reason, d.thinking_s, d.landed_s, d.outcome, d.violations])
        for d in run.decisions
        if d.actor != "router"
    ]  # fmt: skip


@pytest.mark.slow
def test_a_recorded_run_replays_byte_for_byte_without_its_model(server: Hierarchy, tmp_path: Path) -> None:
    server.whom, server.spoil, server.fails = "global planner", PLANS["wrong sum"][0], 1
    scenario = with_reasoner(short(**_agents()), "openai")
    sink = JsonlSink(tmp_path / "MA" / "seed-0")
    simulate(scenario, "MA", 0, sink)
    sink.close()
    before, calls = read_run(tmp_path / "MA" / "seed-0"), len(server.seen)
    again = simulate_in_memory(with_reasoner(scenario, f"replay:{tmp_path}"), "MA", 0)
    assert again.header.reasoner == "replay"
    assert _decisions(again) == _decisions(before)
    assert list(again.requests) == list(before.requests)
    assert len(server.seen) == calls
    with pytest.raises(ReplayMiss, match="not in the recording"):
        simulate_in_memory(with_reasoner(scenario, f"replay:{tmp_path}/MA/seed-0"), "MA", 1)


def test_a_policy_of_a_model_is_followed_even_where_the_scenario_has_a_plan(server: Hierarchy) -> None:
    def moved(answer: dict[str, Any]) -> None:
        answer["roles"]["VM6"] = {"gpt2": "gpu", "gpt2-large": "cpu", "blip": "gpu"}
        hosts = ["VM3", "VM4", "VM5", "VM7"]
        answer["p"]["sd"] = {n: 0.25 for n in hosts}

    server.whom, server.spoil = "global planner", moved
    run = simulate_in_memory(short(**_agents(planner="openai")), "MA", 0)
    plans = _of(run, "planner", exchanges=False)
    assert plans[0].choice["roles"]["VM6"] != policy()["roles"]["VM6"]
    assert plans[0].violations == ()
