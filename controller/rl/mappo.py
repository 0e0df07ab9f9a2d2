"""Multi-agent PPO of routing, one agent per node with shared weights; the deployers act by weights that stay.

MAPPO (Yu et al. 2022): clipped policy gradient (Schulman et al. 2017) of agents that see what a run shows them, with
one central critic. Reads from top to bottom: settings, networks, one episode, advantages, one update, the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from controller.rl.features import CANDIDATE, Floats, Ints
from controller.rl.nets import SHAPES, Weights
from controller.rl.world import ROUTES, Episode, SlotWorld, deploy, known_rewards, route, settled, shaped
from emulation.rng import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class MappoSettings:
    """Everything a run of this trainer depends on, beside seed and world."""

    gamma: float = 0.95
    trace: float = 0.95
    """lambda of generalised advantage estimation (Schulman et al. 2016)."""
    shaping: float = 0.25
    """Weight of the potential: minus the work that waits, mean over nodes."""
    clip: float = 0.2
    entropy: float = 0.003
    level: float = 0.6
    """Taken from every reward, so that the critic begins near what it is to say; it changes no choice."""
    together: int = 2
    """Episodes between two updates."""
    rounds: int = 8
    """Times their slots are gone through in an update."""
    batch: int = 64
    """Slots in one step of the optimiser."""
    learning_rate: float = 1.5e-3
    exploring: float = 0.0
    """Share of random patterns of the deployers meanwhile."""


def one_thread() -> None:
    """Let torch compute in one thread: networks this small only wait for each other in several."""
    torch.set_num_threads(1)


Parameters = dict[str, Any]
_CRITIC = 64
"""Width of the critic's hidden layers."""


def _log_shares(p: Parameters, candidates: Any, mask: Any) -> Any:
    """(B, O, M, N) log probabilities of (B, M, N, F) candidates under masks (B, M, N); as `nets.py` has it."""
    h = torch.relu(candidates @ p["router.w1"] + p["router.b1"])
    h = torch.relu(h @ p["router.w2"] + p["router.b2"])
    scores = h @ p["router.w3"] + p["router.b3"]
    own = torch.eye(candidates.shape[2])[None, :, None, :]
    logits = scores[:, None, :, :, 0] + own * scores[:, None, :, :, 1]
    return torch.log_softmax(logits.masked_fill(~mask[:, None], -torch.inf), dim=3)


