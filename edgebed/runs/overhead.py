"""How late the platform of a live run was, read from its record, and drawn again for jittered virtual runs.

What is late together stays together: for each of its slots a jittered run takes one slot of the live run, and everybody
is as late in it as somebody was there at the same moment of the slot; of many at one moment, the k-th as the k-th.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from numpy.random import Generator

from emulation.domain.records import PERSON, DecisionRecord, RunHeader
from emulation.domain.request_id import scenario_id_of
from emulation.domain.slots import slot_of, slot_start_s
from emulation.recording import Run

REACH = 2
"""A slot of a jittered run is as late as one of the live run at most so many places away; what was not measured in that
one, such as how late the planner is, as the occurrence at most so many places away."""
GATEWAY, PLANNER, WAY, SEND = "gateway", "planner", "way", "send"
LOOK, HEARD = "look:", "heard:"


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays of one kind as they were measured, instant by instant in order of time."""

    at_s: tuple[float, ...]
    """When what was late was due, or happened: each instant once."""
    late_s: tuple[tuple[float, ...], ...]
    """By instant: how late each was of what was due then, in the order in which it came."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Delays:
        """Delays from (time, delay) in any order, that of equal times being kept; negative ones count as 0."""
        by_instant: dict[float, list[float]] = defaultdict(list)
        for at_s, late_s in pairs:
            by_instant[at_s].append(max(0.0, late_s))
        return cls(tuple(sorted(by_instant)), tuple(tuple(by_instant[at_s]) for at_s in sorted(by_instant)))

    def nearest(self, t_s: float, low: int = 0, high: int | None = None) -> int:
        """Place of the instant nearest to a time, among those from `low` to below `high`, which must be some."""
        high = len(self.at_s) if high is None else high
        after = min(bisect_left(self.at_s, t_s, low, high), high - 1)
        before = max(after - 1, low)
        return after if self.at_s[after] - t_s < t_s - self.at_s[before] else before


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the platform of a live run added, in virtual seconds: what jittered runs draw from."""

    send: Delays
    """Intended send time until it was routed, or held, for the first time, per request; of one instant in the order
    in which they were sent."""
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
        self._asked: dict[str, tuple[float, int]] = {}
        """By kind: the instant asked for last, and how many had asked for it before."""

    def send_s(self, t_s: float) -> float:
        """How late a request comes to its gateway that is due at `t_s`; asked in the order in which they are sent."""
        return self._drawn(SEND, self._overhead.send, t_s)

    def delay_s(self, who: str, t_s: float) -> float:
        """See `ControlPlane.delay_s`. Where a record does not say when policies were heard, gateways stand in."""
        decide = self._overhead.decide
        kind = GATEWAY if who.startswith(HEARD) and who not in decide else who
        return self._drawn(kind, decide[kind], t_s) if kind in decide else 0.0

    def _drawn(self, kind: str, delays: Delays, t_s: float) -> float:
        """The k-th that is asked for at one instant is as late as the k-th of the instant of the other slot; where that
        has fewer, as the k-th of its own (the last of the longer one where neither has so many). 0 if none ever was."""
        if not delays.at_s:
            return 0.0
        before_s, before = self._asked.get(kind, (t_s, -1))
        k = before + 1 if before_s == t_s else 0
        self._asked[kind] = t_s, k
        other, own = delays.late_s[self._instant(delays, t_s)], delays.late_s[delays.nearest(t_s)]
        late_s = other if k < len(other) else max(own, other, key=len)
        return late_s[min(k, len(late_s) - 1)]

    def _instant(self, delays: Delays, t_s: float) -> int:
        """Place of that which was nearest in the other slot, by time since its begin."""
        slot = slot_of(t_s, self._slot_s)
        away = int(self._away[min(slot, self._last)]) if slot > 0 else 0
        other = max(1, min(slot + away, self._last)) if slot > 0 else slot
        begin_s, end_s = slot_start_s(other, self._slot_s), slot_start_s(other + 1, self._slot_s)
        low, high = bisect_left(delays.at_s, begin_s), bisect_left(delays.at_s, end_s)
        if low < high:
            return delays.nearest(begin_s + t_s - slot_start_s(slot, self._slot_s), low, high)
        return min(max(delays.nearest(t_s) + away, 0), len(delays.at_s) - 1)


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
    sent = sorted(
        (r for r in run.requests if r.request_id in routed_s),
        key=lambda r: (r.sent_s, scenario_id_of(r.request_id)),
    )
    sends = ((r.intended_s, routed_s[r.request_id][0] - r.intended_s) for r in sent)
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
    landed = sorted({d.landed_s for d in run.decisions if d.actor == PLANNER and d.landed_s})
    first: dict[str, dict[float, float]] = defaultdict(dict)
    told = [
        (HEARD + side["name"], float(side["policy_heard_s"]))
        for side in run.side.values()
        if side.get("policy_heard_s")
    ]
    for actor, heard_s in told:
        last = bisect_right(landed, heard_s) - 1
        if last >= 0:  # else it is one from before the clock started, for which nobody is late
            late_s = heard_s - landed[last]
            first[actor][landed[last]] = min(late_s, first[actor].get(landed[last], late_s))
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
