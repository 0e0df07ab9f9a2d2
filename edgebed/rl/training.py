"""The training of the DRL baseline: both tiers take turns, each against the other as it stands.

The second paper trains both at once and its baseline never converged: each tier learns against one that moves. Here
one tier learns while the other's weights stay, so each learns in a world that keeps still.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from controller.rl.checkpoint import Checkpoint, Trained, write_checkpoint
from controller.rl.dqn import DqnSettings, DqnTrainer
from controller.rl.features import Floats
from controller.rl.mappo import MappoSettings, MappoTrainer, one_thread
from controller.rl.nets import random_weights
from controller.rl.world import Episode
from edgebed.rl.env import TestbedEnv
from edgebed.wiring.identity import edgebed_version
from emulation.domain.mistakes import ConfigError
from emulation.domain.scenario import Scenario
from emulation.recording import write_whole

FIRST_WORLD = 1_000_000
"""Seed of the first scenario that is played; comparisons begin at 0, so nothing that is evaluated was trained on."""
TURNS = (("deployment", 0.35), ("routing", 0.4), ("deployment", 0.1), ("routing", 0.15))
"""Who learns, one after the other, and the share of the episodes each turn has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One point of the learning curve: an episode of training, exploration included."""

    episode: int
    tier: str
    """Who learned in it."""
    reward: float
    """Mean of eq. 20 over its slots."""
    objective: float
    """J of the whole episode (MA eq. 10); lower is better."""
    latency_s: float
    """Mean over requests served in time."""
    fairness_norm: float
    success: float
    """Share of all requests served in time."""
    steps: int
    """Slots played so far."""
    cpu_s: float
    """Processor seconds so far."""
    wall_s: float


@dataclass(slots=True)
class Training:
    """What has been learned so far, and what it took."""

    scenario: Scenario
    episodes: int
    seed: int
    weights: dict[str, Floats] = field(default_factory=dict)
    curve: list[Played] = field(default_factory=list)

    def checkpoint(self) -> Checkpoint:
        """Weights as they are now, with where they come from."""
        last = self.curve[-1] if self.curve else None
        about = Trained(
            scenario=self.scenario.name, seed=self.seed, first_world=FIRST_WORLD, episodes=len(self.curve),
            steps=last.steps if last else 0, cpu_s=round(last.cpu_s, 1) if last else 0.0,
            wall_s=round(last.wall_s, 1) if last else 0.0, edgebed=edgebed_version(),
        )  # fmt: skip
        return Checkpoint(self.weights, about)


def train(training: Training, tell: Callable[[Played], None]) -> None:
    """Train to the end, or until `tell` raises `KeyboardInterrupt`; `training` has what was learned up to then.

    One thread computes the networks. Raises `ConfigError` for a scenario that cannot be learned on, also where that
    shows only once a tier has had its first turn.
    """
    one_thread()
    env = TestbedEnv(training.scenario)
    began_cpu_s, began_s = time.process_time(), time.monotonic()
    training.weights = dict(random_weights(training.seed))
    dqn = DqnTrainer(env, training.weights, DqnSettings(), training.seed)
    mappo = MappoTrainer(env, training.weights, MappoSettings(), training.seed)

    def told(episode: Episode) -> None:
        assert env.run is not None
        result, counts = env.run.tally.result(), env.run.tally.all.values()
        asked, served = sum(c.asked for c in counts), sum(c.served for c in counts)
        steps = episode.slots + (training.curve[-1].steps if training.curve else 0)
        training.curve.append(
            Played(
                episode=len(training.curve),
                tier=episode.tier,
                reward=episode.reward,
                objective=result.objective,
                latency_s=sum(c.latency_s for c in counts) / max(served, 1),
                fairness_norm=result.fairness_norm,
                success=served / max(asked, 1),
                steps=steps,
                cpu_s=time.process_time() - began_cpu_s,
                wall_s=time.monotonic() - began_s,
            )  # fmt: skip
        )
        tell(training.curve[-1])

    try:
        for tier, share in TURNS:
            learner: DqnTrainer | MappoTrainer = dqn if tier == "deployment" else mappo
            count = max(1, round(share * training.episodes))
            learner.train(training.weights, count, FIRST_WORLD + len(training.curve), told)
            if not learner.updates:
                raise ConfigError(_nothing_learned(training.scenario, tier, count))
    finally:
        env.close()


def _nothing_learned(scenario: Scenario, tier: str, episodes: int) -> str:
    return (
        f"scenario {scenario.name!r}: slots {scenario.slots}: {tier} learned nothing in {episodes} episodes, as too few"
        " slots in a row have rewards; take more slots, or a workload whose requests come in more of them and end"
    )


def write_learned(training: Training, folder: Path) -> list[Path]:
    """Write `drl.npz` (weights) and `curve.json` (figures), each whole or not at all, in place of earlier ones.

    Returns them. Raises `OSError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights, figures = folder / "drl.npz", folder / "curve.json"
    write_checkpoint(weights, training.checkpoint())
    write_whole(figures, orjson.dumps(training.curve, option=orjson.OPT_INDENT_2))
    return [weights, figures]


def write_training(training: Training, folder: Path) -> list[Path]:
    """As `write_learned`, and `curve.png` (a plot)."""
    from edgebed.rl.curve import draw

    files = [*write_learned(training, folder), folder / "curve.png"]
    write_whole(files[-1], draw(training.curve))
    return files
