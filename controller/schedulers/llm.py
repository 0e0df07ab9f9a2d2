"""The prompt scheduler as a language model: macro policy and last slot's snapshot in, a checked guide out.

Mode `table`: a destination per (origin, model), unchanged during the slot (MA). Mode `guided`: nodes to leave out and
shares of the others, as mask and weights of a router that chooses per request.
"""

from __future__ import annotations

from typing import Any

from controller.agents.answers import Answer, Asker, ReasonedDecider
from controller.agents.config import AgentsConfig, SchedulerMode
from controller.agents.llm import Wanted
from controller.agents.prompts import render
from controller.agents.shapes import schema_of
from controller.demand import DemandPrior
from controller.objective import Objective
from controller.planners.sentences import shares_told
from controller.schedulers.hosts import Host, Hosts
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import table_violations
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView

TOLERANCE = 1e-6


class TableAnswer(Answer):
    """A slot's destinations."""

    table: dict[str, dict[str, str]]
    """Origin to model to node."""


class GuideAnswer(Answer):
    """A slot's mask and weights."""

    masked: dict[str, list[str]]
    """Model to nodes that are to be left out."""
    weights: dict[str, dict[str, float]]
    """Model to node to share."""


class LlmScheduler(ReasonedDecider[RouteGuide], PromptScheduler):
    """Asks its reasoner once per slot."""

    def __init__(
        self,
        testbed: TestbedConfig,
        config: AgentsConfig,
        objective: Objective,
        asker: Asker,
        mode: SchedulerMode = "table",
    ) -> None:
        super().__init__(asker)
        self._testbed = testbed
        self._mode = mode
        self._slot_s = objective.slot_s
        self._overload_s = config.overload_s or (objective.deadline_s or 20 * objective.slot_s) / 2
        self._hosts = Hosts(testbed, objective, DemandPrior())

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """The model's guide for the slot that begins."""
        hosts = self._hosts.look(snapshot, policy)
        allowed = {m: self._allowed(m, of_model, snapshot) for m, of_model in hosts.items()}
        system = render(
            "scheduler_system", mode=self._mode, origins=[n.id for n in self._testbed.nodes],
            models=[m.id for m in self._testbed.models],
        )  # fmt: skip
        user = self._user(snapshot, policy, hosts, allowed)
        if self._mode == "table":
            return self._table(system, user, allowed)
        return self._guide(system, user, allowed)

    def _table(self, system: str, user: str, allowed: dict[str, list[str]]) -> Choice[RouteGuide]:
        def check(answer: TableAnswer) -> list[str]:
            return table_violations(self._testbed, answer.table) or [
                f"table[{origin}][{model}] = {node}, which is not allowed this slot: {', '.join(allowed[model])} are"
                for origin, row in answer.table.items()
                for model, node in row.items()
                if node not in allowed[model]
            ]

        shape = {node.id: allowed for node in self._testbed.nodes}
        wanted = Wanted("free", schema_of(TableAnswer, {"table": shape}))
        answer = self.asker.ask(system, user, TableAnswer, check, wanted=wanted)
        table = {(origin, m): node for origin, row in answer.table.items() for m, node in row.items()}
        return self.chosen(RouteGuide(table=table), answer)

    def _guide(self, system: str, user: str, allowed: dict[str, list[str]]) -> Choice[RouteGuide]:
        """Nodes that are not allowed are masked too, so that no answer leads out of the roles."""
        shares = {m: dict.fromkeys(nodes) for m, nodes in allowed.items()}
        wanted = Wanted("free", schema_of(GuideAnswer, {"masked": allowed, "weights": shares}))
        answer = self.asker.ask(system, user, GuideAnswer, lambda a: guide_faults(a, allowed), wanted=wanted)
        off = {(m, n) for m, nodes in answer.masked.items() for n in nodes}
        masked = {
            e.id
            for e in self._testbed.executors()
            if all((m, e.node) in off or e.node not in allowed[m] for m in e.models)
        }
        weights = {(m, n): w for m, shares in answer.weights.items() for n, w in shares.items()}
        return self.chosen(RouteGuide(masked=frozenset(masked), weights=weights), answer)

    def _allowed(self, model: str, hosts: list[Host], snapshot: ClusterSnapshot) -> list[str]:
        """The hosts of the roles; every node that can serve the model where all of those are overloaded or away."""
        names = [h.node for h in hosts]
        if any(h.finish_s() <= self._overload_s for h in hosts):
            return names
        up = {v.id for v in snapshot.nodes if v.available}
        return [n for n in self._testbed.routable(model) if n in up] or names

    # -- what it is told ------------------------------------------------------------------------------------

    def _user(
        self,
        snapshot: ClusterSnapshot,
        policy: MacroPolicy | None,
        hosts: dict[str, list[Host]],
        allowed: dict[str, list[str]],
    ) -> str:
        looked = self._hosts
        models: list[dict[str, Any]] = []
        for i, model in enumerate(self._testbed.models):
            shares = {} if policy is None else {model.id: policy.p.get(model.id, {})}
            in_role = {h.node for h in hosts[model.id]}
            models.append(
                {
                    "id": model.id,
                    "shares": shares_told(shares).partition(" to ")[2] or "no policy yet",
                    "allowed": allowed[model.id],
                    "free": policy is not None and set(allowed[model.id]) != in_role,
                    "prompts_per_slot": looked.prompts_per_s[i] * self._slot_s,
                    "prompts_per_request": looked.prompts_per_request[i],
                }
            )
        seconds = {(h.node, m): h.prompt_s for m, of_model in hosts.items() for h in of_model}
        nodes = [self._node(view, seconds) for view in snapshot.nodes]
        return render(
            "scheduler_slot", slot=snapshot.slot, t_s=snapshot.t_s, slot_s=self._slot_s, models=models, nodes=nodes
        )  # fmt: skip

    def _node(self, view: NodeView, seconds: dict[tuple[str, str], float]) -> dict[str, Any]:
        spec = self._testbed.node(view.id)
        told = [text for e in view.executors if (text := _executor_told(e, seconds))]
        return {
            "id": view.id,
            "available": view.available,
            "cores_free": spec.cores - view.cores_busy,
            "ram_free_gb": spec.ram_gb - view.ram_used_gb,
            "slices_free": spec.gpu_slices - view.slices_used,
            "models": told,
        }