def _critic() -> Any:
    layers = torch.nn
    return layers.Sequential(
        layers.Linear(2 * CANDIDATE, _CRITIC), layers.Tanh(), layers.Linear(_CRITIC, _CRITIC), layers.Tanh(),
        layers.Linear(_CRITIC, 1),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Slot:
    """What one slot of an episode leaves."""

    candidates: Floats
    mask: Any
    state: Floats
    chosen: Ints
    backlog: float


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
            actions, chosen = route(weights, world, rng)
            backlog = sum(world.backlogs.values()) / max(len(world.backlogs), 1)
            slots.append(_Slot(*world.destinations, world.state(), chosen, backlog))
        else:
            actions = deploy(weights, world, rng, epsilon)
        rewards |= settled(world.step(actions)[4])
    return slots, rewards


class MappoTrainer:
    """Actor, critic and optimiser; they stay between calls of `train`, so that tiers can take turns."""

    def __init__(self, world: SlotWorld, weights: Weights, settings: MappoSettings, seed: int) -> None:
        self._world, self._settings = world, settings
        self._rng = stream(seed, "train:mappo")
        self._actor: Parameters = {
            name: torch.tensor(weights[name], dtype=torch.float32, requires_grad=True)
            for name in SHAPES
            if name.startswith("router.")
        }
        torch.manual_seed(seed)
        self._critic = _critic()
        all_of_it = [*self._actor.values(), *self._critic.parameters()]
        self._optimiser = torch.optim.Adam(all_of_it, lr=settings.learning_rate)
        self.updates = 0
        """Steps of the optimiser so far; 0: nothing was learned."""
        self._losses = [0.0]

    def train(
        self, weights: dict[str, Floats], episodes: int, first_seed: int, tell: Callable[[Episode], None]
    ) -> None:
        """Learn over so many episodes of worlds `first_seed` on; `weights`, of both tiers, follow what is learned."""
        waiting: list[tuple[list[_Slot], Floats, Floats]] = []
        for number in range(episodes):
            slots, rewards = _play(
                self._world, weights, first_seed + number, self._rng, self._settings.exploring
            )
            waiting.append(self._judged(slots, rewards))
            if len(waiting) == self._settings.together:
                self._update(waiting)
                waiting = []
                weights |= {name: p.detach().numpy().astype(np.float64) for name, p in self._actor.items()}
            mean = sum(rewards.values()) / max(len(rewards), 1)
            told = Episode(
                tier="routing",
                number=number,
                reward=mean,
                slots=len(slots),
                loss=float(np.mean(self._losses or [0])),
            )
            tell(told)

    def _judged(self, slots: list[_Slot], rewards: dict[int, float]) -> tuple[list[_Slot], Floats, Floats]:
        """The slots whose reward is known, the advantage of each, and what the critic should have said."""
        terms = self._settings
        of_slot = known_rewards(rewards, self._world.empty, len(slots) - 1, terms.level)
        known = len(of_slot)
        phi = [-terms.shaping * s.backlog for s in slots]
        gains = shaped(of_slot, phi, terms.gamma)
        with torch.no_grad():
            states = torch.tensor(np.array([s.state for s in slots[: known + 1]]), dtype=torch.float32)
            values = self._critic(states)[:, 0].numpy().astype(np.float64)
        advantages = np.zeros(known)
        ahead = 0.0
        for t in reversed(range(known)):
            surprise = gains[t] + terms.gamma * values[t + 1] - values[t]
            ahead = surprise + terms.gamma * terms.trace * ahead
            advantages[t] = ahead
        return slots[:known], advantages, advantages + values[:known]

    def _update(self, episodes: list[tuple[list[_Slot], Floats, Floats]]) -> None:
        terms = self._settings
        slots = [s for part, _, _ in episodes for s in part]
        if len(slots) < 2:  # one alone is neither better nor worse than the others
            return
        candidates = torch.tensor(np.array([s.candidates for s in slots]), dtype=torch.float32)
        mask = torch.tensor(np.array([s.mask for s in slots]), dtype=torch.bool)
        states = torch.tensor(np.array([s.state for s in slots]), dtype=torch.float32)
        chosen = torch.tensor(np.array([s.chosen for s in slots]))[..., None]
        advantage = torch.tensor(np.concatenate([a for _, a, _ in episodes]), dtype=torch.float32)
        aim = torch.tensor(np.concatenate([v for _, _, v in episodes]), dtype=torch.float32)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        with torch.no_grad():
            before = _log_shares(self._actor, candidates, mask).gather(3, chosen)[..., 0]
        self._losses.clear()
        for _ in range(terms.rounds):
            order = torch.from_numpy(self._rng.permutation(len(slots)))
            for i in order.split(terms.batch):
                log_shares = _log_shares(self._actor, candidates[i], mask[i])
                ratio = (log_shares.gather(3, chosen[i])[..., 0] - before[i]).exp()
                good = advantage[i][:, None, None]
                held = ratio.clamp(1.0 - terms.clip, 1.0 + terms.clip)
                policy = -torch.minimum(ratio * good, held * good).mean()
                sure = (log_shares.exp() * log_shares.clamp(min=-30.0)).sum(dim=3).mean()
                critic = torch.nn.functional.mse_loss(self._critic(states[i])[:, 0], aim[i])
                loss = policy + terms.entropy * sure + 0.5 * critic
                self._optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*self._actor.values(), *self._critic.parameters()], 0.5)
                self._optimiser.step()
                self.updates += 1
                self._losses.append(float(loss.detach()))
