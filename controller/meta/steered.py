"""The fast path as the meta-controller sees and steers it: everything it may look at or change, and nothing else.

Changes go to the fast path's own knobs (risk, router, weights) and to the calibration of its performance model. Beside
them stand the masks with their time to live, the hints in force and the count of tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mypy_extensions import mypyc_attr

from controller.fast_path import FastPath
from controller.meta.calibration import Calibrated, ExecutorModel
from controller.meta.config import MetaConfig
from controller.meta.observations import Flight, Observation, Observations
from controller.routers.explore_risk import ExploreRisk
from controller.routers.router import Router
from controller.routers.sect import Sect
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PerformanceModel

RouterChoice = Literal["sect", "explore_risk"]


@dataclass(slots=True)
class Mask:
    """A device under hard avoidance until so many tasks have been dispatched."""

    until_task: int
    since_task: int


@mypyc_attr(allow_interpreted_subclasses=True)
class SteeredFastPath:
    """One fast path, seen and steered. Device: a node; law: (executor, model)."""

    def __init__(self, testbed: TestbedConfig, fast_path: FastPath, config: MetaConfig) -> None:
        self.fast_path = fast_path
        self.config = config
        self.calibration = Calibrated(fast_path.perf, config.suspect_sd)
        fast_path.perf = self.calibration
        self.tasks = 0
        """Dispatches so far."""
        self.now_s = 0.0
        self.hints: dict[str, tuple[str, ...]] = {n.id: () for n in testbed.nodes}
        self.masks: dict[str, Mask] = {}
        self.flights: dict[str, Flight] = {}
        self.observations = Observations()
        self.served_s: dict[str, float] = dict.fromkeys(self.hints, 0.0)
        """Device to seconds it has served since the start, by its own results."""
        self.executors = {n.id: tuple([e.id for e in testbed.executors_of(n.id)]) for n in testbed.nodes}
        self.device_of = {e.id: e.node for e in testbed.executors()}
        self.laws = {n.id: _laws(testbed, n.id) for n in testbed.nodes}
        """Device to model to executor."""
        router = fast_path.router
        self.router: RouterChoice = "explore_risk" if router.explores else "sect"
        self._routers: dict[str, Router] = {
            "sect": Sect(),
            "explore_risk": ExploreRisk(),
            self.router: router,
        }
        self.warmup_tasks = self._routers["explore_risk"].warmup_tasks
        """Length of the router's warm-up."""

    def take_over(self) -> None:
        """The fast path has gone on in the place of another: whatever was in flight there is another's dispatch."""
        view = self.fast_path.view
        self.now_s = max(self.now_s, view.now_s)
        for belief in view.beliefs.values():
            for request_id in belief.backlog.entries:
                self.flights[request_id] = Flight(self.device_of[belief.name], 0, hinted=False, mixed=True)

    # -- looking --------------------------------------------------------------------------------------------

    def state(self, device: str) -> str:
        """ready, away, or what telemetry says of its executors."""
        states = {self.fast_path.view.beliefs[e].state for e in self.executors[device]}
        return next(iter(states)) if len(states) == 1 else "mixed"

    def queued(self, device: str) -> int:
        """Requests this gateway has sent there and not had back."""
        return sum([len(self.fast_path.view.beliefs[e].backlog.entries) for e in self.executors[device]])

    def wait_s(self, device: str) -> float:
        """Believed seconds until the device would start another request; its longest queue counts."""
        beliefs = [self.fast_path.view.beliefs[e] for e in self.executors[device]]
        return max((b.backlog.wait_s(self.now_s) for b in beliefs), default=0.0)

    def has_safe_alternative(self, device: str, model: str) -> bool:
        """Whether some other present device that may serve the model is neither masked nor hinted."""
        pool = self.fast_path.view.pools[model]
        for name in pool.names[: pool.routable]:
            other = self.device_of[name]
            there = self.fast_path.view.beliefs[name].state == "ready"
            if there and other != device and other not in self.masks and not self.hints[other]:
                return True
        return False

    def has_alternatives(self, device: str) -> bool:
        """Whether every model it serves could be served elsewhere."""
        return all(self.has_safe_alternative(device, model) for model in self.laws[device])

    def results(self, device: str, model: str, window_s: float) -> list[Observation]:
        """Served results of a law in its present state (hinted or not) over a window."""
        return self.observations.of_law(device, model, self.now_s - window_s, bool(self.hints[device]))

    # -- changing -------------------------------------------------------------------------------------------

    def mask(self, device: str, ttl_tasks: int) -> None:
        """Avoid the device for the next `ttl_tasks` tasks; a mask that is there gets this time to live."""
        old = self.masks.get(device)
        since = self.tasks if old is None else old.since_task
        self.masks[device] = Mask(self.tasks + ttl_tasks, since)
        self._set_risky(device, True)

    def unmask(self, device: str) -> None:
        """Let the device be used again."""
        if self.masks.pop(device, None) is not None:
            self._set_risky(device, False)

    def put_mask_back(self, device: str, mask: Mask | None) -> None:
        """Undo of `mask` and `unmask`: what is left of the mask that was in force, at least one task; or none."""
        if mask is None:
            self.unmask(device)
        else:
            self.mask(device, max(1, mask.until_task - self.tasks))

    def ttl_left(self, device: str) -> int | None:
        """Tasks for which the device is still avoided; None: it is not."""
        mask = self.masks.get(device)
        return None if mask is None else mask.until_task - self.tasks

    def expired(self) -> list[str]:
        """Devices whose masks have covered their tasks."""
        return [device for device, mask in self.masks.items() if self.tasks >= mask.until_task]

    def set_router(self, router: RouterChoice) -> None:
        """Change the fast path's scoring policy; each keeps its own state."""
        self.router = router
        self.fast_path.router = self._routers[router]

    def set_weights(self, explore_weight_ms: float, risk_penalty_ms: float) -> None:
        """Change the weights of the score."""
        changes = {"explore_s": explore_weight_ms / 1000.0, "risk_penalty_s": risk_penalty_ms / 1000.0}
        self.fast_path.configure(self.fast_path.config.model_copy(update=changes))

    def weights_ms(self) -> tuple[float, float]:
        """Explore weight and risk penalty in force."""
        return self.fast_path.config.explore_s * 1000.0, self.fast_path.config.risk_penalty_s * 1000.0

    def set_factor(self, law: ExecutorModel, factor: float) -> None:
        """Change the calibration of one law, at once and for what is queued there too."""
        self.calibration.set_factor(law, factor)
        self.fast_path.relearned(*law)

    def refit(self, law: ExecutorModel, results: list[Observation]) -> None:
        """Fit one law from these results alone."""
        rows = [(o.key, o.x, o.service_s, o.ended_s) for o in results if o.service_s is not None]
        self.calibration.refit(law, rows)
        self.fast_path.relearned(*law)

    def refitted(self) -> list[str]:
        """The laws that have a model of their own, as `executor/model`."""
        return [f"{e}/{m}" for e, m in self._every_law() if (e, m) in self.calibration.refits]

    def put_refits_back(self, refits: dict[ExecutorModel, PerformanceModel]) -> None:
        """Undo of `refit`, for every law."""
        self.calibration.refits = refits
        for law in self._every_law():
            self.fast_path.relearned(*law)

    def _every_law(self) -> list[ExecutorModel]:
        return [(executor, model) for laws in self.laws.values() for model, executor in laws.items()]

    def suspect(self, device: str) -> None:
        """The device was away: its estimates count as uncertain until they are refreshed."""
        for model, executor in self.laws[device].items():
            self.calibration.suspect((executor, model), self.config.fresh_samples)
            self.fast_path.relearned(executor, model)

    def _set_risky(self, device: str, risky: bool) -> None:
        for executor in self.executors[device]:
            self.fast_path.set_risky(executor, risky)


def _laws(testbed: TestbedConfig, device: str) -> dict[str, str]:
    """Model to the executor of the device that serves it; the first, if several do."""
    found: dict[str, str] = {}
    for model in testbed.hosted(device):
        for executor in testbed.executors_of(device):
            if model in executor.models:
                found.setdefault(model, executor.id)
    return found