def _executor_told(executor: ExecutorView, seconds: dict[tuple[str, str], float]) -> str:
    """One executor in words; nothing where it is off and nothing waits."""
    parts = []
    for model in executor.models:
        prompts = executor.backlog_prompts.get(model, 0.0)
        if executor.state == "off" and not prompts:
            continue
        where = executor.state if executor.mode == "off" else f"{executor.state} on {executor.mode}"
        wait = f", ready in {executor.ready_in_s:.0f} s" if executor.ready_in_s else ""
        prompt_s = seconds.get((executor.node, model))
        work = f" (about {prompts * prompt_s:.0f} s)" if prompts and prompt_s is not None else ""
        parts.append(f"{model} {where}{wait}, {prompts:.0f} prompts waiting{work}")
    return ", ".join(parts)


def guide_faults(answer: GuideAnswer, allowed: dict[str, list[str]]) -> list[str]:
    """What is wrong with a mask and weights, given the allowed nodes of each model."""
    faults = [f"weights lack model {m!r}" for m in allowed if m not in answer.weights]
    for what, given in (("masked", answer.masked), ("weights", answer.weights)):
        for model, nodes in given.items():
            if model not in allowed:
                faults.append(f"{what} names unknown model {model!r}")
                continue
            faults.extend(
                f"{what}[{model}] names {n!r}, which is not allowed this slot: {', '.join(allowed[model])} are"
                for n in nodes
                if n not in allowed[model]
            )
    for model, shares in answer.weights.items():
        masked = answer.masked.get(model, [])
        faults.extend(f"weights[{model}][{n}] = {w:g} is negative" for n, w in shares.items() if w < 0)
        faults.extend(
            f"weights[{model}] gives {w:g} to masked {n}" for n, w in shares.items() if w and n in masked
        )
        if abs(sum(shares.values()) - 1.0) > TOLERANCE:
            faults.append(f"weights[{model}] sums to {sum(shares.values()):.6g}, must be 1")
    return faults
