"""The requests of a record as columns, and what can be counted in them at any moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebed.ui.sifting.codes import NO_ONE, Codes
from edgebed.ui.sifting.sifted import FLAGS, NAMES, NUMBERS, RequestColumns, in_common
from edgebed.ui.sources.sorted import Column, Instants, Ints, Latest, Order
from emulation.metrics.view import node_of


class Busy:
    """What one executor has had to do: requests sent there and in service, and what they were expected to take."""

    def __init__(self) -> None:
        self.sent, self.left = Instants(), Instants()
        self.started, self.stopped = Instants(), Instants()
        self.predicted = Latest()

    def queued(self, t_s: float) -> int:
        """Requests sent there that have not ended."""
        return self.sent.until(t_s) - self.left.until(t_s)

    def in_service(self, t_s: float) -> int:
        """Requests in service there, as far as the last attempt at each tells."""
        return self.started.until(t_s) - self.stopped.until(t_s)


class Requests:
    """Every request that a record names. Of one that was served in several attempts, the last is known."""

    def __init__(self) -> None:
        self.names = {name: Codes() for name in NAMES}
        self._columns = {name: Column() for name in NUMBERS}
        self._columns |= {name: Column(np.int32) for name in (*NAMES, "node")}
        self._nodes = Codes()
        self._columns |= {name: Column(bool) for name in FLAGS}
        self.arrived, self.done, self.failed = Instants(), Instants(), Instants()
        self.by_end, self.by_dispatch = Order(), Order()
        self.executors: dict[str, Busy] = {}
        self._counted: dict[int, Instants] = defaultdict(Instants)
        """Code of a model to the arrivals that count."""
        self.last_s = -np.inf
        """The latest moment any of them knows."""
        self.fresh_s = np.inf
        """The earliest end of those added since somebody set this to infinity."""

    def __len__(self) -> int:
        return len(self._columns["ended_s"])

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column by the name of its field; names are codes (`names`), what is null is NaN or `NO_ONE`."""
        return self._columns[column].values

    def code(self, column: str, name: str) -> int:
        """The code of a name, below `NO_ONE` if nobody has it."""
        return self.names[column].get(name, NO_ONE - 1)

    def add(self, more: RequestColumns) -> None:
        """Take up these."""
        fields = dict(more.fields)
        for name in NAMES:
            fields[name] = in_common(fields[name], more.names[name], self.names[name])
        fields["node"] = self._nodes_of(fields["executor"])
        first = len(self)
        for name, values in fields.items():
            self._columns[name].add(values)
        self._count(fields, np.arange(first, len(self)))

    def _nodes_of(self, executors: NDArray[Any]) -> NDArray[Any]:
        """The code of the node of each of these executors."""
        found, where = np.unique(executors, return_inverse=True)
        names = self.names["executor"].names
        codes = [NO_ONE if e == NO_ONE else self._nodes[node_of(names[e])] for e in found.tolist()]
        return np.array(codes, dtype=np.int32)[where]

    def _count(self, fields: Mapping[str, NDArray[Any]], rows: Ints) -> None:
        ended = np.maximum(fields["ended_s"], fields["intended_s"])
        over = fields["outcome"] != self.names["outcome"]["unfinished"]
        done = fields["outcome"] == self.names["outcome"]["done"]
        self.arrived.add(fields["intended_s"])
        for code in np.unique(fields["model"]):
            self._counted[int(code)].add(fields["intended_s"][(fields["model"] == code) & fields["counted"]])
        self.done.add(ended[done])
        self.failed.add(ended[over & ~done])
        self.by_end.add(rows[over], ended[over])
        self.last_s = max(self.last_s, float(fields["ended_s"].max()))
        if over.any():
            self.fresh_s = min(self.fresh_s, float(ended[over].min()))
        sent = np.flatnonzero((fields["executor"] != NO_ONE) & ~np.isnan(fields["dispatched_s"]))
        self.by_dispatch.add(rows[sent], fields["dispatched_s"][sent])
        where = fields["executor"][sent]
        for code in np.unique(where):
            here = sent[where == code]
            self._sent_to(
                self.names["executor"].names[code], {k: v[here] for k, v in fields.items()}, over[here]
            )

    def _sent_to(self, executor: str, fields: Mapping[str, NDArray[Any]], over: NDArray[np.bool_]) -> None:
        """Requests at one executor. Service ends as `emulation.metrics.contention.service_end_s` has it."""
        busy = self.executors.setdefault(executor, Busy())
        sent = np.maximum(fields["dispatched_s"], fields["intended_s"])
        busy.sent.add(sent)
        busy.left.add(np.maximum(fields["ended_s"], sent)[over])
        served = ~np.isnan(fields["started_s"])
        started = fields["started_s"][served]
        stopped = np.fmin(fields["ended_s"][served], started + fields["service_s"][served])
        busy.started.add(started)
        busy.stopped.add(np.maximum(stopped, started)[over[served]])
        busy.predicted.add(sent, fields["predicted_s"])

    def of_model(self, model: str) -> Instants:
        """Arrivals of a model, those that count."""
        return self._counted.get(self.code("model", model), Instants())

    # -- at a moment ----------------------------------------------------------------------------------------

    def counts(self, t_s: float) -> tuple[int, int, int]:
        """How many have arrived, are done, and ended otherwise, up to this moment."""
        return self.arrived.until(t_s), self.done.until(t_s), self.failed.until(t_s)

    def measured_s(self, after_s: float, until_s: float) -> dict[str, float]:
        """Executor to the mean service time of what was done there within a stretch of time."""
        rows = self.by_end.between(after_s, until_s)
        service, executor = self["service_s"][rows], self["executor"][rows]
        known = ~np.isnan(service) & (executor != NO_ONE)
        sums = np.bincount(executor[known], service[known])
        counts = np.bincount(executor[known])
        names = self.names["executor"].names
        return {names[i]: float(sums[i] / counts[i]) for i in np.flatnonzero(counts)}

    def flows(self, after_s: float, until_s: float) -> dict[tuple[str, str], int]:
        """(origin, node) to how many were sent within a stretch of time."""
        rows = self.by_dispatch.between(after_s, until_s)
        rows = rows[self["origin"][rows] != NO_ONE]
        origins, nodes = self.names["origin"].names, self._nodes.names
        pairs = self["origin"][rows].astype(np.int64) * len(nodes) + self["node"][rows]
        found, counts = np.unique(pairs, return_counts=True)
        return {
            (origins[pair // len(nodes)], nodes[pair % len(nodes)]): n
            for pair, n in zip(found.tolist(), counts.tolist(), strict=True)
        }

    def in_one_go(self, rows: Ints) -> NDArray[np.bool_]:
        """Whether each of these was served by one executor from begin to end, as `emulation.metrics.view.in_one_go`."""
        turn, service = self["turn_s"][rows], self["service_s"][rows]
        at_node = self["ended_s"][rows] - self["transfer_s"][rows] - self["started_s"][rows]
        guessed = (at_node <= 1.1 * service + 0.1) & (self["attempt"][rows] <= 1)
        whole: NDArray[np.bool_] = np.where(np.isnan(turn), guessed, turn == service)
        return whole

    def predictions(self, until_s: float, most: int) -> list[tuple[float, float, str]]:
        """(predicted, measured service time, model) of the latest that were done in one go up to a moment."""
        place = int(self.by_end.keys.searchsorted(until_s, side="right"))
        rows = self.by_end.rows[max(0, place - 8 * most) : place]
        done = self["outcome"][rows] == self.names["outcome"]["done"]
        fit = done & ~np.isnan(self["predicted_s"][rows]) & self.in_one_go(rows)
        kept = rows[fit & (self["service_s"][rows] > 0)][-most:]
        names = self.names["model"].names
        columns = (self[name][kept].tolist() for name in ("predicted_s", "service_s", "model"))
        return [(p, s, names[m]) for p, s, m in zip(*columns, strict=True)]
