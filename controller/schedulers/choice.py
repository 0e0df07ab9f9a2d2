"""The prompt scheduler with a language model that chooses: which of a few good guides holds for the slot.

Tables: what the rules would send where, the policy's shares dealt out, and every origin kept at home where it may be.
Guides: the policy as it is, shares by what would be finished first (where weights count), and the policy with its
fullest hosts masked. What each comes to is estimated by the same list of finishing times that the rules schedule by.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

import numpy as np

from controller.agents.answers import Asker
from controller.agents.config import SchedulerMode
from controller.agents.menu import ChoosingDecider, Estimate, Option
from controller.agents.prompts import render
from controller.demand import DemandPrior
from controller.objective import Objective
from controller.schedulers.hosts import Host, Hosts
from controller.schedulers.weights import guided
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot
from emulation.metrics.fairness import jain_normalised_rows, weighed

Table = dict[tuple[str, str], str]
AS_IT_IS, SPARED = "the policy as it is", "the policy without the fullest node of each model"
ROLE = (
    "You are the prompt scheduler of an edge cluster that serves generative models: you decide which node the requests"
    " of a slot go to."
)


class ChoiceScheduler(ChoosingDecider[RouteGuide], PromptScheduler):
    """Asks its reasoner once per slot where several guides are good."""

    def __init__(
        self,
        testbed: TestbedConfig,
        objective: Objective,
        asker: Asker,
        mode: SchedulerMode,
        seed: int,
        eta_s: float = 0.0,
    ) -> None:
        """`eta_s`: how much a weight of a guide counts against time where it is routed, as in `FastPathConfig`."""
        super().__init__(asker, ROLE, seed)
        self._testbed, self._objective, self._mode, self._eta_s = testbed, objective, mode, eta_s
        self._hosts = Hosts(testbed, objective, DemandPrior())
        self._origins = [n.id for n in testbed.nodes]

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """The guide its model picks; the only good one without a question."""
        hosts = self._hosts.look(snapshot, policy)
        options = self._tables(snapshot, hosts) if self._mode == "table" else self._guides(hosts, policy)
        return self.picked(options, self._situation(snapshot, hosts))

    # -- tables -----------------------------------------------------------------------------------------------

    def _tables(self, snapshot: ClusterSnapshot, hosts: Mapping[str, list[Host]]) -> list[Option[RouteGuide]]:
        turn = snapshot.slot % len(self._origins)
        origins = self._origins[turn:] + self._origins[:turn]
        tables: list[tuple[str, Table]] = [
            ("each request where it is finished first", {}),
            ("by the shares of the policy", {}),
            ("at its own node where that hosts the model, else where it is finished first", {}),
        ]
        for m, model in enumerate(self._testbed.models):
            size, there = self._hosts.prompts_per_request[m], hosts[model.id]
            firsts = _in_turn(there, origins, size)
            dealt = _dealt(there, origins)
            own = {h.node for h in there}
            for origin in self._origins:
                tables[0][1][origin, model.id] = firsts[origin]
                tables[1][1][origin, model.id] = dealt[origin]
                tables[2][1][origin, model.id] = origin if origin in own else firsts[origin]
        return [
            Option(RouteGuide(table=table), f"{told}: {self._moves(table)}", self._of_table(table, hosts))
            for told, table in tables
        ]

    def _of_table(self, table: Table, hosts: Mapping[str, list[Host]]) -> Estimate:
        """One request of mean size from every origin, one behind the other at its host."""
        finish: dict[str, list[float]] = {}
        for m, model in enumerate(self._testbed.models):
            size = self._hosts.prompts_per_request[m]
            work = {h.node: replace(h) for h in hosts[model.id]}
            for origin in self._origins:
                host = work[table[origin, model.id]]
                host.prompts += size
                finish.setdefault(model.id, []).append(host.finish_s())
        return self._worth(finish)

    def _moves(self, table: Table) -> str:
        """`gpt2 VM2 3, VM4 4; sd VM3 7`: how many origins of each model go where."""
        parts = []
        for model in self._testbed.models:
            to: dict[str, int] = {}
            for origin in self._origins:
                node = table[origin, model.id]
                to[node] = to.get(node, 0) + 1
            parts.append(f"{model.id} " + ", ".join(f"{n} {count}" for n, count in sorted(to.items())))
        return "; ".join(parts)

    # -- guides -----------------------------------------------------------------------------------------------

    def _guides(
        self, hosts: Mapping[str, list[Host]], policy: MacroPolicy | None
    ) -> list[Option[RouteGuide]]:
        """Those that would be routed by otherwise than others. Where weights count for nothing (eta 0), the router goes
        by time among what is not masked, whatever they are."""
        base, fullest = guided(self._testbed, policy).command, _fullest(hosts)
        spared = self._masking(base, fullest)
        plans: list[tuple[str, RouteGuide, Mapping[tuple[str, str], float]]]
        if self._eta_s == 0.0:
            plans = [
                (AS_IT_IS, base, self._speeds(hosts, set())),
                (SPARED, spared, self._speeds(hosts, fullest)),
            ]
        else:
            speeds, shares = self._speeds(hosts, set()), _spared(hosts, fullest)
            plans = [
                (AS_IT_IS, base, base.weights),
                ("more to where it is finished first", replace(base, weights=speeds), speeds),
                (SPARED, replace(spared, weights=shares), shares),
            ]
        put = plans if fullest else plans[:-1]
        return [Option(guide, told, self._of_weights(weights, hosts)) for told, guide, weights in put]

    def _masking(self, base: RouteGuide, fullest: Set[tuple[str, str]]) -> RouteGuide:
        """The guide with these (model, node) masked. Who serves other models too is left to its weights."""
        masked = {e.id for e in self._testbed.executors() if all((m, e.node) in fullest for m in e.models)}
        return replace(base, masked=base.masked | masked)

    def _speeds(
        self, hosts: Mapping[str, list[Host]], left_out: Set[tuple[str, str]]
    ) -> dict[tuple[str, str], float]:
        """Shares by what would be finished first, of hosts that are not left out."""
        sizes, shares = self._hosts.prompts_per_request, dict[tuple[str, str], float]()
        for m, model in enumerate(self._testbed.models):
            there = [h for h in hosts[model.id] if (model.id, h.node) not in left_out]
            shares |= _shares(model.id, {h.node: 1.0 / max(h.finish_s(sizes[m]), 1e-3) for h in there})
        return shares

    def _of_weights(
        self, given: Mapping[tuple[str, str], float], hosts: Mapping[str, list[Host]]
    ) -> Estimate:
        """What a slot's requests come to if they follow these weights; without any, equal shares."""
        finish: dict[str, list[float]] = {}
        for m, model in enumerate(self._testbed.models):
            there = hosts[model.id]
            slot = self._hosts.prompts_per_s[m] * self._objective.slot_s
            weights = np.array([given.get((model.id, h.node), 0.0) for h in there])
            weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(there), 1.0 / len(there))
            ends = [h.finish_s(slot * float(w) / 2) for h, w in zip(there, weights, strict=True)]
            finish[model.id] = [float(w * len(there) * e) for w, e in zip(weights, ends, strict=True)]
        return self._worth(finish)

    # -- both -------------------------------------------------------------------------------------------------

    def _worth(self, finish: Mapping[str, list[float]]) -> Estimate:
        scale_s = self._objective.scale_s
        success = {m: sum(e <= scale_s for e in ends) / len(ends) for m, ends in finish.items()}
        every = [min(e, scale_s) for ends in finish.values() for e in ends]
        latency_s = sum(every) / len(every)
        fair = float(jain_normalised_rows(np.array([list(success.values())]))[0])
        value = weighed(latency_s / scale_s, fair, self._objective.weight)
        return Estimate(value, sum(success.values()) / len(success), latency_s)

    def _situation(self, snapshot: ClusterSnapshot, hosts: Mapping[str, list[Host]]) -> str:
        models = [
            {"id": m, "hosts": [f"{h.node} {h.finish_s():.0f} s" for h in there]}
            for m, there in hosts.items()
        ]
        return render("choice_scheduler", slot=snapshot.slot, models=models)


