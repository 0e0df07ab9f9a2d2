"""Builds concrete objects from names: a scheme and a scenario become controllers, a run becomes a world.

The same `Controllers` object drives the discrete-event engine and, pickled to its actors, the live cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from controller.agents.config import ROLES, AgentsConfig
from controller.agents.reasoner import RULES
from controller.deployers import DEPLOYERS
from controller.fast_path import FastPath, FastPathConfig
from controller.loop import DeploymentLoop, LoopConfig, PlannerLoop, SchedulerLoop
from controller.meta.config import MetaConfig
from controller.meta.controller import MetaController
from controller.objective import Objective
from controller.perf import PERF_MODELS
from controller.planners import PLANNERS
from controller.routers import ROUTERS
from controller.schedulers import SCHEDULERS
from controller.schemes import SCHEMES, Scheme
from edgebed.runs.whatif import LowerLayers, WhatIfProcess
from edgebed.wiring.loops import LoopBuilder
from edgebed.wiring.mirror import Mirror, MirroredFastPath
from edgebed.wiring.reasoners import agents_of, make_reasoner, reasoner_label, validated
from emulation.domain.ports import GlobalPlanner, PromptScheduler
from emulation.domain.records import RunHeader, World
from emulation.domain.scenario import Scenario
from emulation.engine.control import ControlPlane
from emulation.engine.run import Simulation
from emulation.files import ConfigError, did_you_mean

REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    "router": ROUTERS,
    "performance model": PERF_MODELS,
    "deployer": DEPLOYERS,
    "scheduler": SCHEDULERS,
    "planner": PLANNERS,
    "fast path": {"fast_path": FastPathConfig},
    "meta-controller": {"meta": MetaConfig},
    "reasoners of agents": {"agents": AgentsConfig},
}


@dataclass(frozen=True, slots=True)
class Controllers:
    """Everything that decides in one run; picklable."""

    scheme: Scheme
    fast_path: FastPath | MetaController
    """What dispatches; the meta-controller itself where the scheme has one."""
    planner: PlannerLoop | None
    scheduler: SchedulerLoop | None
    deployers: dict[str, DeploymentLoop]

    def plane(self, delay_s: Callable[[str, float], float] | None = None) -> ControlPlane:
        """As the engine wants it."""
        meta = self.fast_path if isinstance(self.fast_path, MetaController) else None
        return ControlPlane(self.planner, self.scheduler, self.deployers, delay_s, meta)


def find_scheme(name: str) -> Scheme:
    """The scheme of this name. Raises `ConfigError` naming the known ones."""
    if name not in SCHEMES:
        raise ConfigError(f"unknown scheme {name!r}; {did_you_mean(name, list(SCHEMES))}")
    return SCHEMES[name]


def build_controllers(
    scheme: Scheme,
    scenario: Scenario,
    seed: int,
    oracle: OracleTruth | None = None,
    planner: GlobalPlanner | None = None,
) -> Controllers:
    """Every controller of a scheme for one run. Raises `ConfigError` for parameters no controller knows.

    `oracle` is the truth of a virtual world; without it, an oracle scheme gets a mirror of the live one. `planner`
    takes the place of the scheme's own.
    """
    check_parameters(scenario)
    testbed = scenario.testbed
    objective = Objective.of(scenario)
    loops = LoopBuilder(scheme, scenario, seed, agents_of(scenario), objective)
    what_if = WhatIfProcess(LowerLayers(scheme.name, _by_rules(scenario.controllers)))
    fixed = None if planner is None else PlannerLoop(testbed, planner, seed, LoopConfig(scheme.reasoner))
    return Controllers(
        scheme=scheme,
        fast_path=_supervised(scheme, scenario, seed, _fast_path(scheme, scenario, seed, oracle)),
        planner=fixed or loops.planner(lambda: _planner(scheme, scenario, seed, objective, what_if), what_if),
        scheduler=loops.scheduler(lambda: _scheduler(scheme, scenario, seed, objective)),
        deployers={
            node.id: loops.deployer(node.id, partial(_deployer, scheme, scenario, node.id, seed))
            for node in testbed.nodes
            if node.hosting == "pods"
        },
    )


def run_header(scenario: Scenario, scheme: Scheme, seed: int, world: World) -> RunHeader:
    """What a record and every table state about a run."""
    live = scenario.live
    return RunHeader(
        scenario=scenario.name,
        scheme=scheme.name,
        seed=seed,
        world=world,
        reasoner=reasoner_label(scheme, scenario),
        lifecycle=live.lifecycle if world == "live" else "warm",
        speedup=live.speedup if world == "live" else 1.0,
        models=tuple(m.id for m in scenario.testbed.models),
        slot_s=scenario.slot_s,
        slots=scenario.slots,
        epoch_slots=scenario.epoch_slots,
        horizon_s=scenario.horizon_s,
        deadline_s=scenario.deadline_s,
        objective_weight=scenario.objective_weight,
    )


class OracleTruth:
    """Hands the present truth of a simulation to the oracle, and to nothing else; bound once the world exists."""

    def __init__(self) -> None:
        self._simulation: Simulation | None = None

    def bind(self, simulation: Simulation) -> None:
        """Read from this simulation from now on."""
        self._simulation = simulation

    def service_s(self, executor: str, request_id: str) -> float:
        """True service time of a request on an executor under the present conditions, seconds."""
        assert self._simulation is not None
        return self._simulation.true_service_s(executor, request_id)

    def backlog_s(self, executor: str) -> float:
        """True remaining work of an executor under the present conditions, seconds."""
        assert self._simulation is not None
        return self._simulation.true_backlog_s(executor)

    def stutters(self, executor: str, model: str) -> bool:
        """Whether a request dispatched there now would stutter (E3 eq. 3)."""
        assert self._simulation is not None
        return self._simulation.stutters(executor, model)


def check_parameters(scenario: Scenario) -> None:
    """Raise `ConfigError` for a `controllers` entry that no registry has."""
    known = {name for registry in REGISTRIES.values() for name in registry}
    for name in scenario.controllers:
        if name not in known:
            raise ConfigError(
                f"scenario {scenario.name!r}: controllers names unknown {name!r}; {did_you_mean(name, sorted(known))}"
            )


def _config(
    registry: Mapping[str, Any], name: str, scenario: Scenario, defaults: Mapping[str, Any] | None = None
) -> Any:
    """The parameters of a controller: its scheme's defaults under the scenario's."""
    return _validated(registry[name].Config, name, scenario, defaults)


def _validated(
    cls: type[BaseModel], name: str, scenario: Scenario, defaults: Mapping[str, Any] | None = None
) -> BaseModel:
    given = {**(defaults or {}), **scenario.controllers.get(name, {})}
    if name == "given" and scenario.plan is not None:
        given = {"plan": scenario.plan, **given}
    return validated(cls, name, scenario, given)


def _by_rules(controllers: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The controllers' parameters, with rules in every role: nothing in a what-if world asks a model."""
    agents: dict[str, Any] = {**controllers.get("agents", {})}
    agents.update((role, RULES) for role in ROLES)
    return {**controllers, "agents": agents}


