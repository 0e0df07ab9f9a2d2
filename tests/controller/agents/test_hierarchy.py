"""What the hierarchy's agents are told, by whom they are replaced, and what the tables call them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.agents.answers import Asker
from controller.agents.config import AgentsConfig
from controller.agents.llm import Query, Reply, ToolCall
from controller.agents.scripted import ScriptEnd
from controller.deployers.llm import LlmDeployer
from controller.layer_loops import DeploymentLoop, PlannerLoop
from controller.loop import LoopConfig
from controller.objective import Objective
from controller.planners.llm import LlmPlanner
from controller.planners.memory import Case, Telemetry
from controller.planners.sentences import case_told
from controller.schedulers.agent import AgentScheduler, SchedulerConfig
from controller.schedulers.llm import LlmScheduler
from controller.schemes import SCHEMES
from controller.whatif import BelievedWorld
from edgebed.check.views import random_snapshot, random_view
from edgebed.runs.comparison import check
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.reasoners import reasoner_label, with_reasoner
from emulation.domain.actions import MacroPolicy
from emulation.domain.feasibility import policy_violations
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView, TypeStats, Window, WorkStats
from emulation.files import ConfigError
from emulation.metrics.fairness import EpochResult
from emulation.recording import JsonlSink, read_run
from tests.build.hierarchy import BED, PLAN, modes, policy, short, table

MODELS = [m.id for m in BED.models]
NODES = [n.id for n in BED.nodes]
PLANNED = MacroPolicy(p=policy()["p"], roles=PLAN)  # type: ignore[arg-type]


class Model:
    """Answers as a good model would, or what it is told; remembers the questions."""

    label = "scripted"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[Query] = []

    def ask(self, query: Query) -> Reply:
        self.asked.append(query)
        if self.texts:
            return Reply(text=self.texts.pop(0), thinking_s=1.0)
        system, user = (m.content for m in query.messages[:2])
        if query.agent == "planner":
            return Reply(text=json.dumps(policy()), thinking_s=3.0)
        return Reply(text=json.dumps(table(user) if query.agent == "scheduler" else modes(system, user)))

    @property
    def system(self) -> str:
        return self.asked[-1].messages[0].content

    @property
    def user(self) -> str:
        return self.asked[-1].messages[1].content


class Emulator:
    """A what-if that remembers the questions."""

    def __init__(self, error: str | None = None) -> None:
        self.error = error
        self.asked: list[tuple[BelievedWorld, Sequence[MacroPolicy]]] = []

    def forecast(
        self,
        belief: BelievedWorld,
        policies: Sequence[MacroPolicy],
        draws: int,
        seed: int,
        scheme: str | None = None,
    ) -> list[EpochResult]:
        if self.error is not None:
            raise RuntimeError(self.error)
        self.asked.append((belief, policies))
        return [EpochResult({"sd": 0.5}, {"sd": 100.0}, 0.1, 0.9, 0.123456) for _ in policies]


def _planner(model: Model, what_if: Emulator | None = None, **config: Any) -> LlmPlanner:
    given = AgentsConfig.model_validate(config)
    return LlmPlanner(BED, given, 0, Objective(), Asker("planner", model, given.repairs), what_if)  # type: ignore[arg-type]


def _epoch(number: int, sd_done: int = 60, away: str = "") -> ClusterSnapshot:
    """The end of an epoch in which everything but sd went well."""
    stats = {m: TypeStats(200, 900, 190, 10, 190 * 50.5) for m in MODELS}
    stats["sd"] = TypeStats(200, 900, sd_done, 200 - sd_done, sd_done * 400.0)
    work = {
        ("VM3", "sd", "gpu"): WorkStats(30, (135.0,), 3000.0),
        ("VM6", "blip", "gpu"): WorkStats(10, (45.0,), 14.0),
    }
    views = []
    for node in BED.nodes:
        busy = ExecutorView(f"{node.id}/sd", node.id, ("sd",), "ready", "gpu", {"sd": 3}, {"sd": 12.5})
        views.append(NodeView(node.id, 1500.0 * number, node.id != away, (busy,), 2.0, 9.5, 1))
    window = Window(1500.0 * (number - 1), stats, work)  # type: ignore[arg-type]
    return ClusterSnapshot(1500.0 * number, 50 * number, tuple(views), window)


def test_a_planner_is_told_everything_the_paper_lists() -> None:
    model = Model()
    planner = _planner(model)
    planner.decide(ClusterSnapshot(0.0, 0, ()))
    assert "no telemetry of an epoch" in model.user
    planner.decide(_epoch(1))
    system, user = model.system, model.user
    contract = {
        "objective": ("least J = 0.5 x T + 0.5 x (1 - F)", system),
        "deadline": ("not served within 900 s has failed", user),
        "static capacities": ("- VM7: 16 cores, 24 GB RAM, 2 GPUs, each with 24 GB vRAM and 2 vGPUs", user),
        "random-policy baseline": ("A random policy, for comparison (mean of 64, estimated): J 0.", user),
        "LM characteristics": ("- gpt2-large (text): 9 GB RAM, 9 GB vRAM on a GPU, 10 s to start", user),
        "LM constraints": ("15 s to start, 2 s to stop; GPU nodes only", user),
        "demand": ("sd 0.600 prompts/s (4.5 per request)", user),
        "success ratios": ("blip 0.95, gpt2 0.95, gpt2-large 0.95, sd 0.30", user),
        "latencies": ("Mean latencies of those served: blip 50.5, gpt2 50.5", user),
        "fairness": ("normalised Jain fairness 0.", user),
        "policy in force": ("VM2: gpt2 cpu, gpt2-large cpu; VM3: gpt2 cpu, gpt2-large gpu, sd gpu", user),
        "off-role ratio": ("25.0% of the served requests were served outside the roles", user),
        "backlog": ("sd 18 requests (most at VM2: 3)", user),
        "case memory": ("Among the best: in epoch 0 (gpt2 0.600,", user),
        "strict JSON": ("answer with one JSON object and nothing else", system),
    }
    missing = {what: text for what, (text, where) in contract.items() if text not in where}
    assert missing == {}, user
    sd = user.split("- sd, per prompt: ")[1].split("\n")[0]
    learned = float(sd.split("GPU ")[1].split(" ")[0])
    assert 11.0 < learned < 25.0, "finished work on VM3 took twice as long as profiled"
    assert "11 (VM4 VM5 VM6 VM7)" in sd


def test_what_is_the_same_in_every_epoch_comes_first_so_that_a_server_reads_it_once() -> None:
    model = Model()
    planner = _planner(model)
    told = []
    for number, away in ((0, ""), (1, "VM4"), (2, "")):
        planner.decide(_epoch(number, 60 - 20 * number, away))
        told.append(model.user)
    stable = {user.partition("\nEpoch ")[0] for user in told}
    assert len(stable) == 1
    for part in ("- VM7: 16 cores", "- gpt2-large (text): 9 GB RAM", "A random policy, for comparison"):
        assert part in next(iter(stable))
    assert ["Away at present: VM4." in user for user in told] == [False, True, False]
    assert len(set(told)) == 3


def test_a_planner_is_told_of_good_and_bad_precedents() -> None:
    model = Model()
    planner = _planner(model, precedents=1)
    for epoch, done in ((0, 0), (1, 190), (2, 20), (3, 190)):
        planner.decide(_epoch(epoch, done))
        planner.adopted(replace(PLANNED, roles={**PLAN, "VM2": {"gpt2": "cpu"} if epoch % 2 else {}}))  # type: ignore[arg-type]
    good, bad = (model.user.split(f"- Among the {how}: ")[1].split("\n")[0] for how in ("best", "worst"))
    assert "VM2: gpt2 cpu;" in bad
    assert "VM2: nothing;" in good
    assert float(good.split("came to J ")[1][:5]) < float(bad.split("came to J ")[1][:5])
    assert "success blip 0.95, gpt2 0.95" in good


def test_cases_of_a_planner_survive_a_restart(tmp_path: Path) -> None:
    memory = {"file": str(tmp_path / "cases.jsonl")}
    first = _planner(Model(), memory=memory)
    first.decide(_epoch(0))
    first.decide(_epoch(1))
    model = Model()
    _planner(model, memory=memory).decide(_epoch(2))
    assert "- Among the best: in epoch 0" in model.user
    (tmp_path / "cases.jsonl").write_text("{}\n")
    scenario = short(planner="scripted:x", memory=memory)
    (tmp_path / "x").write_text("")
    scenario = with_reasoner(scenario, f"scripted:{tmp_path / 'x'}")
    with pytest.raises(ConfigError, match=r"cases.jsonl, line 1: .*remove the line"):
        simulate_in_memory(scenario, "MA", 0)


def test_a_case_is_of_the_policy_that_was_in_force_not_of_the_answer_that_was_refused() -> None:
    model = Model("no", "no")
    planner = _planner(model, repairs=1)
    loop = PlannerLoop(BED, planner, 0, LoopConfig("scripted"))
    first = loop.observe(_epoch(0), "epoch 0")
    assert first.violations
    assert isinstance(first.command, MacroPolicy)
    loop.observe(_epoch(1), "epoch 1")
    (case,) = planner.experience.memory.cases
    assert case.roles == first.command.roles


def test_what_if_answers_from_the_belief_alone() -> None:
    emulator, model = Emulator(), Model()
    planner = _planner(model, emulator)
    asked = {k: v for k, v in policy().items() if k != "reason"}
    call = {"id": "c", "name": "what_if", "arguments": json.dumps(asked)}
    wrong = {**call, "arguments": json.dumps({"p": {}, "roles": {}})}
    replies = [_reply(call, wrong), Reply(text=json.dumps(policy()))]
    model.ask = lambda query: (model.asked.append(query), replies.pop(0))[1]  # type: ignore[method-assign]
    planner.decide(_epoch(1, away="VM4"))
    belief, (one,) = emulator.asked[0]
    assert one.p == asked["p"]
    assert belief.absent == {"VM4"}
    assert belief.backlog
    assert belief.testbed.profile != BED.profile, "speeds as learned"
    told = [m.content for m in model.asked[1].messages if m.role == "tool"]
    assert json.loads(told[0])["objective"] == 0.1235
    assert "p lacks model" in json.loads(told[1])["error"]


def test_a_what_if_that_is_lost_is_a_message_to_the_planner() -> None:
    model = Model()
    planner = _planner(model, Emulator("the what-if process was lost"))
    asked = {k: v for k, v in policy().items() if k != "reason"}
    replies = [
        _reply({"id": "c", "name": "what_if", "arguments": json.dumps(asked)}),
        Reply(text=json.dumps(policy())),
    ]
    model.ask = lambda query: (model.asked.append(query), replies.pop(0))[1]  # type: ignore[method-assign]
    assert planner.decide(_epoch(1)).command.roles == PLAN
    assert "no forecast: the what-if process was lost" in model.asked[1].messages[-1].content


def _reply(*calls: dict[str, str]) -> Reply:
    return Reply(tuple(ToolCall(**c) for c in calls))


def _scheduler(model: Model, **config: Any) -> LlmScheduler:
    return LlmScheduler(BED, AgentsConfig.model_validate(config), Objective(), Asker("scheduler", model, 0))  # type: ignore[arg-type]


def test_a_scheduler_is_told_policy_backlog_headroom_and_activations() -> None:
    model = Model()
    _scheduler(model).decide(_epoch(1), PLANNED)
    assert "- blip: VM5 50%, VM7 50%. Allowed this slot: VM5, VM7. Expected: 18.0 prompts" in model.user
    assert (
        "- VM3: 14.0 cores, 14.5 GB RAM and 1 vGPUs free; sd ready on gpu, 12 prompts waiting (about"
        in model.user
    )


@pytest.mark.parametrize(("overload_s", "free"), [(1.0, True), (1e6, False)])
def test_a_scheduler_may_leave_the_roles_only_where_all_of_them_are_overloaded(
    overload_s: float, free: bool
) -> None:
    model = Model()
    seen = _epoch(1)
    waits = [replace(v, executors=(_blip(v.id), *v.executors)) for v in seen.nodes]
    guide = (
        _scheduler(model, overload_s=overload_s).decide(replace(seen, nodes=tuple(waits)), PLANNED).command
    )
    assert ("every host of its roles is overloaded" in model.user) is free
    used = {m: {node for (_, model), node in guide.table.items() if model == m} for m in MODELS}
    assert (used["blip"] <= {"VM5", "VM7"}) is not free
    assert used["gpt2"] <= {n for n in NODES if "gpt2" in PLAN[n]}, "nothing waits for gpt2"


def _blip(node: str) -> ExecutorView:
    waiting = {"blip": 40.0} if node in ("VM5", "VM7") else {}
    return ExecutorView(f"{node}/blip", node, ("blip",), "ready", "gpu", {}, waiting)


def test_a_deployment_agent_hears_of_its_own_node_only() -> None:
    for node in NODES:
        model = Model()
        agent = LlmDeployer(BED, node, Asker(f"deployer:{node}", model))  # type: ignore[arg-type]
        agent.decide(replace(random_view(BED, node, 3), role=PLAN[node]))  # type: ignore[arg-type]
        said = model.system + model.user
        assert f"node {node}:" in said
        assert [other for other in NODES if other != node and other in said] == []
        assert "pending rule" in said.lower()
    assert "two GPUs" in said


@pytest.mark.parametrize("agent", ["planner", "scheduler", "deployer"])
def test_no_question_carries_what_users_send(agent: str) -> None:
    """Prompts are built from snapshots, and snapshots have counts only: a request's id is nowhere."""
    model = Model()
    if agent == "planner":
        _planner(model).decide(random_snapshot(BED, 2))
    elif agent == "scheduler":
        _scheduler(model).decide(random_snapshot(BED, 2), PLANNED)
    else:
        LlmDeployer(BED, "VM3", Asker("d", model)).decide(random_view(BED, "VM3", 2))  # type: ignore[arg-type]
    assert "r0000" not in model.system + model.user
    assert "never what users send" in model.system


