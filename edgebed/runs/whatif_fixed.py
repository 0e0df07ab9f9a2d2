"""What-if worlds of the one kind that planners ask for most: MA's lower layers, following a plan that does not change.

Builds the short engine (`emulation/engine/fixed_roles.py`) and the short scheduler (`controller/schedulers/
fixed_roles.py`) for a belief and a policy, where they fit; the general ones play what does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.agents.config import AgentsConfig
from controller.belief import BeliefConfig
from controller.demand import DemandPrior
from controller.objective import Objective
from controller.schedulers.agent import SchedulerConfig
from controller.schedulers.fixed_roles import FixedRoleScheduler, GpuGroup, Place
from controller.schemes import Scheme
from controller.whatif import BelievedWorld
from edgebed.wiring.reasoners import parameters
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import pack_gpus, policy_violations
from emulation.domain.scenario import Scenario
from emulation.engine.fixed_pods import Host, Pod, Task, Unsuited
from emulation.engine.fixed_roles import FixedRoles
from emulation.engine.run import Arrival
from emulation.metrics.fairness import Counted, EpochResult, epoch_result_of

Role = list[tuple[int, Mode]]
"""Models a node hosts, by their place in the inventory, and in which mode."""


@dataclass(frozen=True, slots=True)
class FixedWorld:
    """A belief whose plans can be played by the short engine."""

    belief: BelievedWorld
    scenario: Scenario
    """The belief as a scenario of the engine."""
    prior: DemandPrior

    @classmethod
    def of(cls, scheme: Scheme, belief: BelievedWorld, scenario: Scenario) -> FixedWorld:
        """Raises `Unsuited` where the lower layers or the testbed want more than the short engine has."""
        layers = (scheme.router, scheme.scheduler, scheme.deployer, scheme.meta)
        if layers != ("table", "agent", "agent", None):
            raise Unsuited(f"scheme {scheme.name}")
        bed = scenario.testbed
        mode = parameters(AgentsConfig, "agents", scenario).mode
        scheduler = parameters(SchedulerConfig, "agent", scenario, {"mode": mode})
        if scheduler.mode != "table":
            raise Unsuited("a scheduler that only guides")
        if any(n.hosting != "pods" for n in bed.nodes):
            raise Unsuited("devices")
        if any(entry.batch.width > 1 for entry in bed.profile):
            raise Unsuited("batches")
        if any(link.latency_s > 0 for link in bed.links):
            raise Unsuited("links that take time")
        return cls(belief, scenario, scheduler.prior)

    def tasks(self, arrivals: Sequence[Arrival]) -> list[Task]:
        """The requests of one draw, to be played under any number of plans. Raises `Unsuited` for strangers."""
        bed = self.scenario.testbed
        models = {m.id: i for i, m in enumerate(bed.models)}
        by_prompts = [m.features == "prompts" for m in bed.models]
        origins = {n.id: i for i, n in enumerate(bed.nodes)}
        tasks: list[Task] = []
        for request, truth in arrivals:
            if request.model not in models or request.origin not in origins:
                raise Unsuited(f"requests for {request.model} from {request.origin}")
            model = models[request.model]
            tokens = None if by_prompts[model] else (float(request.prompt_tokens), float(truth.output_tokens))
            tasks.append(
                Task(
                    model, origins[request.origin], request.arrival_s, request.deadline_s, request.prompts,
                    tokens, truth.noise, request.arrival_s < self.scenario.horizon_s,
                )
            )  # fmt: skip
        return tasks

    def play(self, policy: MacroPolicy, tasks: list[Task]) -> EpochResult:
        """What comes of a policy. Raises `Unsuited` for one that the short engine cannot play."""
        scenario, bed = self.scenario, self.scenario.testbed
        if policy.admission_limit_s or policy_violations(bed, policy):
            raise Unsuited("admission limits, or a policy that is not valid")
        roles = [_role(bed, policy, n.id) for n in bed.nodes]
        hosts, pods = self._hosts(roles)
        world = FixedRoles(bed, hosts, pods, tasks, self._scheduler(policy, roles).look)
        world.run(scenario.slot_s, scenario.epoch_slots, scenario.agents_await_dispatch, scenario.give_up_s)
        figures = zip(world.asked, world.served, world.latency_s, world.prompts, strict=True)
        counts = {m.id: Counted(*counted) for m, counted in zip(bed.models, figures, strict=True)}
        return epoch_result_of(counts, self.belief.objective.scale_s, self.belief.objective.weight)

    def _hosts(self, roles: Sequence[Role]) -> tuple[list[Host], list[Pod]]:
        """Nodes that are there with their pods, and all pods that requests may be sent to, in inventory order."""
        bed = self.scenario.testbed
        hosts: list[Host] = []
        routable: list[Pod] = []
        for spec, role in zip(bed.nodes, roles, strict=True):
            executors = {e.models[0]: e for e in bed.executors_of(spec.id)}
            pods: list[Pod] = []
            for m, mode in role:
                model = bed.models[m]
                theta = bed.theta(spec.id, model.id, mode)
                assert theta is not None  # the role is feasible
                pods.append(Pod(executors[model.id], m, mode, theta, model.init_s))
                if spec.id in bed.routable(model.id):
                    routable.append(pods[-1])
            if spec.id not in self.belief.absent:
                hosts.append(Host(bed, bed.node(spec.id), pods, len(hosts)))
        return hosts, routable

    def _scheduler(self, policy: MacroPolicy, roles: Sequence[Role]) -> FixedRoleScheduler:
        bed = self.scenario.testbed
        places: list[Place] = []
        groups: list[GpuGroup] = []
        hosts: list[list[int]] = [[] for _ in bed.models]
        slices = max((g.slices for n in bed.nodes for g in n.gpus), default=1)
        precision = 1.0 / BeliefConfig().prior_sigma ** 2
        for spec, role in zip(bed.nodes, roles, strict=True):
            on_gpu = [m for m, mode in role if mode == "gpu"]
            gpu_of = dict(
                zip(
                    on_gpu,
                    pack_gpus(bed.node(spec.id), [bed.models[m].vram_gb for m in on_gpu]) or (),
                    strict=True,
                )
            )
            on_cpu = bed.cpu.share(bed.node(spec.id).cores, len(role) - len(on_gpu))
            members: list[list[Place]] = [[] for _ in spec.gpus]
            for m, mode in role:
                model = bed.models[m].id
                if spec.id not in bed.routable(model):
                    continue
                share = policy.p.get(model, {}).get(spec.id, 0.0)
                place = Place(bed, spec.id, m, mode, share, on_cpu, precision)
                if mode == "gpu":
                    members[gpu_of[m]].append(place)
                if spec.id not in self.belief.absent:
                    hosts[m].append(len(places))
                places.append(place)
            for gpu, of_gpu in zip(spec.gpus, members, strict=True):
                speeds = [gpu.share(busy) for busy in range(1, slices + 1)]
                drops = [-(b - a) for a, b in zip(speeds, speeds[1:], strict=False)]
                groups.append(GpuGroup(speeds[0], drops, of_gpu))
        if not all(hosts):
            raise Unsuited("a model without a host")
        terms = Objective.of(self.scenario)
        return FixedRoleScheduler(terms, self.prior, len(bed.nodes), len(bed.models), places, groups, hosts)


def _role(testbed: TestbedConfig, policy: MacroPolicy, node: str) -> Role:
    """What the policy has a node run, models in inventory order."""
    wanted = policy.roles.get(node, {})
    modes = [(m, wanted.get(model.id, "off")) for m, model in enumerate(testbed.models)]
    return [(m, mode) for m, mode in modes if mode != "off"]
