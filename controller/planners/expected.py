"""The world a planner believes in: speeds as learned, what it expects to arrive, and what it sees waiting."""

from __future__ import annotations

from dataclasses import replace
from math import floor

from controller.capacity import TYPICAL_TOKENS
from controller.demand import Demand
from controller.objective import Objective
from controller.whatif import MOST_SLOTS, MOST_WAITING, BelievedWorld
from emulation.domain.cluster import TestbedConfig
from emulation.domain.slots import slot_start_s
from emulation.domain.snapshot import Arrived, ClusterSnapshot


def believed_world(
    testbed: TestbedConfig,
    learned: TestbedConfig,
    objective: Objective,
    snapshot: ClusterSnapshot,
    demand: Demand,
) -> BelievedWorld:
    """What a what-if world is built from: `learned` is the testbed with the speeds it is believed to have."""
    return BelievedWorld(
        learned,
        objective,
        arrivals_of(testbed, objective, snapshot, demand),
        backlog_of(testbed, snapshot),
        frozenset(v.id for v in snapshot.nodes if not v.available),
    )


def arrivals_of(
    testbed: TestbedConfig, terms: Objective, snapshot: ClusterSnapshot, demand: Demand
) -> tuple[Arrived, ...]:
    """The arrivals of the epoch before, once more; before there was one, the prior demand spread evenly."""
    seen = snapshot.window.arrivals
    if not seen:
        return _spread(testbed, terms, demand)
    output = _mean_outputs(snapshot)
    return tuple(
        a if a.model not in output else replace(a, known_output_tokens=output[a.model]) for a in seen
    )


def backlog_of(testbed: TestbedConfig, snapshot: ClusterSnapshot) -> tuple[Arrived, ...]:
    """What waits at the executors now, as requests that enter at their node at time 0."""
    waiting: list[Arrived] = []
    output = _mean_outputs(snapshot)
    by_prompts = {m.id: m.features == "prompts" for m in testbed.models}
    for view in snapshot.nodes:
        for executor in view.executors:
            for model, count in sorted(executor.queued.items()):
                left = executor.backlog_prompts.get(model, 0.0)
                for i in range(count):
                    prompts = max(1, floor(left * (i + 1) / count) - floor(left * i / count))
                    tokens = 0 if by_prompts[model] else int(TYPICAL_TOKENS[0])
                    size = output.get(model, None if by_prompts[model] else TYPICAL_TOKENS[1])
                    waiting.append(Arrived(0.0, model, view.id, prompts, tokens, size))
    return tuple(waiting)


def _mean_outputs(snapshot: ClusterSnapshot) -> dict[str, float]:
    """Model counted in tokens to mean output tokens of what finished."""
    tokens: dict[str, float] = {}
    requests: dict[str, int] = {}
    for (_, model, _), work in snapshot.window.work.items():
        if len(work.x) == 2:
            tokens[model] = tokens.get(model, 0.0) + work.x[1]
            requests[model] = requests.get(model, 0) + work.requests
    return {m: tokens[m] / requests[m] for m in tokens}


def _spread(testbed: TestbedConfig, terms: Objective, demand: Demand) -> tuple[Arrived, ...]:
    """Every model at every node in turn, at slot starts, sizes one to twice the mean in turn, as far as emulated."""
    most = MOST_WAITING // len(testbed.models)
    arrivals: list[Arrived] = []
    nodes = [n.id for n in testbed.nodes]
    for i, model in enumerate(testbed.models):
        mean = float(demand.prompts_per_request[i])
        per_slot = float(demand.prompts_per_s[i]) * terms.slot_s / mean
        by_prompts = model.features == "prompts"
        sizes = [max(1, round(mean * (0.25 + 0.5 * k))) for k in range(4)]
        sent = 0
        for slot in range(min(terms.epoch_slots, MOST_SLOTS)):
            begin_s = slot_start_s(slot, terms.slot_s)
            while sent < min(floor(per_slot * (slot + 1)), most):
                prompts = sizes[(sent * 7 + slot) % len(sizes)] if by_prompts else 1
                tokens = 0 if by_prompts else int(TYPICAL_TOKENS[0])
                output = None if by_prompts else TYPICAL_TOKENS[1]
                node = nodes[sent % len(nodes)]
                arrivals.append(Arrived(begin_s, model.id, node, prompts, tokens, output))
                sent += 1
    return tuple(sorted(arrivals, key=lambda a: a.t_s))