def test_agents_with_a_model_survive_pickling() -> None:
    for loop, seen in (
        (PlannerLoop(BED, _planner(Model(), Emulator()), 0), _epoch(1)),
        (
            DeploymentLoop(BED, "VM3", LlmDeployer(BED, "VM3", Asker("deployer:VM3", Model()))),  # type: ignore[arg-type]
            random_view(BED, "VM3", 1),
        ),
    ):
        loop.observe(seen, "first")  # type: ignore[attr-defined]
        twin = pickle.loads(pickle.dumps(loop))
        assert twin.observe(seen, "second") == loop.observe(seen, "second")  # type: ignore[attr-defined]


def test_rules_in_guided_mode_mask_the_roles_and_leave_the_rest_to_the_router() -> None:
    guide = (
        AgentScheduler(BED, SchedulerConfig(mode="guided"), 0, Objective()).decide(_epoch(1), PLANNED).command
    )
    assert guide.table == {}
    assert "VM3/blip" in guide.masked
    assert guide.weights["blip", "VM5"] == 0.5
    scenario = short(mode="guided")
    run = simulate_in_memory(scenario, "MA", 0)
    guides = [d for d in run.decisions if d.actor == "scheduler"]
    assert all(d.violations == () and d.choice["table"] == {} for d in guides)
    routed = {(r.model, r.executor) for r in run.requests if r.executor}
    assert ("sd", "VM2/sd") not in routed
    assert {e for m, e in routed if m == "blip"} <= {"VM5/blip", "VM7/blip"}


