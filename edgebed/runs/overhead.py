"""How late the platform of a live run was, read from its record, and drawn again for jittered virtual runs.

What is late together stays together: for each of its slots a jittered run takes one slot of the live run, and everybody
is as late in it as somebody was there at the same moment of the slot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from numpy.random import Generator

from emulation.domain.records import PERSON, DecisionRecord, RunHeader
from emulation.domain.slots import slot_of, slot_start_s
from emulation.recording import Run

REACH = 2
"""A slot of a jittered run is as late as one of the live run at most so many places away; what was not measured in that
one, such as how late the planner is, as the occurrence at most so many places away."""
GATEWAY, PLANNER, WAY = "gateway", "planner", "way"
LOOK, HEARD = "look:", "heard:"


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays of one kind as they were measured, in order of time."""

    at_s: tuple[float, ...]
    """When what was late was due, or happened."""
    delay_s: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Delays:
        """Delays from (time, delay) in any order; negative ones count as 0."""
        ordered = sorted(pairs)
        return cls(tuple(t for t, _ in ordered), tuple(max(0.0, d) for _, d in ordered))

    def nearest(self, t_s: float, low: int = 0, high: int | None = None) -> int:
        """Place of the delay measured nearest to a time, among those from `low` to below `high`, which must be some."""
        high = len(self.at_s) if high is None else high
        after = min(bisect_left(self.at_s, t_s, low, high), high - 1)
        before = max(after - 1, low)
        return after if self.at_s[after] - t_s < t_s - self.at_s[before] else before


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the platform of a live run added, in virtual seconds: what jittered runs draw from."""

    send: Delays
    """Intended send time until it was routed, or held, for the first time, per request."""
    decide: Mapping[str, Delays]
    """Actor to the time its decisions took to land, beyond their own thinking time; `look:<actor>`: how long after
    the boundary of a slot it looked; `heard:<actor>`: from the landing of a policy until it heard; `gateway`: from the
    end of a request at its node until the gateway heard; `way`: from when a request was routed until it came to its
    node. What was decided before the clock started is not there."""
    slot_s: float


class Jitter:
    """How late everybody is in one jittered run."""

    def __init__(self, overhead: Overhead, rng: Generator) -> None:
        self._overhead, self._slot_s = overhead, overhead.slot_s
        measured = [overhead.send, *overhead.decide.values()]
        latest_s = max((delays.at_s[-1] for delays in measured if delays.at_s), default=0.0)
        self._last = slot_of(latest_s, self._slot_s)
        self._away = rng.integers(-REACH, REACH + 1, self._last + 1)
        """By slot: how many places away the one lies that it is as late as."""

    def send_s(self, t_s: float) -> float:
        """How late a request comes to its gateway that is due at `t_s`."""
        return self._drawn(self._overhead.send, t_s)

    def delay_s(self, who: str, t_s: float) -> float:
        """See `ControlPlane.delay_s`. Where a record does not say when policies were heard, gateways stand in."""
        decide = self._overhead.decide
        kind = GATEWAY if who.startswith(HEARD) and who not in decide else who
        return self._drawn(decide[kind], t_s) if kind in decide else 0.0

    def _drawn(self, delays: Delays, t_s: float) -> float:
        """That measured nearest in the other slot, by time since its begin; 0 if none ever was."""
        if not delays.at_s:
            return 0.0
        slot = slot_of(t_s, self._slot_s)
        away = int(self._away[min(slot, self._last)]) if slot > 0 else 0
        other = max(1, min(slot + away, self._last)) if slot > 0 else slot
        begin_s, end_s = slot_start_s(other, self._slot_s), slot_start_s(other + 1, self._slot_s)
        low, high = bisect_left(delays.at_s, begin_s), bisect_left(delays.at_s, end_s)
        if low < high:
            place = delays.nearest(begin_s + t_s - slot_start_s(slot, self._slot_s), low, high)
        else:
            place = min(max(delays.nearest(t_s) + away, 0), len(delays.at_s) - 1)
        return delays.delay_s[place]


def measured_overhead(run: Run) -> Overhead:
    """The overhead a record shows, from its stage timestamps."""
    decide: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for d in run.decisions:
        if d.actor in ("router", PERSON) or not d.landed_s:  # at 0 it was decided before the clock started
            continue
        looked_s = d.t_s - d.inputs_age_s
        decide[d.actor].append((looked_s, d.landed_s - looked_s - d.thinking_s))
        begin_s = _told_s(d, run.header)
        if begin_s is not None:
            decide[LOOK + d.actor].append((begin_s, looked_s - begin_s))
    heard = {side["request_id"]: side["heard_s"] for side in run.side.values() if "heard_s" in side}
    decide[GATEWAY] = [
        (r.ended_s, heard[r.request_id] - r.ended_s)
        for r in run.requests
        if r.outcome == "done" and r.request_id in heard
    ]
    routed_s = _routed_s(run)
    once = [
        r for r in run.requests if r.attempt == 1 and r.dispatched_s is not None and r.request_id in routed_s
    ]
    decide[WAY] = [
        (routed_s[r.request_id][1], (r.dispatched_s or 0.0) - routed_s[r.request_id][1]) for r in once
    ]
    sends = ((r.intended_s, routed_s[r.request_id][0] - r.intended_s) for r in once)
    found = {kind: Delays.of(pairs) for kind, pairs in (decide | _policies_heard(run)).items()}
    return Overhead(Delays.of(sends), found, run.header.slot_s)


def _routed_s(run: Run) -> dict[str, tuple[float, float]]:
    """Request to when a router looked at it first, and last."""
    found: dict[str, tuple[float, float]] = {}
    for d in run.decisions:
        if d.actor == "router" and d.request_id is not None:
            found[d.request_id] = found.get(d.request_id, (d.t_s, d.t_s))[0], d.t_s
    return found


def _policies_heard(run: Run) -> dict[str, list[tuple[float, float]]]:
    """`heard:<actor>` to (landing of a policy, how much later the actor heard of it first), from the side data of its
    decisions."""
    landed = Delays.of((d.landed_s, 0.0) for d in run.decisions if d.actor == PLANNER and d.landed_s)
    first: dict[str, dict[float, float]] = defaultdict(dict)
    for side in run.side.values():
        heard_s = side.get("policy_heard_s")
        if landed.at_s and heard_s:
            at_s = landed.at_s[landed.nearest(heard_s)]
            by_landing = first[HEARD + side["name"]]
            by_landing[at_s] = min(heard_s - at_s, by_landing.get(at_s, heard_s - at_s))
    return {actor: sorted(by_landing.items()) for actor, by_landing in first.items()}


def _told_s(decision: DecisionRecord, header: RunHeader) -> float | None:
    """When the slot or epoch began that this is the decision for, by its cause; None: nobody was late for it.

    Nobody is for the begin of the run; at the boundary of an epoch the layers below the planner wait for it, which is
    no overhead.
    """
    kind, _, number = decision.cause.partition(" ")
    slots = {"slot": 1, "epoch": header.epoch_slots}.get(kind)
    if slots is None or not number.isdecimal() or int(number) == 0:
        return None
    slot = slots * int(number)
    waited = kind == "slot" and slot % header.epoch_slots == 0
    return None if waited else slot_start_s(slot, header.slot_s)
