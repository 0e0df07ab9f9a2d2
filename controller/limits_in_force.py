"""Which admission limits are in force: those for what is seen to come.

A limit is right for the demand that a planner expects, and the first plan is made before anything has come. Where
less comes, the same limit refuses what could all be served. So the planner says from which demand on each limit costs
nobody anything (`MacroPolicy.limits_from`), and in force is the one for the most that may be coming, by what was
counted. Where nothing was counted, none is: then nothing waits either.
"""

from __future__ import annotations

from math import sqrt

from emulation.domain.actions import MacroPolicy
from emulation.domain.snapshot import ClusterSnapshot, TypeStats

DOUBT = 2.0
"""Standard errors by which more may be coming than was counted."""


def in_force(policy: MacroPolicy | None, snapshot: ClusterSnapshot) -> dict[str, float | None]:
    """Model to its limit where that is not the policy's own, by what was counted since the last epoch boundary."""
    if policy is None:
        return {}
    since_s = snapshot.t_s - snapshot.window.since_s
    instead = {}
    for model, steps in sorted(policy.limits_from.items()):
        may_come = _at_most(snapshot.stats.get(model), since_s)
        limit_s = next((limit_s for least, limit_s in reversed(steps) if may_come >= least), None)
        if limit_s != policy.admission_limit_s.get(model):
            instead[model] = limit_s
    return instead


def _at_most(counted: TypeStats | None, since_s: float) -> float:
    """Prompts per second that may be coming; 0 where nothing was counted."""
    if counted is None or counted.arrived == 0 or since_s <= 0.0:
        return 0.0
    return counted.arrived_prompts / since_s * (1.0 + DOUBT / sqrt(counted.arrived))
