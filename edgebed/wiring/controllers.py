"""Builds concrete objects from names: a scheme and a scenario become controllers, a run becomes a world.

The same `Controllers` object drives the discrete-event engine and, pickled to its actors, the live cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.agents.account import Accounts
from controller.agents.config import AgentsConfig
from controller.fast_path import FastPath
from controller.fast_path_config import FastPathConfig
from controller.layer_loops import DeploymentLoop, PlannerLoop, SchedulerLoop
from controller.meta.config import MetaConfig
from controller.meta.controller import MetaController
from controller.objective import Objective
from controller.perf.guarded import GuardedModel
from controller.routers.guarded import Guarded
from controller.routers.oracle import Oracle
from controller.routers.router import Router
from controller.schemes import Scheme
from edgebed.wiring.identity import edgebed_version, identity_of
from edgebed.wiring.loops import LoopBuilder
from edgebed.wiring.mirror import Mirror, MirroredFastPath
from edgebed.wiring.parts import PARTS, PERF_MODEL, ROUTER, explained, outside_config, travels
from edgebed.wiring.reasoners import make_reasoner, parameters, reasoner_label
from emulation.domain.ports import GlobalPlanner, OracleView, PerformanceModel
from emulation.domain.records import RECORD_VERSION, WITHOUT_TENANTS, RunHeader, World
from emulation.domain.scenario import Scenario, check_energy_weight
from emulation.engine.control import ControlPlane
from emulation.engine.gateways import Gateways
from emulation.engine.run import Simulation
from emulation.files import ConfigError, did_you_mean

REGISTRIES: Mapping[str, Mapping[str, Any]] = {
    **{part.noun: part.shipped for part in PARTS},
    "fast path": {"fast_path": FastPathConfig},
    "meta-controller": {"meta": MetaConfig},
    "reasoners of agents": {"agents": AgentsConfig},
}


@dataclass(frozen=True, slots=True)
class Controllers:
    """Everything that decides in one run; picklable."""

    scheme: Scheme
    fast_path: FastPath | MetaController | Gateways
    """What dispatches; the meta-controller itself where the scheme has one."""
    planner: PlannerLoop | None
    scheduler: SchedulerLoop | None
    deployers: dict[str, DeploymentLoop]

    def plane(self, delay_s: Callable[[str, float], float] | None = None) -> ControlPlane:
        """As the engine wants it."""
        return ControlPlane(self.planner, self.scheduler, self.deployers, delay_s, self.fast_path.meta)


def build_controllers(
    scheme: Scheme,
    scenario: Scenario,
    seed: int,
    oracle: OracleView | None = None,
    planner: GlobalPlanner | None = None,
    accounts: Accounts | None = None,
) -> Controllers:
    """Every controller of a scheme for one run. Raises `ConfigError` for parameters no controller knows.

    `oracle` is the truth of a virtual world; without it, an oracle scheme gets a mirror of the live one. `planner`
    takes the place of the scheme's own. `accounts`: of the run, where other schemes may decide in it, too.
    """
    check_parameters(scenario)
    accounts = accounts or Accounts()
    loops = LoopBuilder(scheme, scenario, seed, accounts.agents)
    path = _fast_path(scheme, scenario, seed, oracle)
    return Controllers(
        scheme=scheme,
        fast_path=_supervised(scheme, scenario, seed, path, accounts),
        planner=loops.planner() if planner is None else loops.planner_of(planner),
        scheduler=loops.scheduler(),
        deployers={n.id: loops.deployer(n.id) for n in scenario.testbed.nodes if n.hosting == "pods"},
    )


def in_virtual_gateways(
    controllers: Controllers,
    scenario: Scenario,
    seed: int,
    oracle: OracleView | None,
    accounts: Accounts,
    gateway_of: Mapping[str, int] | None = None,
) -> Controllers:
    """The controllers with a fast path for each of the scenario's gateways; live, those are processes of their own.

    `accounts`: as of `build_controllers`. `gateway_of`: request id to the gateway it comes to, where that is known.
    """
    live = scenario.live
    if live.gateways == 1:
        return controllers
    scheme = controllers.scheme
    more = [
        _supervised(scheme, scenario, seed, _fast_path(scheme, scenario, seed, oracle), accounts)
        for _ in range(1, live.gateways)
    ]
    paths = (controllers.fast_path, *more)
    return replace(controllers, fast_path=Gateways(paths, live.gateway_news_s * live.speedup, gateway_of))


def run_header(
    scenario: Scenario, scheme: Scheme, seed: int, world: World, identify: bool = True
) -> RunHeader:
    """What a record and every table state about a run; `identify`: with the digests, which a what-if does not need."""
    live = scenario.live
    identity = identity_of(scenario) if identify else None
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
        edgebed=edgebed_version(),
        scenario_digest=None if identity is None else identity.scenario,
        testbed_digest=None if identity is None else identity.testbed,
        gateways=live.gateways,
        version=RECORD_VERSION if world == "live" or scenario.has_tenants else WITHOUT_TENANTS,
    )


class OracleTruth:
    """The `OracleView` of a simulation: the oracle is built before its world is, and bound once there is one."""

    service_s: Callable[[str, str], float]
    backlog_s: Callable[[str], float]
    stutters: Callable[[str, str], bool]

    def bind(self, simulation: Simulation) -> None:
        """Read from this simulation from now on."""
        self.service_s, self.backlog_s = simulation.true_service_s, simulation.true_backlog_s
        self.stutters = simulation.stutters


def check_parameters(scenario: Scenario) -> None:
    """Raise `ConfigError` for a `controllers` entry that no registry has, or with a parameter that is wrong.

    Whether a scheme that runs uses it or not. Of a name in two registries, one must take the parameters; what a run
    uses is checked again when it is built.
    """
    known: dict[str, list[Any]] = {}
    for registry in REGISTRIES.values():
        for name, kind in registry.items():
            known.setdefault(name, []).append(getattr(kind, "Config", kind))
    for name in scenario.controllers:
        if name not in known and (outside := outside_config(name)) is not None:
            known[name] = [outside]
        if name not in known:
            raise ConfigError(
                f"scenario {scenario.name!r}: controllers names unknown {name!r}; {did_you_mean(name, sorted(known))}"
            )
        _one_takes_it(known[name], name, scenario)


def _one_takes_it(configs: Sequence[Any], name: str, scenario: Scenario) -> None:
    for config in configs[:-1]:
        try:
            parameters(config, name, scenario)
        except ConfigError:
            continue
        return
    parameters(configs[-1], name, scenario)


def _supervised(
    scheme: Scheme, scenario: Scenario, seed: int, fast_path: FastPath, accounts: Accounts
) -> FastPath | MetaController:
    """The fast path, with its scheme's meta-controller round it if there is one."""
    if scheme.meta is None:
        return fast_path
    config = parameters(MetaConfig, "meta", scenario)
    reasoner = make_reasoner(config, scheme, seed, accounts.meta)
    return MetaController(scenario.testbed, fast_path, reasoner, config)


