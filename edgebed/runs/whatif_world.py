"""What-if: a world built from a planner's belief. `python -m edgebed.runs.whatif_world` answers on a connection.

The controllers below the planner are the very ones the planner works above; the world is the engine. Both are built
from what the question carries, and from nothing else.
"""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Sequence
from functools import lru_cache
from math import ceil, inf
from multiprocessing.connection import Connection
from typing import Any

from controller.whatif import MOST_WAITING, BelievedWorld
from edgebed.runs.whatif import LowerLayers
from edgebed.runs.whatif_fixed import FixedWorld
from edgebed.wiring.controllers import build_controllers, run_header
from edgebed.wiring.parts import find_scheme
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.events import Leave
from emulation.domain.ports import GlobalPlanner
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario, SlottedSource
from emulation.domain.slots import slot_start_s
from emulation.domain.snapshot import ClusterSnapshot
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.fixed_pods import Unsuited
from emulation.engine.run import Arrival, Simulation
from emulation.metrics.fairness import EpochResult, epoch_result_of, mean_of
from emulation.rng import stream
from workloads.lengths import gamma_noise

TAIL_SHARE = 0.6
"""Of the horizon: arrivals go on that long after it, uncounted, so that its last requests meet company."""
KEPT = 8
"""Beliefs that are kept with their draws."""


def forecasts(
    lower: LowerLayers, belief: BelievedWorld, policies: Sequence[MacroPolicy], draws: int, seed: int
) -> list[EpochResult]:
    """Emulate every policy on the same draws of noise; the mean over draws of each."""
    return _answered(pickle.dumps((lower, belief)), policies, draws, seed)


def _answered(world: bytes, policies: Sequence[MacroPolicy], draws: int, seed: int) -> list[EpochResult]:
    emulated = _emulated(world, draws, seed)
    return [mean_of(emulated.play(policy)) for policy in policies]


@lru_cache(KEPT)
def _emulated(world: bytes, draws: int, seed: int) -> _Emulated:
    """What one belief and its draws are played on. A planner asks about the same again and again."""
    lower, belief = pickle.loads(world)
    return _Emulated(lower, belief, [arrivals_of(belief, seed + i) for i in range(draws)])


class _Fixed(GlobalPlanner):
    """A planner that has decided."""

    def __init__(self, policy: MacroPolicy) -> None:
        self._choice = Choice(policy, "what if")

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        return self._choice


class _Emulated:
    """One belief, and the draws that every policy is played on: by the short engine where it fits."""

    def __init__(self, lower: LowerLayers, belief: BelievedWorld, draws: Sequence[list[Arrival]]) -> None:
        self._lower, self._belief, self._draws = lower, belief, draws
        self._scenario = scenario_of(lower, belief)
        try:
            self._fixed = FixedWorld.of(find_scheme(lower.scheme), belief, self._scenario)
            self._tasks = [self._fixed.tasks(arrivals) for arrivals in draws]
        except Unsuited:
            self._tasks = []

    def play(self, policy: MacroPolicy) -> list[EpochResult]:
        """What comes of a policy, in every draw."""
        try:
            if self._tasks:
                return [self._fixed.play(policy, tasks) for tasks in self._tasks]
        except Unsuited:
            pass
        return [emulate(self._lower, self._belief, self._scenario, policy, draw) for draw in self._draws]


def emulate(
    lower: LowerLayers,
    belief: BelievedWorld,
    scenario: Scenario,
    policy: MacroPolicy,
    arrivals: Sequence[Arrival],
) -> EpochResult:
    """What comes of a policy in one draw, by the general engine."""
    scheme = find_scheme(lower.scheme)
    controllers = build_controllers(scheme, scenario, 0, planner=_Fixed(policy))
    simulation = Simulation(
        scenario,
        run_header(scenario, scheme, 0, "virtual", identify=False),
        arrivals,
        WorldTruth(),
        controllers.fast_path,
        controllers.plane(),
    )
    simulation.run()
    return epoch_result_of(simulation.ledger.counted(), belief.objective.scale_s, belief.objective.weight)


def scenario_of(lower: LowerLayers, belief: BelievedWorld) -> Scenario:
    """The belief as a scenario of the engine. Nothing of it is checked again: it is made of what was, its arrivals are
    the belief's, and its source, a placeholder, asks for nothing."""
    terms = belief.objective
    horizon_slots = belief.slots
    return Scenario.model_construct(
        name="what-if",
        testbed=belief.testbed,
        workload=(SlottedSource(),),
        events=tuple(Leave(node=n, at_s=0.0, until_s=inf) for n in sorted(belief.absent)),
        slot_s=terms.slot_s,
        epoch_slots=2 * horizon_slots,
        slots=horizon_slots,
        tail_slots=ceil(TAIL_SHARE * horizon_slots),
        slot_order=terms.slot_order,
        deadline_s=terms.deadline_s,
        objective_weight=terms.weight,
        energy_weight=terms.energy_weight,
        service_cv=belief.service_cv,
        controllers={name: dict(given) for name, given in lower.controllers.items()},
    )


def arrivals_of(belief: BelievedWorld, seed: int) -> list[Arrival]:
    """Waiting work at 0, then the expected arrivals, then the first of them again until the end of the tail.

    Each of these has a stream of noise for every model, so that a request more or less leaves the noise of most others
    as it was.
    """
    terms = belief.objective
    horizon_s = slot_start_s(belief.slots, terms.slot_s)
    again = [(a, a.t_s + horizon_s, "again") for a in belief.arrivals if a.t_s < TAIL_SHARE * horizon_s]
    expected = [(a, a.t_s, "expected") for a in belief.arrivals if a.t_s < horizon_s]
    rows = [(a, 0.0, "waiting") for a in belief.backlog[:MOST_WAITING]] + expected + again
    rows.sort(key=lambda row: row[1])
    by_prompts = {m.id: m.features == "prompts" for m in belief.testbed.models}
    parts = ("waiting", "expected", "again")
    rng = {(p, m): stream(seed, f"what-if/noise/{p}/{m}") for p in parts for m in by_prompts}
    patience_s = inf if terms.deadline_s is None else terms.deadline_s
    arrivals = []
    for i, (one, t_s, part) in enumerate(rows):
        output = one.known_output_tokens
        request = Request(
            f"w{i:06d}", one.model, one.origin, t_s, t_s + patience_s, one.prompts, one.prompt_tokens, output
        )
        noise = gamma_noise(
            belief.service_cv, one.prompts if by_prompts[one.model] else 1, rng[part, one.model]
        )
        arrivals.append((request, RequestTruth.drawn(int(output or 0), noise)))
    return arrivals


def serve(questions: Connection[Any, Any]) -> None:
    """Answer questions until whoever asks them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            asked = questions.recv()
        except EOFError:
            return
        try:
            answer: Any = _answered(*asked)
        except Exception as error:  # the asker decides what to do without an answer
            answer = " ".join(
                f"{type(error).__name__}: {error}".split()
            )  # it becomes part of a decision's reason
        questions.send(answer)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