def _in_turn(hosts: list[Host], origins: list[str], size: float) -> dict[str, str]:
    """Each origin in turn to the host that would finish its request first, as the rules do."""
    work, found = [replace(h) for h in hosts], dict[str, str]()
    for origin in origins:
        best = min(work, key=lambda h: (h.finish_s(size), -h.share))
        best.prompts += size
        found[origin] = best.node
    return found


def _dealt(hosts: list[Host], origins: list[str]) -> dict[str, str]:
    """The origins dealt out so that each host has, at every moment, as near its share as can be."""
    shares = {h.node: h.share for h in hosts}
    total = sum(shares.values())
    due = {n: (s / total if total > 0 else 1.0 / len(shares)) for n, s in shares.items()}
    had, found = dict.fromkeys(due, 0), dict[str, str]()
    for count, origin in enumerate(origins, start=1):
        node = max(due, key=lambda n: due[n] * count - had[n])
        had[node] += 1
        found[origin] = node
    return found


def _shares(model: str, weights: Mapping[str, float]) -> dict[tuple[str, str], float]:
    total = sum(weights.values())
    return {(model, node): weight / total for node, weight in weights.items()}


def _fullest(hosts: Mapping[str, list[Host]]) -> set[tuple[str, str]]:
    """(model, node) of the fullest host of each model, where another is less full."""
    found = set[tuple[str, str]]()
    for model, there in hosts.items():
        fullest = max(there, key=lambda h: h.finish_s())
        if any(h.finish_s() < fullest.finish_s() for h in there):
            found.add((model, fullest.node))
    return found


def _spared(hosts: Mapping[str, list[Host]], fullest: Set[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """The shares of the policy, dealt out among the hosts that are not the fullest of their model."""
    shares: dict[tuple[str, str], float] = {}
    for model, there in hosts.items():
        rest = [h for h in there if (model, h.node) not in fullest]
        shares |= _shares(model, {h.node: max(h.share, 1e-3) for h in rest})
    return shares