def _planner(
    scheme: Scheme, scenario: Scenario, seed: int, objective: Objective, what_if: WhatIfProcess
) -> GlobalPlanner | None:
    """The planner of a scheme, with a what-if process that knows the layers below it and no scenario."""
    name = scheme.planner_for(scenario)
    if name is None:
        return None
    try:
        return PLANNERS[name](
            scenario.testbed, _config(PLANNERS, name, scenario), seed, objective, what_if=what_if
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"scenario {scenario.name!r}: planner {name}: {error}") from error


def _scheduler(scheme: Scheme, scenario: Scenario, seed: int, objective: Objective) -> PromptScheduler | None:
    name = scheme.scheduler
    if name is None:
        return None
    defaults = {"mode": agents_of(scenario).mode} if name == "agent" else None
    config = _config(SCHEDULERS, name, scenario, defaults)
    found: PromptScheduler = SCHEDULERS[name](scenario.testbed, config, seed, objective)
    return found


def _deployer(scheme: Scheme, scenario: Scenario, node_id: str, seed: int) -> Any:
    config = _config(DEPLOYERS, scheme.deployer, scenario)
    try:
        return DEPLOYERS[scheme.deployer](scenario.testbed, node_id, config, seed)
    except ValueError as error:
        raise ConfigError(f"scenario {scenario.name!r}: deployer {scheme.deployer}: {error}") from error


def _supervised(
    scheme: Scheme, scenario: Scenario, seed: int, fast_path: FastPath
) -> FastPath | MetaController:
    """The fast path, with its scheme's meta-controller round it if there is one."""
    if scheme.meta is None:
        return fast_path
    config = _validated(MetaConfig, "meta", scenario)
    assert isinstance(config, MetaConfig)
    return MetaController(scenario.testbed, fast_path, make_reasoner(config, scheme, seed), config)


def _fast_path(scheme: Scheme, scenario: Scenario, seed: int, oracle: OracleTruth | None) -> FastPath:
    defaults = dict(scheme.router_params)
    if "slot_s" in ROUTERS[scheme.router].Config.model_fields:
        defaults["slot_s"] = scenario.slot_s
    given = (_config(ROUTERS, scheme.router, scenario, defaults), seed)
    mirror = Mirror(scenario, seed) if scheme.router == "oracle" and oracle is None else None
    truth = oracle or mirror
    if scheme.router == "oracle" and truth is not None:
        router = ROUTERS["oracle"](
            *given,
            true_service_s=truth.service_s,
            true_backlog_s=truth.backlog_s,
            stutters=truth.stutters,
        )
    else:
        router = ROUTERS[scheme.router](*given)
    perf = PERF_MODELS[scheme.perf](scenario.testbed, _config(PERF_MODELS, scheme.perf, scenario))
    config = _validated(FastPathConfig, "fast_path", scenario)
    assert isinstance(config, FastPathConfig)
    parts = (scenario.testbed, router, perf, config)
    return FastPath(*parts) if mirror is None else MirroredFastPath(mirror, *parts)
