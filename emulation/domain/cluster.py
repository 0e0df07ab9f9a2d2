"""What exists: models, nodes, links and the profile a controller may know in advance.

`TestbedConfig` is the schema of a testbed inventory file. Both worlds read the same file; the live
cluster's launcher file (`cluster.yaml`) is separate. Everything here is public knowledge: what is
hidden (mismatch, drift, noise, true lengths) lives in `truth.py` and in the scenario.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.agent_llm import AgentLlm
from emulation.domain.inventory import BackendEntry as BackendEntry
from emulation.domain.inventory import Features as Features
from emulation.domain.inventory import LinkSpec as LinkSpec
from emulation.domain.inventory import Modality as Modality
from emulation.domain.inventory import Mode as Mode
from emulation.domain.inventory import ModelSpec as ModelSpec
from emulation.domain.inventory import NodeSpec as NodeSpec
from emulation.domain.inventory import ProfileEntry as ProfileEntry
from emulation.domain.power import NodeWatts, PowerEntry, Prices, check_power, watts_by_node
from emulation.domain.quantities import MOST_NODES, Name, Note
from emulation.domain.sharing import ONE_BY_ONE, Batching, CpuLaw
from emulation.domain.strict import Strict as Strict
from emulation.domain.strict import check_known, check_unique

MOST_PATTERNS = 60_000
"""Ways to switch the models of one node on and off: deployers look at every one of them."""


class TestbedConfig(Strict):
    """A testbed inventory: the static, public description both worlds are built from.

    Raises `pydantic.ValidationError` on unknown keys, duplicate ids, profiles of unknown models or nodes,
    a profile of the wrong length, or a model that no node can host.
    """

    __test__ = False  # not a pytest class

    name: Name
    note: Note = ""
    models: tuple[ModelSpec, ...] = Field(min_length=1, max_length=128)
    nodes: tuple[NodeSpec, ...] = Field(min_length=1, max_length=MOST_NODES)
    profile: tuple[ProfileEntry, ...] = Field(min_length=1, max_length=100_000)
    links: tuple[LinkSpec, ...] = Field(default=(), max_length=100_000)
    cpu: CpuLaw = CpuLaw()
    backends: tuple[BackendEntry, ...] = Field(default=(), max_length=100_000)
    """Where none applies, replicas emulate (or run what `--backend` says)."""
    agent_llm: AgentLlm | None = None
    """A chat model for the controllers' reasoners, hosted by the testbed itself."""
    power: tuple[PowerEntry, ...] = Field(default=(), max_length=100_000)
    """Watts by node and mode; energy is a figure only where they are given."""
    prices: Prices | None = None
    """What nodes and electricity cost; cost is a figure only where that is given."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        model_ids = dict.fromkeys(m.id for m in self.models)
        hosting = {n.id: n.hosting for n in self.nodes}
        node_ids = dict.fromkeys(hosting)
        self._check_unique()
        for entry in self.profile:
            check_known("profile", (entry.model,), model_ids, "model")
            check_known("profile", (entry.node,), node_ids, "node")
            if entry.batch.width > 1 and entry.node and hosting[entry.node] == "device":
                raise ValueError(
                    f"profile of {entry.model!r} has batch width {entry.batch.width} on {entry.node!r}, whose hosting"
                    " is device: one FIFO for all its models; use hosting pods, or leave batch out"
                )
            want = 2 if self.model(entry.model).features == "tokens" else 1
            if len(entry.theta) != want:
                raise ValueError(
                    f"profile of {entry.model!r} needs {want} coefficient(s), has {len(entry.theta)}"
                )
        for choice in self.backends:
            check_known("an entry of backends", (choice.model,), model_ids, "model")
            check_known("an entry of backends", (choice.node,), node_ids, "node")
        if self.agent_llm is not None:
            check_known("agent_llm", (self.agent_llm.node,), node_ids, "node")
            _beside(self.agent_llm, next(n for n in self.nodes if n.id == self.agent_llm.node))
        check_known("power", (entry.node for entry in self.power), node_ids, "node")
        check_known(
            "prices.nodes", (e.node for e in self.prices.nodes) if self.prices else (), node_ids, "node"
        )
        check_power(self.power, self.prices, node_ids)
        sites = {n.site for n in self.nodes}
        for i, link in enumerate(self.links):
            check_known(f"links[{i}]", (link.a, link.b), sites, "site")
        for node in self.nodes:
            check_known(f"node {node.id!r}", node.models or (), model_ids, "model")
            self._check_hosting(node)
        for model_id in model_ids:
            if not self.routable(model_id):
                raise ValueError(
                    f"model {model_id!r} has no feasible node: no node has both a profile and a mode for it"
                )
        return self

    def _check_unique(self) -> None:
        """Nothing is stated twice: of two entries for the same, one would silently not count."""
        check_unique("models", (m.id for m in self.models), "id")
        check_unique("nodes", (n.id for n in self.nodes), "id")
        check_unique(
            "profile", (f"{e.model}/{e.mode} on {e.node or 'every node'}" for e in self.profile), "law of"
        )
        check_unique("backends", (f"{e.model} on {e.node}" for e in self.backends), "entry for")
        check_unique("links", (" and ".join(sorted((link.a, link.b))) for link in self.links), "path between")
        for node in self.nodes:
            check_unique(f"models of node {node.id!r}", node.models or (), "model")

    def _check_hosting(self, node: NodeSpec) -> None:
        """A device serves something, and the patterns of a node's pods can be looked through one by one."""
        hosted = self.hosted(node.id)
        if node.hosting == "device":
            if not hosted:
                raise ValueError(
                    f"node {node.id!r} is a device that can serve no model: give it one that it has a profile and the"
                    " memory for, or remove it"
                )
            return
        patterns = prod(len(self.modes(node.id, m)) + 1 for m in hosted)
        if patterns > MOST_PATTERNS:
            raise ValueError(
                f"node {node.id!r} can host {len(hosted)} models in {patterns:.3g} patterns, which is more than"
                f" {MOST_PATTERNS}: name fewer under its models"
            )

    @cached_property
    def _index(self) -> _Index:
        """Everything looked up per request or decision; made once, with the first question."""
        return _Index.of(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy as pydantic makes it, which looks everything up anew."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_index", None)
        return copied

    def model(self, model_id: str) -> ModelSpec:
        """The model with this id. Raises `KeyError` if there is none."""
        return self._index.models[model_id]

    def node(self, node_id: str) -> NodeSpec:
        """The node with this id, with the vRAM its models have. Raises `KeyError` if there is none."""
        return self._index.nodes[node_id]

    @property
    def sites(self) -> Mapping[str, str]:
        """Node to the site it is at."""
        return self._index.sites

    def theta(self, node_id: str, model_id: str, mode: Mode) -> tuple[float, ...] | None:
        """Profiled coefficients on this node, seconds, its known speed applied; None where infeasible.

        Raises `KeyError` for an unknown node or model.
        """
        return self._index.theta[node_id, model_id].get(mode)

    def batching(self, node_id: str, model_id: str, mode: Mode) -> Batching:
        """How many requests an executor has in service at once, and what that costs; one by one where infeasible."""
        return self._index.batching.get((node_id, model_id, mode), ONE_BY_ONE)

    def modes(self, node_id: str, model_id: str) -> tuple[Mode, ...]:
        """Feasible modes of a model on a node, GPU first; empty where it cannot be hosted."""
        return tuple(self._index.theta[node_id, model_id])

    def backend(self, node_id: str, model_id: str) -> BackendEntry | None:
        """The entry for a model on a node; what names the model counts before what names the node."""
        fitting = [e for e in self.backends if e.model in (model_id, None) and e.node in (node_id, None)]
        return max(fitting, key=lambda e: (e.model is not None, e.node is not None), default=None)

    def watts(self) -> dict[str, NodeWatts]:
        """What every node draws, by mode, as far as it is given."""
        return watts_by_node(self.power, (n.id for n in self.nodes))

    def hosts(self, model_id: str) -> tuple[str, ...]:
        """Ids of the nodes that can host the model, in inventory order."""
        return self._index.hosts[model_id]

    def may_send(self, origin: str, model_id: str, node_id: str) -> bool:
        """Whether all three are there, and the node can host the model."""
        index = self._index
        return origin in index.nodes and bool(index.theta.get((node_id, model_id)))

    def routable(self, model_id: str) -> tuple[str, ...]:
        """Ids of the nodes requests of the model may be routed to, in inventory order."""
        return self._index.routable[model_id]

    def hosted(self, node_id: str) -> tuple[str, ...]:
        """Ids of the models the node can host, in inventory order."""
        return self._index.hosted[node_id]

    def executors(self) -> tuple[ExecutorSpec, ...]:
        """Every executor of the testbed, in inventory order: one per device, or one per (node, hostable model)."""
        return self._index.executors

    def executors_of(self, node_id: str) -> tuple[ExecutorSpec, ...]:
        """The executors of one node. Raises `KeyError` if there is none of this id."""
        return self._index.executors_of[node_id]

    def link(self, site_a: str, site_b: str) -> LinkSpec | None:
        """The link between two sites; None where none is listed: what passes there takes no time."""
        return self._index.links.get(frozenset((site_a, site_b)))

    @property
    def checked(self) -> dict[tuple[Any, ...], tuple[str, ...]]:
        """Activation patterns of its nodes that were checked, and what was wrong with them: for `feasibility` only."""
        return self._index.checked

    @property
    def patterns(self) -> dict[tuple[Any, ...], tuple[dict[str, Mode], ...]]:
        """The feasible patterns of nodes by all that they depend on: for `feasibility` only."""
        return self._index.patterns


