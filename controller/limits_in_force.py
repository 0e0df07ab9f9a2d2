"""Which admission limits are in force: those for what is seen to come.

A limit is right for the demand that a planner expects, and the first plan is made before anything has come. Where
less comes, the same limit refuses what could all be served. So the planner says from which demand on each limit costs
nobody anything (`MacroPolicy.limits_from`), and in force is the one for the most that may be coming, by what was
counted. Where nothing was counted, none is: then nothing waits either.

A limit that comes and goes costs more than either: a queue that has grown without it is emptied by refusals with it. So
what was loosened is tightened only when as much was really counted.
"""

from __future__ import annotations

from math import inf, sqrt

from emulation.domain.actions import MacroPolicy
from emulation.domain.snapshot import ClusterSnapshot

DOUBT = 2.0
"""Standard errors by which more may be coming than was counted."""


class LimitsInForce:
    """Remembers how much of each model is taken to come, prompts per second: between what was counted and what may be
    coming by that, as near as possible to what it was before."""

    def __init__(self) -> None:
        self._comes: dict[str, float] = {}

    def instead(self, policy: MacroPolicy | None, snapshot: ClusterSnapshot) -> dict[str, float | None]:
        """Model to its limit where that is not the policy's own, by what was counted since the last epoch boundary."""
        self._count(snapshot)
        if policy is None:
            return {}
        instead = {}
        for model, steps in sorted(policy.limits_from.items()):
            comes = self._comes.get(model, 0.0)
            limit_s = next((limit_s for least, limit_s in reversed(steps) if comes >= least), None)
            if limit_s != policy.admission_limit_s.get(model):
                instead[model] = limit_s
        return instead

    def _count(self, snapshot: ClusterSnapshot) -> None:
        since_s = snapshot.t_s - snapshot.window.since_s
        for model, counted in snapshot.stats.items():
            if counted.arrived and since_s > 0.0:
                rate = counted.arrived_prompts / since_s
                most = rate * (1.0 + DOUBT / sqrt(counted.arrived))
                self._comes[model] = min(max(self._comes.get(model, inf), rate), most)
