"""The deployment agent of a node as a language model: its own node and role in, a checked activation pattern out."""

from __future__ import annotations

from typing import Any

from controller.agents.answers import Answer, Asker, ReasonedDecider
from controller.agents.llm import Wanted
from controller.agents.prompts import render
from controller.agents.shapes import schema_of
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Mode, NodeSpec, TestbedConfig
from emulation.domain.feasibility import pattern_violations
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import ExecutorView, NodeView


class PatternAnswer(Answer):
    """The modes of a slot."""

    modes: dict[str, Mode]
    """Model to mode, for every model this node can host."""


class LlmDeployer(ReasonedDecider[NodeConfig], DeploymentAgent):
    """Asks its reasoner once per slot about one node, and tells it of no other."""

    def __init__(self, testbed: TestbedConfig, node_id: str, asker: Asker) -> None:
        super().__init__(asker)
        self._testbed = testbed
        self._node = testbed.node(node_id)
        self._hosted = testbed.hosted(node_id)
        modes = {m: ("off", *testbed.modes(node_id, m)) for m in self._hosted}
        self._wanted = Wanted("free", schema_of(PatternAnswer, {"modes": modes}))

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The model's pattern for the slot that begins."""
        answer = self.asker.ask(
            self._system(),
            self._user(view),
            PatternAnswer,
            lambda a: pattern_violations(self._testbed, self._node.id, a.modes),
            wanted=self._wanted,
        )
        return self.chosen(NodeConfig(self._node.id, answer.modes), answer)

    def _system(self) -> str:
        specs = [self._testbed.model(m) for m in self._hosted]
        memory = ", ".join(f"{m.id} {m.ram_gb:g} GB" for m in specs)
        vram = ", ".join(f"{m.id} {m.vram_gb:g} GB" for m in specs if "gpu" in m.modes)
        gpu_rule = (
            f"On `gpu` it also takes one vGPU and vRAM there: {vram}."
            if self._node.gpus
            else "There is no GPU: nothing can run on `gpu`."
        )
        return render(
            "deployer_system", node=self._node.id, hardware=hardware(self._node), memory=memory, gpu_rule=gpu_rule,
            models=self._hosted,
        )  # fmt: skip

    def _user(self, view: NodeView) -> str:
        node = self._node
        if view.role is None:
            role = "none yet; run what the queues need"
        else:
            active = [f"{m} on {mode}" for m, mode in sorted(view.role.items()) if mode != "off"]
            role = ", ".join(active) or "run nothing"
        under_way = [
            f"{e.models[0]} is {e.state}" for e in view.executors if e.state in ("pending", "starting")
        ]
        pending = (
            f"Under way: {', '.join(under_way)}, so the pending rule is in force."
            if under_way
            else "Nothing is pending or starting."
        )
        return render(
            "deployer_slot", t_s=view.taken_at_s, role=role, cores=node.cores, ram_gb=node.ram_gb,
            slices=node.gpu_slices, cores_free=node.cores - view.cores_busy,
            ram_free_gb=node.ram_gb - view.ram_used_gb, slices_free=node.gpu_slices - view.slices_used,
            pending=pending, models=[self._model(m, view) for m in self._hosted],
        )  # fmt: skip

    def _model(self, model: str, view: NodeView) -> dict[str, Any]:
        executor = next((e for e in view.executors if model in e.models), None)
        return {
            "id": model,
            "modes": self._testbed.modes(self._node.id, model),
            "state": "off" if executor is None else _state(executor),
            "queued": 0 if executor is None else executor.queued.get(model, 0),
            "prompts": 0.0 if executor is None else executor.backlog_prompts.get(model, 0.0),
        }


def hardware(node: NodeSpec) -> str:
    """The node's hardware profile in words (MA: CPU-only, single-GPU, dual-GPU)."""
    kind = {0: "CPU only", 1: "one GPU", 2: "two GPUs"}.get(len(node.gpus), f"{len(node.gpus)} GPUs")
    gpus = ", ".join(f"{g.vram_gb:g} GB in {g.slices} vGPUs" for g in node.gpus)
    return f"{kind}, {node.cores} cores, {node.ram_gb:g} GB RAM" + (f", vRAM {gpus}" if gpus else "")


def _state(executor: ExecutorView) -> str:
    where = executor.state if executor.mode == "off" else f"{executor.state} on {executor.mode}"
    return f"{where}, ready in {executor.ready_in_s:.0f} s" if executor.ready_in_s else where
