"""What the fast path believes is waiting at each executor: its own dispatches, less what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from emulation.domain.native import Native
from emulation.domain.sharing import ONE_BY_ONE, Batching

Features = tuple[float, float]
"""x of the linear law; the second is 0 where the model has one feature."""


@dataclass(init=False, slots=True)
class Entry(Native):
    """One outstanding request."""

    model: str
    x: Features
    predicted_s: float

    def __init__(
        self,
        model: str,
        x: Features,
        predicted_s: float,
    ) -> None:
        self.model = model
        self.x = x
        self.predicted_s = predicted_s


@dataclass(slots=True)
class Backlog:
    """Outstanding predicted work of one FIFO executor, its head believed to be in service.

    `wait_s(now) = max(free_at_s - now, floor_s)`: the sum of predictions less the time the head has been
    served, at most what was predicted for it. So a head that overruns holds the wait at the rest of the
    queue, and the wait is never negative.

    Where `batch` lets several requests be in service at once there is no wait until all its places are taken. Then the
    work drains at the speed of a full batch, and of n requests n - width + 1 must end before a place is free.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    """Request id to entry, in the order of dispatch."""
    sum_s: float = 0.0
    head: str | None = None
    head_start_s: float = -inf
    ready_at_s: float = -inf
    """The head cannot start before."""
    running: bool = True
    """Off, pending and away executors do not work their queue off."""
    delay_s: float = 0.0
    """Expected seconds until ready while not running."""
    batch: Batching = ONE_BY_ONE
    width: int = 1
    """Of the batch."""

    def serves_by(self, batch: Batching) -> None:
        """So it serves from now on."""
        self.batch, self.width = batch, batch.width

    @property
    def free_at_s(self) -> float:
        """When there would be a place if every prediction held; -inf while that is not known."""
        if not self.running:
            return -inf
        if self.width > 1:
            return (
                max(self.ready_at_s, self.head_start_s + self._drain_s(1)) if self._full else self.ready_at_s
            )
        return self.sum_s + self.head_start_s if self.entries else self.ready_at_s

    @property
    def floor_s(self) -> float:
        """Least possible wait: everything but the head, or everything while not running."""
        batched = self.width > 1
        if not self.running:
            return self.delay_s + (
                self._drain_s(1) if batched and self._full else 0.0 if batched else self.sum_s
            )
        if self.head is None:
            return 0.0
        if batched:
            return self._drain_s(0) if self._full else 0.0
        return max(0.0, self.sum_s - self.entries[self.head].predicted_s)

    @property
    def _full(self) -> bool:
        return len(self.entries) >= self.width

    def _drain_s(self, more: int) -> float:
        """Seconds until so many more than those that wait have ended, at the speed of a full batch."""
        n, width = len(self.entries), self.width
        return self.sum_s / self.batch.full_rate(1.0) * (n - width + more) / n

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request that joined now would start."""
        return max(self.free_at_s - now_s, self.floor_s)

    def add(self, request_id: str, entry: Entry, now_s: float) -> None:
        """A request was dispatched here."""
        if self.head is None:
            self.head = request_id
            self.head_start_s = max(now_s, self.ready_at_s)
        self.entries[request_id] = entry
        self.sum_s += entry.predicted_s

    def remove(self, request_id: str, now_s: float) -> None:
        """A request left, finished or not. Raises `KeyError` if it is not here."""
        entry = self.entries.pop(request_id)
        if not self.entries:
            self.sum_s, self.head = 0.0, None
            return
        self.sum_s -= entry.predicted_s
        if request_id == self.head or self.width > 1:
            self.head = next(iter(self.entries))
            self.head_start_s = max(now_s, self.ready_at_s)

    def pause(self, delay_s: float, now_s: float) -> None:
        """It stopped working; the head keeps what was done of it."""
        if self.running and self.head is not None:
            entry = self.entries[self.head]
            done_s = min(max(now_s - self.head_start_s, 0.0), entry.predicted_s)
            entry.predicted_s -= done_s
            self.recount()
        self.running, self.delay_s = False, delay_s

    def resume(self, ready_at_s: float) -> None:
        """It works, or will from `ready_at_s` on."""
        self.ready_at_s = ready_at_s
        if not self.running or ready_at_s > self.head_start_s:
            self.head_start_s = ready_at_s
        self.running, self.delay_s = True, 0.0

    def recount(self) -> None:
        """What is predicted of entries has changed: add it up afresh."""
        self.sum_s = sum([e.predicted_s for e in self.entries.values()])
