"""The parts of a testbed inventory: models, nodes, what they take, what joins them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.quantities import (
    Coefficient,
    Cores,
    Gigabytes,
    Name,
    NodeName,
    Note,
    Range,
    SomeGigabytes,
    SomeLine,
    Speed,
)
from emulation.domain.sharing import ONE_BY_ONE, Batching, GpuSpec
from emulation.domain.strict import Strict

Mode = Literal["off", "cpu", "gpu"]
"""Where an executor runs: nowhere, on the node's CPU cores, or on a slice of one GPU."""

Modality = Literal["text", "caption", "image"]
"""text: text to text; caption: image to text; image: text to image."""

Features = Literal["prompts", "tokens"]
"""The request features x of the linear law s = theta . x: (K,) prompts, or (n_in, n_out) tokens."""


Switching = Annotated[float, Range(0, 86_400, "virtual s")]
"""How long a replica takes to start or to stop."""


class ModelSpec(Strict):
    """One generative model as the testbed hosts it."""

    id: Name
    modality: Modality
    features: Features = "prompts"
    modes: tuple[Literal["cpu", "gpu"], ...] = Field(default=("cpu", "gpu"), min_length=1, max_length=2)
    """Modes the model can run in at all."""
    route_to: Literal["any", "gpu_nodes"] = "any"
    """gpu_nodes: requests are only routed to nodes with a GPU (MA: LM3 and LM4 never go to VM2), though a node
    without one may still serve its own on CPU."""
    min_ram_gb: Gigabytes = 0.0
    ram_gb: Gigabytes = 0.0
    """RAM a deployed replica holds, in either mode."""
    vram_gb: Gigabytes = 0.0
    """vRAM a replica on a GPU holds."""
    init_s: Switching = 0.0
    """Seconds from start to ready, once the resources are free."""
    unload_s: Switching = 0.0
    """Seconds a stopped replica still holds its resources."""
    context_tokens: Annotated[int, Range(1, 10_000_000, "tokens")] | None = None
    """Most tokens of a prompt and its answer together, beyond which a live gateway refuses. None: it knows no limit."""


class NodeSpec(Strict):
    """One edge node."""

    id: NodeName
    site: Name = "edge"
    cores: Cores = 1
    ram_gb: SomeGigabytes = 8.0
    gpus: tuple[GpuSpec, ...] = Field(default=(), max_length=64)
    hosting: Literal["pods", "device"] = "pods"
    """pods: one executor per (node, model) with a lifecycle; device: one always-ready FIFO for all its models."""
    models: tuple[Name, ...] | None = None
    """Models this node may host; None: every model it has a profile and a feasible mode for. A node of pods may host
    none: requests only enter there."""
    speed: Speed = 1.0
    """Known speed relative to the profile entries that apply to it (2.0: half the seconds)."""

    @property
    def gpu_slices(self) -> int:
        """vGPUs of the whole node."""
        return sum(gpu.slices for gpu in self.gpus)


_LEAST_S = 1e-9
"""Seconds per prompt or token below which nothing is served."""


class ProfileEntry(Strict):
    """Profiled service law of a model in a mode: s = theta . x, seconds, on a whole idle resource.

    theta has one coefficient (seconds per prompt) for features `prompts`, two (seconds per input token,
    seconds per output token) for `tokens`. Papers: E3 eqs. 1 and 2; MA's L_q of eq. 7.
    """

    model: Name
    mode: Literal["cpu", "gpu"]
    node: NodeName | None = None
    """None applies to every node without an entry of its own."""
    theta: tuple[Coefficient, ...] = Field(min_length=1, max_length=2)
    batch: Batching = ONE_BY_ONE
    """One by one unless stated; not on nodes with hosting `device`, which are one FIFO for all their models."""
    source: Note = ""

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if max(self.theta) < _LEAST_S:
            raise ValueError(
                f"theta of {self.model}/{self.mode}: one coefficient must be at least {_LEAST_S:g} s,"
                f" not {list(self.theta)}"
            )
        return self


class BackendEntry(Strict):
    """What really runs behind replicas, live; the virtual world emulates everything by its profile all the same."""

    model: Name | None = None
    """None: every model without an entry of its own."""
    node: NodeName | None = None
    """None: on every node without an entry of its own."""
    backend: SomeLine
    """`emulated`, `transformers`, `diffusers`, ..., or a dotted path `package.module:Class`."""
    settings: dict[SomeLine, Any] = Field(default_factory=dict)
    """Of this backend, which checks them: for real models the `source` of the weights above all."""
    stand_in: bool = False
    """A small real model in the place of a larger one: the time it takes counts `speedup` times. Any other real
    model allows speedup 1 only."""


class LinkSpec(Strict):
    """Symmetric path between two sites (or a site and itself)."""

    a: Name
    b: Name
    latency_s: Annotated[float, Range(0, 86_400, "virtual s")] = 0.0
    bandwidth_mbps: Annotated[float, Range(0.001, 10_000_000, "Mbit/s")] | None = None
    """None: transmission time is not modelled, only latency."""

    def transfer_s(self, size_bytes: int) -> float:
        """Seconds to carry `size_bytes` one way (X_q of MA eq. 7 is the sum of both ways)."""
        if self.bandwidth_mbps is None:
            return self.latency_s
        return self.latency_s + size_bytes * 8e-6 / self.bandwidth_mbps