# -- who thinks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "scheme", "label"),
    [
        ({}, "MA", "rules"),
        (dict.fromkeys(("planner", "scheduler", "deployer"), "openai"), "MA", "openai"),
        ({"planner": "openai"}, "MA", "planner openai, others rules"),
        ({"planner": "openai", "deployer": "openai"}, "MA", "scheduler rules, others openai"),
        ({"planner": "openai"}, "MAL", "planner openai, scheduler rules"),
        ({"deployer": "openai"}, "MAL", "rules"),
        ({"planner": "openai", "scheduler": "replay:x"}, "MA", "planner openai, scheduler replay, deployer rules"),
        (dict.fromkeys(("planner", "scheduler", "deployer"), "openai"), "AL", "none"),
    ],
)  # fmt: skip
def test_a_table_says_who_really_thought(agents: dict[str, str], scheme: str, label: str) -> None:
    assert reasoner_label(SCHEMES[scheme], short(**agents)) == label


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ({"planner": "gpt"}, "choose rules, openai"), ({"repairs": -1}, "repairs"), ({"fallback": "luck"}, "fallback"),
        ({"oracle": "openai"}, "oracle"), ({"openai": {"key": "x"}}, "openai.key"),
        ({"planner": "replay:nowhere"}, "nowhere"), ({"models": {"meta": "x"}}, "models.meta"),
    ],
)  # fmt: skip
def test_a_wrong_choice_of_reasoners_is_one_clear_error(agents: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(short(**agents), ["MA"])


def test_a_model_that_has_no_name_is_asked_for_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGEBED_LLM_MODEL", "EDGEBED_LLM_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="set EDGEBED_LLM_MODEL and OPENAI_API_KEY in the environment"):
        check(short(scheduler="openai"), ["MA"])


