"""The trainers learn what can be learned: in a world of one signal, its best choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from controller.rl.features import CANDIDATE, MODEL_MODE, PATTERN, DeployerFeatures, Floats, Terms
from controller.rl.nets import pattern_values, random_weights, route_shares, router_scores
from controller.rl.world import shaped
from emulation.files import load_testbed
from emulation.rng import stream

pytestmark = [pytest.mark.models, pytest.mark.slow]
SLOTS, WAIT, COST = 12, 6, 3
"""Length of an episode; the figure of a destination, and that of a pattern, which say what a choice costs."""


class OneSignal:
    """Four nodes and two models; the reward of a slot is 1 less what its choices cost, and nothing else matters."""

    def __init__(self) -> None:
        testbed = load_testbed("bristol-a")
        self.nodes = {n: DeployerFeatures(testbed, n, Terms(30.0, 900.0)) for n in ("VM2", "VM3")}
        self.possible_agents = [*(f"router:{n}" for n in range(4)), *(f"deployer:{n}" for n in self.nodes)]
        self.agents: list[str] = []
        self.backlogs = dict.fromkeys(self.nodes, 0.0)
        self.empty: frozenset[int] = frozenset()
        self.turn = 0

    def reset(self, seed: int | None = None) -> None:
        self._rng = stream(seed or 0, "one signal")
        self.agents, self._slot, self.turn = list(self.possible_agents), 0, 0
        self._deal()

    def _deal(self) -> None:
        candidates = np.zeros((2, 4, CANDIDATE))
        candidates[:, :, WAIT] = self._rng.permuted(np.tile([0.0, 1.0, 1.0, 1.0], (2, 1)), axis=1)
        self.destinations = candidates, np.ones((2, 4), dtype=bool)
        self.looks = {n: self._look(f) for n, f in self.nodes.items()}

    def _look(self, features: DeployerFeatures) -> tuple[Floats, Floats]:
        rows = np.zeros((len(features.patterns), PATTERN))
        rows[:, COST] = self._rng.random(len(rows))
        return np.zeros((len(features.models), 3, MODEL_MODE)), rows

    def state(self) -> Floats:
        return np.zeros(2 * CANDIDATE)

    def step(self, actions: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, dict[str, dict[str, Any]]]:
        if self.turn == 0:
            waits = self.destinations[0][:, :, WAIT]
            self._cost = float(
                np.mean([waits[m, actions[f"router:{o}"][m]] for o in range(4) for m in range(2)])
            )
            self.turn, settled = 1, {}
        else:
            costs = [self.looks[n][1][actions[f"deployer:{n}"], COST] for n in self.nodes]
            settled = {self._slot: 1.0 - (self._cost + float(np.mean(costs))) / 2}
            self._slot, self.turn = self._slot + 1, 0
            self._deal()
            if self._slot > SLOTS:
                self.agents = []
        return None, None, None, None, {"router:0": {"settled": settled}}


def test_the_deployers_learn_which_pattern_costs_least() -> None:
    from controller.rl.dqn import DqnSettings, DqnTrainer

    world, weights = OneSignal(), random_weights(0)
    settings = DqnSettings(gamma=0.5, steps=1, updates=20, learning_rate=3e-3)
    DqnTrainer(world, weights, settings, 0).train(weights, 15, 0, lambda told: None)  # type: ignore[arg-type]
    chosen = []
    for seed in range(20):
        world.reset(10_000 + seed)
        for node, features in world.nodes.items():
            best = int(pattern_values(weights, *world.looks[node], features.modes).argmax())
            chosen.append(world.looks[node][1][best, COST])
    assert np.mean(chosen) < 0.15


def test_the_routers_learn_where_the_wait_is_least() -> None:
    from controller.rl.mappo import MappoSettings, MappoTrainer

    world, weights = OneSignal(), random_weights(0)
    settings = MappoSettings(gamma=0.5, learning_rate=5e-3, entropy=0.0)
    MappoTrainer(world, weights, settings, 0).train(weights, 80, 0, lambda told: None)  # type: ignore[arg-type]
    right = []
    for seed in range(20):
        world.reset(10_000 + seed)
        candidates, mask = world.destinations
        shares = route_shares(router_scores(weights, candidates), mask)
        right.append(shares[:, candidates[:, :, WAIT] == 0.0].mean())
    assert np.mean(right) > 0.6  # a quarter by chance


def test_episodes_without_a_reward_change_nothing() -> None:
    from controller.rl.dqn import DqnSettings, DqnTrainer
    from controller.rl.mappo import MappoSettings, MappoTrainer

    class Silent(OneSignal):
        def step(self, actions: Mapping[str, Any]) -> tuple[Any, Any, Any, Any, dict[str, dict[str, Any]]]:
            super().step(actions)
            return None, None, None, None, {"router:0": {"settled": {}}}

    weights = random_weights(0)
    world: Any = Silent()
    for trainer in (
        DqnTrainer(world, weights, DqnSettings(), 0),
        MappoTrainer(world, weights, MappoSettings(), 0),
    ):
        trainer.train(weights, 4, 0, lambda told: None)
        assert trainer.updates == 0
        assert all(np.allclose(weights[n], w, atol=1e-6) for n, w in random_weights(0).items())


def test_what_shaping_adds_depends_on_the_ends_alone() -> None:
    gamma, rewards, phi = 0.9, [0.3, 0.1, 0.7], [-1.0, -5.0, -2.0, -4.0]
    discount = gamma ** np.arange(3)
    found = discount @ shaped(rewards, phi, gamma)
    assert found == pytest.approx(discount @ np.array(rewards) + gamma**3 * phi[3] - phi[0])
