"""The scheduling agent once more, for roles that never change: the table of a slot from a handful of numbers.

`AgentScheduler` looks at snapshots and believes testbeds; over the same roles, slot by slot, the same comes of sums and
products over a dozen pods. The formulas are those of `hosts.py`, `belief.py`, `demand.py` and `capacity.py`, in their
order; a test holds the tables of both to each other. For what-if alone: see `emulation/engine/fixed_roles.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heapreplace
from math import exp, log

from controller.belief import NOTICEABLE, BeliefConfig
from controller.capacity import ROUNDS, TYPICAL_TOKENS
from controller.demand import DemandPrior
from controller.objective import Objective
from emulation.domain.cluster import Mode, TestbedConfig

_LEAST_RATE = 1e-12


class Place:
    """A pod as the scheduler knows it: its law, what it believes of it, and what it can serve."""

    def __init__(
        self,
        testbed: TestbedConfig,
        node: str,
        model: int,
        mode: Mode,
        share: float,
        cpu_speed: float,
        prior_precision: float,
    ) -> None:
        """`share`: p of the policy; `cpu_speed`: of the cores that each pod on the node's CPU has."""
        self.model, self.share, self.on_gpu = model, share, mode == "gpu"
        theta: tuple[float, ...] = testbed.theta(node, testbed.models[model].id, mode) or (0.0,)
        self.by_prompts = testbed.models[model].features == "prompts"
        self.theta0 = theta[0]
        self.theta1 = theta[1] if len(theta) > 1 else 0.0
        self.node_speed = testbed.node(node).speed
        self.cpu_speed = cpu_speed
        self.mean, self.precision, self.noticed = 0.0, prior_precision, 0.0
        """Logarithm of true over profiled time: mean, precision, and the mean when laws were last taken anew."""
        self.told = [0.0, 0.0, 0.0, 0.0]
        self.rate = 0.0
        """Units per second on the whole resource, or on its share of the CPU."""
        self.capacity = 0.0
        self.prompts = 0.0
        """Waiting there, and assigned there so far this slot."""
        self.prompt_s = 0.0
        self.ready_in_s = 0.0

    def learn(self, worked: list[float], config: BeliefConfig) -> bool:
        """Take in what was finished here since the last look; whether the law has moved noticeably."""
        told, self.told = self.told, [worked[0], worked[1], worked[2], worked[3]]
        requests, work_s = worked[0] - told[0], worked[1] - told[1]
        expected_s = self.theta0 * (worked[2] - told[2])
        if not self.by_prompts:
            expected_s += self.theta1 * (worked[3] - told[3])
        if requests <= 0 or work_s <= 0 or expected_s <= 0:
            return False
        precision = requests / config.request_cv**2
        total = self.precision + precision
        self.mean += (log(work_s / expected_s) - self.mean) * precision / total
        self.precision = min(total, 1.0 / config.certain**2)
        return abs(self.mean - self.noticed) > NOTICEABLE

    def believe(self, factor: float) -> None:
        """Its law is so many times slower than profiled."""
        theta0 = self.theta0 * self.node_speed * factor / self.node_speed
        if self.by_prompts:
            rate = 1.0 / theta0
        else:
            theta1 = self.theta1 * self.node_speed * factor / self.node_speed
            rate = 1.0 / (theta0 * TYPICAL_TOKENS[0] + theta1 * TYPICAL_TOKENS[1])
        self.rate = rate if self.on_gpu else self.cpu_speed * rate

    def finish_with_s(self, more_prompts: float) -> float:
        """Seconds until what waits there, and so many prompts more, are done."""
        return self.ready_in_s + (self.prompts + more_prompts) * self.prompt_s


class GpuGroup:
    """The pods of one GPU and what each loses as others of them get busy."""

    def __init__(self, alone: float, drops: list[float], places: list[Place]) -> None:
        self.alone, self.drops, self.places = alone, drops, places

    def share(self, busy: list[float]) -> None:
        """Set the capacity of each, its models being busy such a share of the time."""
        load = 0.0
        for place in self.places:
            load += busy[place.model]
        for place in self.places:
            others = load - busy[place.model]
            speed = self.alone
            for s, drop in enumerate(self.drops):
                speed = speed - drop * min(max(others - s, 0.0), 1.0)
            place.capacity = place.rate * speed


