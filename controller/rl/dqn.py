"""Deep Q-learning of deployment, one agent per node with shared weights; the routers act by weights that stay.

Mnih et al. 2015 with double estimates (van Hasselt et al. 2016) and n-step returns (Sutton 1988). Reads from top to
bottom: settings, network, one episode, one update, the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from controller.rl.buffer import Batch, Replay
from controller.rl.features import MODES, Floats
from controller.rl.nets import SHAPES, Weights
from controller.rl.world import ROUTES, Episode, SlotWorld, deploy, known_rewards, route, settled, shaped
from emulation.rng import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class DqnSettings:
    """Everything a run of this trainer depends on, beside seed and world."""

    gamma: float = 0.95
    steps: int = 6
    """Slots over which rewards are added up before the value of what is seen then stands for the rest."""
    shaping: float = 1.0
    """Weight of the potential: minus the work that waits at the node, as `DeployerFeatures.backlog` has it."""
    epsilon: tuple[float, float] = (0.5, 0.02)
    """Share of random patterns in the first episode, and after half of the episodes."""
    level: float = 0.6
    """Taken from every reward, so that values are near 0 from the start; it changes no choice."""
    batch: int = 128
    updates: int = 20
    """After every episode."""
    replay: int = 40_000
    learning_rate: float = 2e-3
    target_every: int = 40
    """Updates between two copies of the network into the one that values what comes after."""


Parameters = dict[str, Any]
"""Name of an array of weights to its torch tensor."""


def _values(p: Parameters, modes: Any, patterns: Any, picked: Any) -> Any:
    """(B, P) values: `modes` (B, M, 3, F), `patterns` (B, P, G), `picked` (B, P, M, 3) one-hot; as `nets.py` has it."""
    each = torch.relu(modes @ p["deployer.w1"] + p["deployer.b1"])
    total = torch.einsum("bmxh,bpmx->bph", each, picked)
    h = torch.cat([total, patterns], dim=2)
    h = torch.relu(h @ p["deployer.w2"] + p["deployer.b2"])
    return (h @ p["deployer.w3"] + p["deployer.b3"]).squeeze(2)


@dataclass(frozen=True, slots=True)
class _Slot:
    """What one slot of an episode leaves."""

    looks: dict[str, tuple[Floats, Floats]]
    backlogs: dict[str, float]
    actions: dict[str, int]


def _play(
    world: SlotWorld, weights: Weights, seed: int, rng: np.random.Generator, epsilon: float
) -> tuple[list[_Slot], dict[int, float]]:
    """One episode; its slots, and the rewards of those that count."""
    world.reset(seed=seed)
    slots: list[_Slot] = []
    rewards: dict[int, float] = {}
    while world.agents:
        actions: dict[str, Any]
        if world.turn == ROUTES:
            actions, _ = route(weights, world, rng)
        else:
            actions = deploy(weights, world, rng, epsilon)
            slots.append(_Slot(dict(world.looks), dict(world.backlogs), actions))
        rewards |= settled(world.step(actions)[4])
    return slots, rewards


class DqnTrainer:
    """Networks, replay memory and optimiser; they stay between calls of `train`, so that tiers can take turns."""

    def __init__(self, world: SlotWorld, weights: Weights, settings: DqnSettings, seed: int) -> None:
        self._world, self._settings = world, settings
        self._rng = stream(seed, "train:dqn")
        self._online: Parameters = {
            name: torch.tensor(weights[name], dtype=torch.float32, requires_grad=True)
            for name in SHAPES
            if name.startswith("deployer.")
        }
        self._copy_target()
        self._optimiser = torch.optim.Adam(list(self._online.values()), lr=settings.learning_rate)
        of_nodes = list(world.nodes.values())
        models, patterns = max(len(f.models) for f in of_nodes), max(len(f.patterns) for f in of_nodes)
        self._replay = Replay(settings.replay, models, patterns)
        picked = np.zeros((len(of_nodes), patterns, models, len(MODES)), np.float32)
        for n, features in enumerate(of_nodes):
            for m in range(len(features.models)):
                picked[n, np.arange(len(features.patterns)), m, features.modes[:, m]] = 1.0
        self._picked = torch.tensor(picked)
        self._real = torch.tensor(picked.any(axis=(2, 3)))
        self.updates = 0
        """Steps of the optimiser so far; 0: nothing was learned."""
        self._losses = [0.0]

    def train(
        self, weights: dict[str, Floats], episodes: int, first_seed: int, tell: Callable[[Episode], None]
    ) -> None:
        """Learn over so many episodes of worlds `first_seed` on; `weights`, of both tiers, follow what is learned."""
        for number in range(episodes):
            start, end = self._settings.epsilon
            epsilon = max(end, start + (end - start) * number / max(episodes / 2, 1))
            slots, rewards = _play(self._world, weights, first_seed + number, self._rng, epsilon)
            self._remember(slots, rewards)
            # An episode shorter than the steps that a gain is counted over leaves nothing to learn from.
            for _ in range(self._settings.updates if self._replay.filled else 0):
                self._update(self._replay.draw(self._rng, self._settings.batch))
            weights |= {name: p.detach().numpy().astype(np.float64) for name, p in self._online.items()}
            mean = sum(rewards.values()) / max(len(rewards), 1)
            told = Episode(
                tier="deployment",
                number=number,
                reward=mean,
                slots=len(slots),
                loss=float(np.mean(self._losses or [0.0])),
            )
            self._losses.clear()
            tell(told)

    def _remember(self, slots: list[_Slot], rewards: dict[int, float]) -> None:
        """Add the n-step transitions of an episode; those that reach beyond the last reward are left out."""
        terms = self._settings
        discount = terms.gamma ** np.arange(terms.steps)
        of_slot = known_rewards(rewards, self._world.empty, len(slots) - 1, terms.level)
        for n, node in enumerate(self._world.nodes):
            phi = [-terms.shaping * s.backlogs[node] for s in slots]
            gains = shaped(of_slot, phi, terms.gamma)
            for t in range(len(gains) - terms.steps + 1):
                then = slots[t + terms.steps] if t + terms.steps < len(slots) else None
                if then is not None:
                    gain = float(discount @ gains[t : t + terms.steps])
                    action = slots[t].actions[f"deployer:{node}"]
                    self._replay.add(n, slots[t].looks[node], action, gain, then.looks[node])

    def _update(self, batch: Batch) -> None:
        terms = self._settings
        node, action = torch.from_numpy(batch.node), torch.from_numpy(batch.action)
        rows = torch.arange(len(node))
        with torch.no_grad():
            then = (
                torch.from_numpy(batch.next_modes),
                torch.from_numpy(batch.next_patterns),
                self._picked[node],
            )
            best = _values(self._online, *then).masked_fill(~self._real[node], -torch.inf).argmax(dim=1)
            value = _values(self._target, then[0], then[1][rows, best, None], then[2][rows, best, None])
            aim = torch.from_numpy(batch.gain) + terms.gamma**terms.steps * value[:, 0]
        chosen = torch.from_numpy(batch.patterns)[rows, action, None]
        picked = self._picked[node, action][:, None]
        got = _values(self._online, torch.from_numpy(batch.modes), chosen, picked)[:, 0]
        loss = torch.nn.functional.smooth_l1_loss(got, aim)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self._online.values()), 10.0)
        self._optimiser.step()
        self._losses.append(float(loss.detach()))
        self.updates += 1
        if self.updates % terms.target_every == 0:
            self._copy_target()

    def _copy_target(self) -> None:
        self._target = {name: p.detach().clone() for name, p in self._online.items()}
