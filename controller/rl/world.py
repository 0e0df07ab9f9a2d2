"""What the trainers ask of the environment (`edgebed/rl/env.py`), and how both tiers act in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from controller.rl.features import DeployerFeatures, Floats, Ints
from controller.rl.nets import Weights, pattern_values, route_shares, router_scores

ROUTES, DEPLOYMENT = 0, 1
"""Whose turn it is."""


class SlotWorld(Protocol):
    """An environment of slots: routers choose, then deployers. All agents of a kind see the same arrays."""

    possible_agents: list[str]
    agents: list[str]
    nodes: dict[str, DeployerFeatures]

    def reset(self, seed: int | None = None) -> Any: ...

    def step(self, actions: Mapping[str, Any]) -> Any: ...

    def state(self) -> Floats: ...

    @property
    def turn(self) -> int: ...

    @property
    def destinations(self) -> tuple[Floats, Any]: ...

    @property
    def looks(self) -> dict[str, tuple[Floats, Floats]]: ...

    @property
    def backlogs(self) -> dict[str, float]: ...

    @property
    def empty(self) -> Set[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One episode as it was told of, for progress and curve."""

    tier: str
    """Who learned in it."""
    number: int
    reward: float
    """Mean of eq. 20 over its slots."""
    slots: int
    """Slots played."""
    loss: float
    """Mean loss of the updates since the last one told of; 0 before there were any."""


def route(weights: Weights, world: SlotWorld, rng: np.random.Generator) -> tuple[dict[str, Ints], Ints]:
    """Draw every router's destinations: as actions, and as one array (O, M)."""
    candidates, mask = world.destinations
    shares = route_shares(router_scores(weights, candidates, np.matmul), mask)
    u = rng.random(shares.shape[:2])
    chosen = (np.cumsum(shares, axis=2) <= u[:, :, None]).sum(axis=2)
    chosen = np.minimum(chosen, shares.shape[2] - 1)
    routers = [a for a in world.possible_agents if a.startswith("router:")]
    return {agent: chosen[o] for o, agent in enumerate(routers)}, chosen


def deploy(weights: Weights, world: SlotWorld, rng: np.random.Generator, epsilon: float) -> dict[str, int]:
    """Every deployer's pattern: of the highest value, or with chance `epsilon` any."""
    actions: dict[str, int] = {}
    for node, features in world.nodes.items():
        if rng.random() < epsilon:
            actions[f"deployer:{node}"] = int(rng.integers(len(features.patterns)))
        else:
            values = pattern_values(weights, *world.looks[node], features.modes, np.matmul)
            actions[f"deployer:{node}"] = int(values.argmax())
    return actions


def settled(infos: Mapping[str, Mapping[str, Any]]) -> Mapping[int, float]:
    """Slot to reward, of the slots whose last request has ended in this step."""
    of_one: Mapping[int, float] = next(iter(infos.values()))["settled"]
    return of_one


def known_rewards(rewards: Mapping[int, float], empty: Set[int], slots: int, level: float) -> list[float]:
    """Rewards of the slots 0 .. `slots` - 1 less `level`, up to the first whose requests have not all ended.

    Slots in which no request came (`empty`) count as 0: what was decided there shows in the slots after them. An
    episode without any reward tells nothing, and has none here.
    """
    known: list[float] = []
    for slot in range(slots if rewards else 0):
        if slot in rewards:
            known.append(rewards[slot] - level)
        elif slot in empty:
            known.append(0.0)
        else:
            break
    return known


def shaped(rewards: Sequence[float], potentials: Sequence[float], gamma: float) -> Floats:
    """r_t + gamma phi_(t+1) - phi_t, (T,); `potentials` has one more than there are rewards.

    What is added depends on states alone and adds up to nothing, so the best policy stays the best (Ng, Harada and
    Russell 1999): work that is done is rewarded at once, not a deadline later.
    """
    phi = np.asarray(potentials)
    gains: Floats = np.asarray(rewards) + gamma * phi[1 : len(rewards) + 1] - phi[: len(rewards)]
    return gains