def test_a_live_model_forces_real_time() -> None:
    scenario = short(deployer="openai")
    fast = scenario.model_copy(update={"live": scenario.live.model_copy(update={"speedup": 10.0})})
    with pytest.raises(ConfigError, match="needs --speedup 1, not 10"):
        check(fast, ["MA"], live=True)


def _script(folder: Path, *lines: dict[str, Any]) -> str:
    file = folder / "script.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    return f"scripted:{file}"


def test_a_scripted_run_is_the_same_to_the_byte_every_time(tmp_path: Path) -> None:
    script = _script(
        tmp_path,
        {"agent": "planner", "on": "epoch 1", "text": "no idea", "thinking_s": 2.0, "times": 3},
        {"agent": "planner", "text": json.dumps(policy()), "thinking_s": 7.5, "times": 40},
    )
    for name in ("a", "b"):
        sink = JsonlSink(tmp_path / name)
        simulate(short(planner=script), "MA", 0, sink)
        sink.close()
    first, second = ((tmp_path / name / "record.jsonl").read_bytes() for name in ("a", "b"))
    assert first == second
    plans = [
        d for d in read_run(tmp_path / "a").decisions if d.actor == "planner" and "exchange" not in d.choice
    ]
    assert [d.thinking_s for d in plans[:3]] == [7.5, 6.0, 7.5]
    assert [bool(d.violations) for d in plans[:3]] == [False, True, False]
    assert plans[1].choice == plans[0].choice, "the last valid plan is kept"


