"""The agents' model on the testbed's own cluster: vLLM's server a tiny chat model, asked by people and agents."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from edgebed.runs.live_run import run_plan
from edgebed.wiring.agent_llm import with_agent_llm
from emulation.domain.scenario import Scenario
from emulation.recording import read_run
from serve_apps.testbed.agent_llm import KEY
from serve_apps.testbed.live import LiveCluster, LiveOptions
from tests.build.live import TESTBED, LiveRun
from tests.build.waiting import eventually

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
SECRET = "only-for-agents"
CONTEXT = 32_768


@pytest.fixture(scope="session")
def chat(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 that reads long conversations: the prompts of agents are."""
    import transformers

    folder = tmp_path_factory.mktemp("chat") / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny / "gpt2", model_max_length=CONTEXT)
    config = transformers.AutoConfig.from_pretrained(tiny / "gpt2", n_positions=CONTEXT)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def scenario(chat: Path) -> Iterator[Scenario]:
    """Its planner asks the hosted model; nonsense is what it says, so the rules must decide."""
    agent = {"source": str(chat), "node": "n1", "chat_template": TEMPLATE, "start_timeout_s": 300.0}
    asked = {"base_url": "agent_llm", "attempts": 1, "timeout_s": 60.0, "answer_tokens": 24}
    given = {
        "name": "hosted",
        "testbed": {**TESTBED, "agent_llm": agent},
        "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"gpt2": 1.0}}],
        "slot_s": 5.0,
        "slots": 10_000,
        "epoch_slots": 2,
        "deadline_s": 600.0,
        "live": {"speedup": 1.0},
        "controllers": {"agents": {"planner": "openai", "openai": asked, "fallback": "rules"}},
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(KEY, SECRET)
        patched.setenv("OPENAI_API_KEY", SECRET)
        yield with_agent_llm(Scenario.model_validate(given))


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Iterator[LiveCluster]:
    with LiveCluster.start(scenario.testbed, LiveOptions(port=0)) as found:
        yield found


def hosted(scenario: Scenario) -> str:
    assert scenario.testbed.agent_llm is not None
    return scenario.testbed.agent_llm.url


def sdk(scenario: Scenario, key: str = SECRET) -> openai.OpenAI:
    return openai.OpenAI(base_url=hosted(scenario), api_key=key, max_retries=0, timeout=60)


def members(group: int) -> list[int]:
    """Living processes of a process group: vLLM's server leads one of its own, and starts workers."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgid, *_ = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(pgid) == group and state != "Z":
            found.append(int(entry.parent.name))
    return found


def test_the_openai_sdk_gets_a_chat_completion(cluster: LiveCluster, scenario: Scenario) -> None:
    with sdk(scenario) as client:
        found = client.chat.completions.create(
            model="agent_llm", messages=[{"role": "user", "content": "where is it quiet"}], max_tokens=9
        )
    assert found.choices[0].message.content
    assert found.usage is not None
    assert found.usage.completion_tokens <= 9


def test_it_answers_nobody_without_the_key(cluster: LiveCluster, scenario: Scenario) -> None:
    with sdk(scenario, "another") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_an_agent_asks_it_and_the_rules_decide_when_it_speaks_nonsense(
    cluster: LiveCluster, scenario: Scenario, tmp_path: Path
) -> None:
    plan = run_plan(scenario, "MA", 1, tmp_path)
    cluster.begin_run(plan)
    with httpx2.Client(base_url=cluster.url, timeout=60) as http:
        body = {"model": "gpt2", "messages": [{"role": "user", "content": "word"}], "max_tokens": 2}
        eventually(lambda: http.post("/v1/chat/completions", json=body).status_code == 200, 60.0)
        live = LiveRun(cluster, tmp_path, http)
        eventually(lambda: any(d.actor == "planner" and "exchange" in d.choice for d in live.decisions), 60.0)
        eventually(
            lambda: any(d.actor == "planner" and "exchange" not in d.choice for d in live.decisions), 60.0
        )
        served = [http.post("/v1/chat/completions", json=body).status_code for _ in range(4)]
    footer, run = cluster.end_run(), read_run(tmp_path)
    assert served == [200] * 4
    assert footer.conserved()
    planner = [d for d in run.decisions if d.actor == "planner"]
    asked = [d for d in planner if "exchange" in d.choice]
    assert asked
    for decision in asked:
        assert decision.reasoner == "openai"
        assert decision.outcome == "rejected"
        # It was the model that answered: no lost connection, no refused key, no prompt too long for it.
        assert "not one JSON object" in decision.violations[0]
    assert [d for d in planner if "exchange" not in d.choice]


def test_a_server_that_was_killed_is_started_again(cluster: LiveCluster, scenario: Scenario) -> None:
    before = server_pids()
    assert len(before) == 1
    os.kill(before[0], signal.SIGKILL)

    def answers() -> bool:
        now = server_pids()
        return (
            bool(now)
            and now != before
            and httpx2.get(hosted(scenario).removesuffix("/v1") + "/health").is_success
        )

    eventually(answers, 180.0)
    assert not members(before[0]), "its workers would hold their memory for ever"


def test_nothing_is_left_of_it_when_the_testbed_ends(cluster: LiveCluster) -> None:
    groups = server_pids()
    assert groups
    cluster.stop()
    eventually(lambda: not any(members(group) for group in groups), 30.0)


def server_pids() -> list[int]:
    """Processes of the model's server that run now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"serve_apps.testbed.agent_llm_server" in words:
            found.append(int(entry.name))
    return found
