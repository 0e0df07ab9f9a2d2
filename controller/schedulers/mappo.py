"""Routing by MAPPO (MA section VI, the DRL baseline): one trained agent per node sends what enters there."""

from __future__ import annotations

import numpy as np

from controller.objective import Objective
from controller.rl.config import TrainedConfig
from controller.rl.features import Floats, Ints, RouterFeatures, Terms
from controller.rl.nets import route_shares, router_scores
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot
from emulation.rng import stream


class MappoScheduler(PromptScheduler):
    """Draws every origin's destinations for the slot from the trained policy, whose weights all origins share.

    The policy is one of chances: agents that all took the likeliest node would meet there. A draw depends on (seed,
    slot) and what is seen, not on draws before it. A macro policy is not looked at, nor are links.
    Raises `ValueError` at construction for a checkpoint that cannot be used.
    """

    Config = TrainedConfig

    def __init__(
        self, testbed: TestbedConfig, config: TrainedConfig, seed: int, objective: Objective
    ) -> None:
        self._seed = seed
        self._features = RouterFeatures(testbed, Terms(objective.slot_s, objective.scale_s))
        self._weights = config.read().weights

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """A destination for every origin and model."""
        features = self._features
        scores = router_scores(self._weights, features.candidates(snapshot))
        shares = route_shares(scores, features.mask(snapshot))
        drawn = drawn_from(shares, self._seed, snapshot.slot)
        table = {
            (origin, model): features.nodes[drawn[o, m]]
            for o, origin in enumerate(features.nodes)
            for m, model in enumerate(features.models)
        }
        likeliest = float(shares.max(axis=2).mean())
        return Choice(
            RouteGuide(table=table), f"drawn from the trained policy, mean largest share {likeliest:.2f}"
        )


def drawn_from(shares: Floats, seed: int, slot: int) -> Ints:
    """(O, M) node indices drawn from (O, M, N) probabilities, by (seed, slot) alone."""
    u = stream(seed, f"scheduler:mappo:{slot}").random(shares.shape[:2])
    below = np.cumsum(shares, axis=2) <= u[:, :, None]
    likely = shares.shape[2] - 1 - (shares[:, :, ::-1] > 0).argmax(axis=2)
    drawn: Ints = np.minimum(below.sum(axis=2), likely)
    return drawn
