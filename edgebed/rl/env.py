"""The environment: a testbed slot by slot, as a PettingZoo `ParallelEnv` (Terry et al. 2021).

Agents: `router:<node>` for every node, which sends what enters there, and `deployer:<node>` for every node with pods.
A slot takes two steps, as in a run of the second paper: first the routers choose, then, once the requests that come as
the slot begins are dispatched, the deployers. Everybody acts in both; what is not their turn to decide is ignored, and
`turn` in the observation says whose it is (0 routers, 1 deployers). Only what the deciders of a run may see is seen.

The reward is the second paper's eq. 20, the same for all agents: r_t = 1 - J of the requests that arrived in slot t,
issued when the last of them has ended, up to a deadline later; the sum of what is issued in a step is its reward, and
`infos[agent]["settled"]` says which slot each part belongs to. Slots without requests have none; `empty` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from controller.rl.features import (
    CANDIDATE,
    LIMIT,
    MODEL_MODE,
    PATTERN,
    DeployerFeatures,
    Floats,
    RouterFeatures,
    Terms,
)
from edgebed.rl.slots import Answer, Asked, SlotRun
from emulation.domain.actions import NodeConfig, RouteGuide
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, load_scenario

Observation: TypeAlias = dict[str, Any]
ROUTER, DEPLOYER = "router:", "deployer:"
ROUTES, DEPLOYMENT = 0, 1
"""Values of `turn`."""


def parallel_env(scenario: str | Scenario = "bristol-A", first_seed: int = 0) -> TestbedEnv:
    """The environment of a scenario, by name, path or content. Raises `ConfigError`."""
    loaded = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    return TestbedEnv(loaded, first_seed)


class TestbedEnv(ParallelEnv):  # type: ignore[misc]
    """One episode is one run of the scenario: its requests and hidden truth come from the seed given to `reset`.

    Observation of a router: `candidates` (M, N, CANDIDATE + 1), the last figure 1 where the node is its own; `mask`
    (M, N), destinations that may be chosen; `turn`. Its action: for every model the index of a node, inventory order;
    one that the mask forbids stands for the next one, in a circle, that it allows.
    Of a deployer: `modes` (M, 3, MODEL_MODE), `patterns` (P, PATTERN), `turn`; its action: the index of a pattern.
    `controller/rl/features.py` says what the figures are.
    """

    __test__ = False
    metadata = {"name": "edgebed_testbed_v1", "render_modes": [], "is_parallelizable": True}

    def __init__(self, scenario: Scenario, first_seed: int = 0) -> None:
        """`first_seed`: of the first `reset` without a seed; every further one counts on from there.

        Raises `ConfigError` for a scenario whose slots cannot be decided one by one.
        """
        if not scenario.agents_await_dispatch and scenario.slot_order == "deploy-first":
            raise ConfigError(
                f"scenario {scenario.name!r}: slot_order 'deploy-first' decides deployment before routes are known;"
                " take dispatch-first"
            )
        self.scenario, self._next_seed = scenario, first_seed
        testbed = scenario.testbed
        terms = Terms(scenario.slot_s, scenario.deadline_s or scenario.epoch_slots * scenario.slot_s)
        self.routing = RouterFeatures(testbed, terms)
        self.nodes = {
            n.id: DeployerFeatures(testbed, n.id, terms) for n in testbed.nodes if n.hosting == "pods"
        }
        self.possible_agents = [
            *(f"{ROUTER}{n}" for n in self.routing.nodes), *(f"{DEPLOYER}{n}" for n in self.nodes)
        ]  # fmt: skip
        self.agents: list[str] = []
        self.observation_spaces = {a: self._space(a) for a in self.possible_agents}
        self.action_spaces = {a: self._actions(a) for a in self.possible_agents}
        self.run: SlotRun | None = None
        """The run that is played."""
        self._asked: Asked | None = None
        self._routers, self._deployers = self._blank()
        self._backlogs = dict.fromkeys(self.nodes, 0.0)

    # -- spaces ---------------------------------------------------------------------------------------------

    def observation_space(self, agent: str) -> Any:
        """What this agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """What this agent may choose."""
        return self.action_spaces[agent]

    def _space(self, agent: str) -> Any:
        def box(*shape: int) -> Any:
            return spaces.Box(-LIMIT, LIMIT, shape, np.float64)

        turn = spaces.Discrete(2)
        if agent.startswith(ROUTER):
            models, nodes = self.routing.routable.shape
            mask = spaces.Box(0, 1, (models, nodes), np.int8)
            return spaces.Dict({"candidates": box(models, nodes, CANDIDATE + 1), "mask": mask, "turn": turn})
        seen = self.nodes[agent.removeprefix(DEPLOYER)]
        models, patterns = len(seen.models), len(seen.patterns)
        return spaces.Dict(
            {"modes": box(models, 3, MODEL_MODE), "patterns": box(patterns, PATTERN), "turn": turn}
        )

    def _actions(self, agent: str) -> Any:
        if agent.startswith(ROUTER):
            models, nodes = self.routing.routable.shape
            return spaces.MultiDiscrete([nodes] * models)
        return spaces.Discrete(len(self.nodes[agent.removeprefix(DEPLOYER)].patterns))

    # -- an episode -----------------------------------------------------------------------------------------

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin a run of this seed, or of the next one; what was played before is let go."""
        self.close()
        seed = self._next_seed if seed is None else seed
        self._next_seed = seed + 1
        self.agents = list(self.possible_agents)
        self._routers, self._deployers = self._blank()
        self.run = SlotRun(self.scenario, seed)
        self._look(self.run.resume())
        return self._observations(), {a: {"settled": {}} for a in self.agents}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play on to the next decision. Raises `ValueError` for an action that is none."""
        run, asked = self.run, self._asked
        if run is None or asked is None:
            raise ValueError("the episode is over; call reset")
        self._look(run.resume(self._routes(actions) if asked.turn == "routes" else self._patterns(actions)))
        over = self._asked is None
        settled = {slot: 1.0 - result.objective for slot, result in run.tally.take_settled().items()}
        present, reward = self.agents, float(sum(settled.values()))
        observations = self._observations()
        infos: dict[str, dict[str, Any]] = {a: {"settled": settled} for a in present}
        if over:
            self.agents = []
        return (
            observations, dict.fromkeys(present, reward), dict.fromkeys(present, over),
            dict.fromkeys(present, False), infos,
        )  # fmt: skip

    def state(self) -> Floats:
        """What a central critic may look at: (2 x CANDIDATE,), mean and largest figure over all destinations."""
        rows = self._routers[0][self.routing.routable]
        return np.concatenate([rows.mean(axis=0), rows.max(axis=0)])

    def close(self) -> None:
        """End the run, if there is one."""
        if self.run is not None:
            self.run.close()
        self.run, self._asked, self.agents = None, None, []

    def render(self) -> None:
        """There is nothing to see here; record a run and open it with `edgebed ui`."""

    # -- what is seen and said ------------------------------------------------------------------------------

    @property
    def turn(self) -> int:
        """Whose turn it is."""
        return DEPLOYMENT if self._asked is not None and self._asked.turn == "deployment" else ROUTES

    @property
    def asked(self) -> Asked | None:
        """The question as the engine put it; None before and after an episode."""
        return self._asked

    @property
    def looks(self) -> dict[str, tuple[Floats, Floats]]:
        """Node to what its deployer saw last: figures of its modes and of its patterns."""
        return self._deployers

    @property
    def destinations(self) -> tuple[Floats, Any]:
        """What the routers saw last: candidates (M, N, CANDIDATE) and mask (M, N)."""
        return self._routers

    @property
    def backlogs(self) -> dict[str, float]:
        """Node with pods to the work that waits there, as `DeployerFeatures.backlog` has it."""
        return self._backlogs

    @property
    def empty(self) -> frozenset[int]:
        """Counted slots of this run in which no request arrives: they have no reward."""
        return frozenset() if self.run is None else self.run.tally.empty

    def _blank(self) -> tuple[tuple[Floats, Any], dict[str, tuple[Floats, Floats]]]:
        models, nodes = self.routing.routable.shape
        routers = np.zeros((models, nodes, CANDIDATE)), self.routing.routable
        return routers, {
            n: (np.zeros((len(f.models), 3, MODEL_MODE)), np.zeros((len(f.patterns), PATTERN)))
            for n, f in self.nodes.items()
        }

    def _look(self, asked: Asked | None) -> None:
        self._asked = asked
        if asked is None:
            return
        if asked.snapshot is not None:
            self._routers = self.routing.candidates(asked.snapshot), self.routing.mask(asked.snapshot)
            for view in asked.snapshot.nodes:
                if view.id in self.nodes:
                    self._backlogs[view.id] = self.nodes[view.id].backlog(view)
        for node, view in asked.views.items():
            self._deployers[node] = self.nodes[node].rows(view)
            self._backlogs[node] = self.nodes[node].backlog(view)

    def _observations(self) -> dict[str, Observation]:
        turn = np.int64(self.turn)
        candidates, mask = self._routers
        seen: dict[str, Observation] = {}
        for n, node in enumerate(self.routing.nodes):
            own = np.zeros((*mask.shape, 1))
            own[:, n] = 1.0
            rows = np.concatenate([candidates, own], axis=2)
            seen[f"{ROUTER}{node}"] = {"candidates": rows, "mask": mask.astype(np.int8), "turn": turn}
        for node, (modes, patterns) in self._deployers.items():
            seen[f"{DEPLOYER}{node}"] = {"modes": modes, "patterns": patterns, "turn": turn}
        return seen

    def _routes(self, actions: Mapping[str, Any]) -> Answer:
        features, mask = self.routing, self._routers[1]
        table: dict[tuple[str, str], str] = {}
        for origin in features.nodes:
            chosen = actions[f"{ROUTER}{origin}"]
            for m, model in enumerate(features.models):
                n = int(chosen[m])
                if not 0 <= n < len(features.nodes):
                    raise ValueError(f"{ROUTER}{origin} sends {model} to node {n} of {len(features.nodes)}")
                allowed = n + int(np.roll(mask[m], -n).argmax())
                table[origin, model] = features.nodes[allowed % len(features.nodes)]
        return RouteGuide(table=table)

    def _patterns(self, actions: Mapping[str, Any]) -> Answer:
        chosen: dict[str, NodeConfig] = {}
        for node, features in self.nodes.items():
            p = int(actions[f"{DEPLOYER}{node}"])
            if not 0 <= p < len(features.patterns):
                raise ValueError(f"{DEPLOYER}{node} chose pattern {p} of {len(features.patterns)}")
            chosen[node] = NodeConfig(node, features.patterns[p])
        return chosen