def _fast_path(scheme: Scheme, scenario: Scenario, seed: int, oracle: OracleView | None) -> FastPath:
    perf = _perf_model(scheme, scenario)
    path_config = _path_config(scheme, scenario)
    if scheme.router == "oracle" and oracle is None:
        mirror = Mirror(scenario, seed)
        router = _router(scheme, scenario, seed, mirror)
        return MirroredFastPath(mirror, scenario.testbed, router, perf, path_config)
    router = _router(scheme, scenario, seed, oracle)
    if not (scheme.router in ROUTER.shipped and scheme.perf in PERF_MODEL.shipped):
        with explained(ROUTER, scheme.router):
            router = Guarded(router, perf)
    return FastPath(scenario.testbed, router, perf, path_config)


def _path_config(scheme: Scheme, scenario: Scenario) -> FastPathConfig:
    """Raises `ConfigError` where energy is to count and the testbed does not say how much there is of it."""
    config = parameters(FastPathConfig, "fast_path", scenario, scheme.fast_path_params)
    if not config.energy_s_per_j:
        return config.model_copy(update={"energy_s_per_j": Objective.of(scenario).energy_s_per_j})
    try:
        check_energy_weight(config.energy_s_per_j, 1.0, scenario.testbed)
    except ValueError as error:
        raise ConfigError(f"controllers.fast_path: {str(error).replace('weight', 's_per_j')}") from error
    return config


def _router(scheme: Scheme, scenario: Scenario, seed: int, truth: OracleView | None) -> Router:
    """The scheme's router; `truth` is for the oracle only."""
    name, kind = scheme.router, ROUTER.find(scheme.router)
    defaults = dict(scheme.router_params)
    if "slot_s" in kind.Config.model_fields:
        defaults["slot_s"] = scenario.slot_s
    config: Any = parameters(kind.Config, name, scenario, defaults)
    if name == "oracle" and truth is not None:
        return Oracle(config, seed, truth)
    with explained(ROUTER, name):
        router: Router = kind(config, seed)
        travels(ROUTER, name, router)
    return router


def _perf_model(scheme: Scheme, scenario: Scenario) -> PerformanceModel:
    name, kind = scheme.perf, PERF_MODEL.find(scheme.perf)
    config: Any = parameters(kind.Config, name, scenario)
    with explained(PERF_MODEL, name):
        model: PerformanceModel = kind(scenario.testbed, config)
        travels(PERF_MODEL, name, model)
        return model if name in PERF_MODEL.shipped else GuardedModel(scenario.testbed, model)
