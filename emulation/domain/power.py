"""What a testbed may state of power and money: watts of a node, what it costs by the hour, what electricity costs.

Nothing here decides how a run goes, unless the scenario weighs energy; figures of energy are made from a record and
these entries afterwards (`emulation.metrics.energy`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from emulation.domain.quantities import NodeName, Range, SomeLine, Words
from emulation.domain.strict import Strict, check_unique

Tier = Literal["measured", "vendor", "estimate"]
"""How sure a figure is: measured on such a machine, published by who makes or sells it, or estimated with a reason."""
TIERS: tuple[Tier, ...] = ("measured", "vendor", "estimate")
"""Surest first."""

PowerMode = Literal["idle", "cpu", "gpu"]
"""idle: switched on, nothing in service; cpu: all cores at work; gpu: one of its GPUs at work, all else idle."""

Watts = Annotated[float, Range(0, 1_000_000, "W")]
Currency = Annotated[str, Words("a currency's code of three capital letters", 3, "[A-Z]{3}")]
Price = Annotated[float, Range(0, 1_000_000, "of the currency")]


class PowerEntry(Strict):
    """Power that a node draws in a mode, all of the node, at the plug."""

    node: NodeName | None = None
    """None applies to every node without an entry of its own for this mode."""
    mode: PowerMode
    """`idle`: on, nothing in service; `cpu`: all its cores at work; `gpu`: one of its GPUs at work, all else idle."""
    watts: Watts
    """Drawn then by all of the node."""
    tier: Tier
    """`measured` on such a machine, `vendor`: published by who makes or sells it, `estimate`: reasoned in `source`."""
    source: SomeLine
    """Where the number is from; of an estimate, how it was reasoned."""


class NodePrice(Strict):
    """What a node costs by the hour while it is there."""

    node: NodeName | None = None
    """None applies to every node without an entry of its own."""
    per_hour: Price
    """In the currency of `prices`."""
    includes_energy: bool = True
    """Whether electricity is paid with it, as of a rented machine; false: that of the node is paid besides."""
    tier: Tier
    """As of watts."""
    source: SomeLine
    """Whose price list, and of when."""


class Electricity(Strict):
    """What electricity costs."""

    per_kwh: Price
    """In the currency of `prices`."""
    tier: Tier
    """As of watts."""
    source: SomeLine
    """Whose tariff, and of when."""


class Prices(Strict):
    """What running the testbed costs, in one currency."""

    currency: Currency
    """Its code, as EUR."""
    nodes: tuple[NodePrice, ...] = Field(default=(), max_length=10_000)
    """What nodes cost by the hour; one without an entry costs its electricity."""
    electricity: Electricity | None = None
    """What a kilowatt-hour costs, for nodes whose price does not include it."""


class NodeWatts(NamedTuple):
    """Watts of one node by mode; None: not given."""

    idle: float | None
    cpu: float | None
    gpu: float | None

    def above_idle(self, mode: str) -> float | None:
        """What a mode at work adds to the idle node; None if either is not given, or for any other mode."""
        busy = self.cpu if mode == "cpu" else self.gpu if mode == "gpu" else None
        return None if busy is None or self.idle is None else busy - self.idle


def watts_by_node(entries: Iterable[PowerEntry], nodes: Iterable[str]) -> dict[str, NodeWatts]:
    """Watts of each node: an entry of its own counts before the one for every node."""
    found = {(entry.node, entry.mode): entry.watts for entry in entries}

    def watts(node: str, mode: PowerMode) -> float | None:
        return found.get((node, mode), found.get((None, mode)))

    return {n: NodeWatts(watts(n, "idle"), watts(n, "cpu"), watts(n, "gpu")) for n in nodes}


def price_by_node(prices: Prices, nodes: Iterable[str]) -> Mapping[str, NodePrice | None]:
    """The price of each node by the hour; None: not given."""
    found = {entry.node: entry for entry in prices.nodes}
    return {n: found.get(n, found.get(None)) for n in nodes}


def check_power(entries: tuple[PowerEntry, ...], prices: Prices | None, nodes: Iterable[str]) -> None:
    """Raise `ValueError` for what is stated twice, and for a node that draws less at work than idle."""
    check_unique("power", (f"{e.mode} of {e.node or 'every node'}" for e in entries), "watts of")
    if prices is not None:
        check_unique("prices.nodes", (e.node or "every node" for e in prices.nodes), "price of")
    for node, watts in watts_by_node(entries, nodes).items():
        for mode in ("cpu", "gpu"):
            above = watts.above_idle(mode)
            if above is not None and above < 0:
                raise ValueError(
                    f"power of {node!r}: mode {mode} is of the whole node and must be at least its idle"
                    f" {watts.idle:g} W, not {above + (watts.idle or 0.0):g} W"
                )