class FixedRoleScheduler:
    """Tables under one policy, slot by slot from 0. `places`, hosts included, in inventory order."""

    def __init__(
        self,
        objective: Objective,
        prior: DemandPrior,
        origins: int,
        models: int,
        places: Sequence[Place],
        groups: Sequence[GpuGroup],
        hosts: Sequence[Sequence[int]],
    ) -> None:
        """`hosts`: per model the places it may be sent to, at least one."""
        self._objective, self._prior, self._origins, self._models = objective, prior, origins, models
        self._places, self._groups, self._hosts = list(places), list(groups), [list(h) for h in hosts]
        self._config = BeliefConfig()
        self._rates = [0.0] * models
        self._sizes = [0.0] * models
        for place in self._places:
            place.believe(1.0)

    def look(
        self,
        slot: int,
        backlog: list[float],
        ready_in_s: list[float],
        worked: list[list[float]],
        arrived: list[list[float]],
    ) -> list[int]:
        """The place of every (model, origin), model by model, as `emulation.engine.fixed_roles.Look` has it."""
        self._learn(worked)
        self._estimate(slot, arrived)
        self._share_out()
        for i, place in enumerate(self._places):
            place.prompts, place.ready_in_s = backlog[i], ready_in_s[i]
            place.prompt_s = 1.0 / place.capacity if place.capacity > 0 else self._objective.slot_s
        if slot > 0 and slot % self._objective.epoch_slots == 0:
            for place in self._places:
                place.told = [0.0, 0.0, 0.0, 0.0]
        return self._table(slot)

    def _learn(self, worked: list[list[float]]) -> None:
        news = False
        for place, of_place in zip(self._places, worked, strict=True):
            if place.learn(of_place, self._config):
                news = True
        if news:
            for place in self._places:
                place.noticed = place.mean
                place.believe(exp(place.mean))

    def _estimate(self, slot: int, arrived: list[list[float]]) -> None:
        """Demand per model, as `controller.demand.estimated` counts it."""
        terms, prior = self._objective, self._prior
        most = max([counted[1] for counted in arrived])
        if most <= 0:
            rate = prior.prompts_per_slot * self._origins / terms.slot_s
            self._rates, self._sizes = [rate] * self._models, [prior.prompts_per_request] * self._models
            return
        within = slot % terms.epoch_slots
        slots = within if within > 0 else min(slot, terms.epoch_slots)
        window_s = max(slots, 1) * terms.slot_s
        for m, counted in enumerate(arrived):
            self._rates[m] = max(counted[1], prior.least_share * most) / window_s
            size = counted[1] / max(counted[0], 1.0) if counted[0] > 0 else prior.prompts_per_request
            self._sizes[m] = max(size, 1e-9)

    def _share_out(self) -> None:
        """Capacity of every place under this demand: the fixed point of `RoleTable.capacity`."""
        busy = [0.0] * self._models
        for place in self._places:
            if not place.on_gpu:
                place.capacity = place.rate
        for _ in range(ROUNDS):
            for group in self._groups:
                group.share(busy)
            total = [0.0] * self._models
            for place in self._places:
                total[place.model] += place.capacity
            for m in range(self._models):
                share = min(1.0, self._rates[m] / max(total[m], _LEAST_RATE))
                busy[m] = share if total[m] > 0 else 0.0

    def _table(self, slot: int) -> list[int]:
        """Each origin in turn to the host where a request of mean size would finish first."""
        turn = slot % self._origins
        table = [0] * (self._models * self._origins)
        for m in range(self._models):
            hosts, size = self._hosts[m], self._sizes[m]
            ahead: list[tuple[float, float, int]] = []
            for i, number in enumerate(hosts):
                place = self._places[number]
                ahead.append((place.finish_with_s(size), -place.share, i))
            heapify(ahead)
            for k in range(self._origins):
                origin = (turn + k) % self._origins
                _, share, i = ahead[0]
                place = self._places[hosts[i]]
                place.prompts += size
                heapreplace(ahead, (place.finish_with_s(size), share, i))
                table[m * self._origins + origin] = hosts[i]
        return table