@dataclass(frozen=True, slots=True)
class _Index:
    """A testbed by what is asked of it."""

    models: dict[str, ModelSpec]
    nodes: dict[str, NodeSpec]
    theta: dict[tuple[str, str], dict[Mode, tuple[float, ...]]]
    """(node, model) to feasible mode, GPU first, to coefficients."""
    batching: dict[tuple[str, str, Mode], Batching]
    """(node, model, mode) of the laws that serve more than one request at once."""
    sites: dict[str, str]
    hosts: dict[str, tuple[str, ...]]
    routable: dict[str, tuple[str, ...]]
    hosted: dict[str, tuple[str, ...]]
    executors_of: dict[str, tuple[ExecutorSpec, ...]]
    executors: tuple[ExecutorSpec, ...]
    links: dict[frozenset[str], LinkSpec]
    checked: dict[tuple[Any, ...], tuple[str, ...]] = field(default_factory=dict)
    patterns: dict[tuple[Any, ...], tuple[dict[str, Mode], ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, testbed: TestbedConfig) -> _Index:
        """Every feasible law of every node: an entry of its own, or the one for all nodes."""
        agent = testbed.agent_llm
        nodes = testbed.nodes if agent is None else tuple(_beside(agent, n) for n in testbed.nodes)
        common: dict[tuple[str, str], ProfileEntry] = {}
        own: dict[tuple[str, str, str], ProfileEntry] = {}
        for entry in testbed.profile:
            if entry.node is None:
                common.setdefault((entry.model, entry.mode), entry)
            else:
                own.setdefault((entry.node, entry.model, entry.mode), entry)
        batching: dict[tuple[str, str, Mode], Batching] = {}
        theta: dict[tuple[str, str], dict[Mode, tuple[float, ...]]] = {}
        modes: tuple[Literal["gpu", "cpu"], ...] = ("gpu", "cpu")
        for node in nodes:
            for model in testbed.models:
                laws: dict[Mode, tuple[float, ...]] = {}
                for mode in modes:
                    law = own.get((node.id, model.id, mode), common.get((model.id, mode)))
                    if law is not None and _fits(node, model, mode):
                        laws[mode] = tuple(c / node.speed for c in law.theta)
                        if law.batch.width > 1 and node.hosting == "pods":
                            batching[node.id, model.id, mode] = law.batch
                theta[node.id, model.id] = laws
        hosts = {m.id: tuple(n.id for n in testbed.nodes if theta[n.id, m.id]) for m in testbed.models}
        with_gpu = {n.id for n in testbed.nodes if n.gpus}
        hosted = {n.id: tuple(m.id for m in testbed.models if theta[n.id, m.id]) for n in testbed.nodes}
        executors_of = {n.id: _executors(n, hosted[n.id]) for n in testbed.nodes}
        return cls(
            models={m.id: m for m in testbed.models},
            nodes={n.id: n for n in nodes},
            sites={n.id: n.site for n in nodes},
            theta=theta,
            batching=batching,
            hosts=hosts,
            routable={
                m.id: hosts[m.id] if m.route_to == "any" else tuple(n for n in hosts[m.id] if n in with_gpu)
                for m in testbed.models
            },
            hosted=hosted,
            executors_of=executors_of,
            executors=tuple(e for of_node in executors_of.values() for e in of_node),
            links={frozenset((link.a, link.b)): link for link in reversed(testbed.links)},
        )


def _executors(node: NodeSpec, hosted: tuple[str, ...]) -> tuple[ExecutorSpec, ...]:
    if node.hosting == "device":
        return (ExecutorSpec(id=node.id, node=node.id, models=hosted),)
    return tuple(ExecutorSpec(id=f"{node.id}/{m}", node=node.id, models=(m,)) for m in hosted)


def _fits(node: NodeSpec, model: ModelSpec, mode: Literal["cpu", "gpu"]) -> bool:
    """Whether the node alone has what the model needs in this mode (MA eq. 1)."""
    if mode not in model.modes or model.ram_gb > node.ram_gb:
        return False
    if node.models is not None and model.id not in node.models:
        return False
    return mode == "cpu" or model.vram_gb <= max((g.vram_gb for g in node.gpus), default=-1.0)


def _beside(agent: AgentLlm, node: NodeSpec) -> NodeSpec:
    """A node with the vRAM that its agents' model leaves. Raises `ValueError` if that does not fit."""
    if node.id != agent.node or agent.vram_gb == 0:
        return node
    index = agent.gpu_of([gpu.vram_gb for gpu in node.gpus])
    gpus = [
        gpu if k != index else gpu.model_copy(update={"vram_gb": gpu.vram_gb - agent.vram_gb})
        for k, gpu in enumerate(node.gpus)
    ]
    return node.model_copy(update={"gpus": tuple(gpus)})


class ExecutorSpec(Strict):
    """A place work can queue: one FIFO server on one node."""

    id: str
    node: str
    models: tuple[str, ...]
