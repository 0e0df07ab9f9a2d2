"""The deployment agent by rules: its role, and what is stranded outside it."""

from __future__ import annotations

from collections.abc import Mapping

from controller.deployers.agent import AgentConfig, AgentDeployer
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.snapshot import ExecutorView, NodeView
from emulation.files import load_testbed

BED: TestbedConfig = load_testbed("bristol-a")
MODELS = ("gpt2", "gpt2-large", "blip", "sd")
ROLE: Mapping[str, Mode] = {"gpt2": "cpu", "sd": "gpu"}
AS_ROLE = {"gpt2": "cpu", "gpt2-large": "off", "blip": "off", "sd": "gpu"}


def view(waiting: Mapping[str, float], role: Mapping[str, Mode] | None = ROLE) -> NodeView:
    """VM3 with so many prompts waiting for each model."""
    executors = tuple(
        ExecutorView(f"VM3/{m}", "VM3", (m,), "off", "off", {}, {m: waiting[m]} if m in waiting else {})
        for m in MODELS
    )
    return NodeView("VM3", 0.0, True, executors, 0.0, 0.0, 0, (), role)


def agent(**config: float) -> AgentDeployer:
    return AgentDeployer(BED, "VM3", AgentConfig(**config), 0)


def test_holds_its_role_whatever_waits_for_models_of_it() -> None:
    choice = agent().decide(view({"gpt2": 50.0, "sd": 3.0}))
    assert choice.command.modes == AS_ROLE
    assert choice.reason == "role"


def test_drains_what_is_stranded_and_goes_back_to_its_role() -> None:
    one = agent()
    draining = one.decide(view({"blip": 4.0}))
    assert draining.command.modes == {**AS_ROLE, "blip": "gpu"}
    assert draining.reason == "role, and draining stranded blip"
    assert one.decide(view({"blip": 0.5})).command.modes == AS_ROLE


def test_the_longest_stranded_queue_is_drained_first() -> None:
    waiting = {"gpt2-large": 2.0, "blip": 9.0}
    assert agent().decide(view(waiting)).reason == "role, and draining stranded blip, gpt2-large"


def test_less_than_it_is_told_to_heed_is_left() -> None:
    assert agent(strand_prompts=5.0).decide(view({"blip": 4.0})).command.modes == AS_ROLE


def test_a_new_role_is_taken_at_once() -> None:
    one = agent()
    one.decide(view({}))
    other: Mapping[str, Mode] = {"blip": "gpu"}
    assert one.decide(view({}, other)).command.modes == {**dict.fromkeys(MODELS, "off"), "blip": "gpu"}