def test_the_end_of_a_script_ends_the_run_with_an_error(tmp_path: Path) -> None:
    script = _script(tmp_path, {"agent": "planner", "text": json.dumps(policy())})
    with pytest.raises(ScriptEnd, match=r"planner: no line is left for invocation 2, round 0 \(epoch 1\)"):
        simulate_in_memory(short(planner=script), "MA", 0)


def test_the_random_policy_of_the_fallback_is_valid() -> None:
    planner = _planner(Model("no"), repairs=0)
    for seed in range(5):
        decision = PlannerLoop(BED, planner, seed, LoopConfig(fallback="random")).observe(
            _epoch(0), "epoch 0"
        )
        assert isinstance(decision.command, MacroPolicy)
        assert policy_violations(BED, decision.command) == []


def test_cases_are_plain_enough_for_a_sentence() -> None:
    case = Case(
        telemetry=Telemetry(prompts_per_s={"sd": 0.6}, absent=("VM4",)), p={"sd": {"VM3": 1.0}},
        roles={"VM3": {"sd": "gpu"}}, success={"sd": 0.5}, latency_s={"sd": 123.4}, fairness_norm=0.9,
        latency_norm=0.1, objective=0.1, epoch=4,
    )  # fmt: skip
    assert case_told(case) == (
        "in epoch 4 (sd 0.600 per second, VM4 away) the roles VM3: sd gpu with shares sd to VM3 100% came to J 0.100 "
        "(T 0.100, F 0.900): success sd 0.50, mean latency sd 123 s."
    )
