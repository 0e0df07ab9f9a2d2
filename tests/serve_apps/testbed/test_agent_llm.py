"""The agents' model, as far as it can be known without vLLM."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgebed.runs.comparison import check
from edgebed.wiring.agent_llm import with_agent_llm
from emulation.domain.agent_llm import AgentLlm
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import pack_gpus
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from serve_apps.testbed import agent_llm
from serve_apps.testbed.apps import gpu_share, whole_share
from serve_apps.testbed.launcher import slice_share

GPU = {"slices": 2, "vram_gb": 24.0}
BED: dict[str, Any] = {
    "name": "bed",
    "models": [
        {"id": "small", "modality": "text", "vram_gb": 4.0},
        {"id": "large", "modality": "text", "vram_gb": 16.0},
    ],
    "nodes": [{"id": "n1", "cores": 4, "gpus": [GPU]}, {"id": "n2", "cores": 4, "gpus": [GPU]}],
    "profile": [
        {"model": m, "mode": mode, "theta": [1.0]} for m in ("small", "large") for mode in ("cpu", "gpu")
    ],
}
ON_GPU = {"source": "here", "node": "n1", "gpu_share": 0.4, "vram_gb": 10.0}
ON_CPU = {"source": "here", "node": "n1"}


def bed(**agent: Any) -> TestbedConfig:
    return TestbedConfig.model_validate({**BED, "agent_llm": agent} if agent else BED)


def scenario(agent: dict[str, Any] | None, **agents: Any) -> Scenario:
    testbed = {**BED, "agent_llm": agent} if agent else BED
    return Scenario.model_validate(
        {
            "name": "s",
            "testbed": testbed,
            "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"small": 1.0}}],
            "slots": 2,
            "controllers": {"agents": agents},
            "live": {"speedup": 1.0},
        }
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_llm, "check_source", lambda settings, libraries: settings)


def test_what_it_takes_of_a_gpu_the_models_of_its_node_do_not_have() -> None:
    with_agent = bed(**ON_GPU)
    assert bed().modes("n1", "large") == ("gpu", "cpu")
    assert with_agent.modes("n1", "large") == ("cpu",)
    assert with_agent.modes("n1", "small") == ("gpu", "cpu")
    assert with_agent.modes("n2", "large") == ("gpu", "cpu")
    assert pack_gpus(with_agent.node("n1"), [4.0, 4.0]) is not None
    assert pack_gpus(with_agent.node("n1"), [8.0, 8.0]) is None
    assert pack_gpus(bed().node("n1"), [8.0, 8.0]) is not None


def test_a_testbed_read_back_from_its_own_words_has_lost_no_more() -> None:
    once = bed(**ON_GPU)
    again = TestbedConfig.model_validate_json(once.model_dump_json())
    assert [g.vram_gb for g in again.node("n1").gpus] == [14.0]
    assert [g.vram_gb for g in once.model_copy(update={"name": "x"}).node("n1").gpus] == [14.0]


def test_on_a_cpu_it_takes_nothing_of_a_gpu() -> None:
    assert bed(**ON_CPU).node("n1") == bed().node("n1")
    assert gpu_share(bed(**ON_CPU)) == gpu_share(bed())


def test_the_shares_of_replicas_fit_beside_its_own() -> None:
    testbed = bed(**ON_GPU)
    assert 2 * gpu_share(testbed) + 0.4 <= 1.0
    assert 2 * slice_share(testbed) + 0.4 <= 1.0
    assert gpu_share(testbed) == whole_share(testbed, 2) == 0.3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"node": "n9"}, "unknown node 'n9'"),
        ({"gpu_share": 1.5}, "gpu_share"),
        ({"gpu_share": 0.0}, "gpu_share and vram_gb belong together"),
        ({"vram_gb": 0.0}, "gpu_share and vram_gb belong together"),
        ({"vram_gb": 24.0}, "do not fit on a GPU of node 'n1'"),
        ({"host": "10.0.0.1"}, "needs a port"),
        ({"port": 70_000}, "port"),
        ({"key": "secret"}, "key"),
    ],
)
def test_what_cannot_be_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        bed(**{**ON_GPU, **change})


def test_the_server_is_told_what_the_testbed_says_and_settings_count_last() -> None:
    config = AgentLlm(
        source="m", node="n1", port=8123, settings={"dtype": "bfloat16", "enforce-eager": False}
    )
    words = agent_llm.arguments(config, None)
    told = dict(zip(words, words[1:], strict=False))
    assert told["--model"] == "m"
    assert (told["--host"], told["--port"]) == ("127.0.0.1", "8123")
    assert told["--dtype"] == "bfloat16"
    assert "--enforce-eager" not in words
    assert "--enable-auto-tool-choice" in words
    assert "--chat-template" not in words


def test_on_a_gpu_it_takes_no_more_memory_than_it_says() -> None:
    words = agent_llm.arguments(AgentLlm(**ON_GPU), 10.0 / 24.0)
    assert words[words.index("--gpu-memory-utilization") + 1] == "0.4167"


def test_its_key_is_never_an_argument(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("api_key", "api-key"):
        with pytest.raises(ConfigError, match="VLLM_API_KEY"):
            agent_llm.checked(bed(**ON_CPU, settings={name: "secret"}))
    monkeypatch.setenv(agent_llm.KEY, "secret")
    assert "secret" not in " ".join(agent_llm.arguments(AgentLlm(**ON_CPU), None))


def test_off_loopback_it_needs_a_key(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = bed(**ON_CPU, host="10.0.0.1", port=8200)
    monkeypatch.delenv(agent_llm.KEY, raising=False)
    with pytest.raises(ConfigError, match=r"10\.0\.0\.1 is reached from elsewhere; set VLLM_API_KEY"):
        agent_llm.checked(reached)
    monkeypatch.setenv(agent_llm.KEY, "secret")
    assert agent_llm.checked(reached) == reached


def test_agents_that_ask_for_it_get_its_url_and_its_name(installed: None) -> None:
    given = scenario(ON_CPU, planner="openai", openai={"base_url": "agent_llm", "attempts": 1})
    found = with_agent_llm(given)
    agent = found.testbed.agent_llm
    assert agent is not None
    assert agent.port > 0
    asked = found.controllers["agents"]["openai"]
    assert asked == {"base_url": f"http://127.0.0.1:{agent.port}/v1", "model": "agent_llm", "attempts": 1}
    assert found.controllers["agents"]["planner"] == "openai"


@pytest.mark.parametrize(
    ("source", "given", "answers"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", {}, "choice"),
        ("Qwen/Qwen2.5-7B-Instruct", {"answers": "auto"}, "choice"),
        ("Qwen/Qwen2.5-7B-Instruct", {"answers": "free"}, "free"),
        ("Qwen/Qwen2.5-32B-Instruct", {}, None),
    ],
)
def test_a_hosted_model_that_is_small_is_given_a_choice_though_its_name_tells_nothing(
    installed: None, source: str, given: dict[str, str], answers: str | None
) -> None:
    asked = scenario(
        {**ON_CPU, "source": source}, planner="openai", openai={"base_url": "agent_llm"}, **given
    )
    assert with_agent_llm(asked).controllers["agents"].get("answers") == answers


def test_agents_that_ask_elsewhere_are_left_alone(installed: None) -> None:
    given = scenario(ON_CPU, planner="openai", openai={"base_url": "http://there/v1", "model": "m"})
    assert with_agent_llm(given).controllers == given.controllers


def test_agents_that_ask_for_one_that_is_not_there_are_told() -> None:
    with pytest.raises(ConfigError, match="its testbed has no agent_llm"):
        with_agent_llm(scenario(None, openai={"base_url": "agent_llm"}))


def test_a_virtual_run_cannot_ask_the_model_of_a_live_testbed() -> None:
    given = scenario(ON_CPU, planner="openai", openai={"base_url": "agent_llm"})
    with pytest.raises(ConfigError, match="a live testbed hosts"):
        check(given, ["MA"])
    check(given, ["MA"], live=True)


@pytest.mark.slow
def test_the_servers_process_ends_when_whoever_started_it_is_gone(tmp_path: Path) -> None:
    """A stand-in for vLLM's server that would sleep for a minute, started by a process that dies at once."""
    (tmp_path / "standin.py").write_text("import time; time.sleep(60)")
    child = "import serve_apps.testbed.agent_llm_server as s; s.SERVER = 'standin'; s.main()"
    parent = (
        "import subprocess, sys, os, signal;"
        "p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE, start_new_session=True);"
        "print(p.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"}
    told = subprocess.run(
        [sys.executable, "-c", parent, child], stdout=subprocess.PIPE, env=path, timeout=30, check=False
    )
    pid = int(told.stdout)
    gone = "import os, sys, time\nwhile os.path.exists(f'/proc/{sys.argv[1]}'): time.sleep(0.05)"
    subprocess.run([sys.executable, "-c", gone, str(pid)], timeout=30, check=True)


def test_the_section_is_part_of_the_testbeds_schema() -> None:
    assert "agent_llm" in json.dumps(TestbedConfig.model_json_schema())
