"""The two kinds of pool do the same sums, to the last bit, and keep the same columns open."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from controller.pool import Pool
from controller.scoring import AVOID_S, AWAY_S, OFF_S
from controller.short_pool import ShortPool
from controller.wide_pool import WidePool
from edgebed.check.worlds import WORLDS
from emulation.domain.ports import Spread
from emulation.rng import stream

TIERS = (0.0, AVOID_S, OFF_S, OFF_S + AVOID_S, AWAY_S)


def both(world: str, model: str) -> tuple[ShortPool, WidePool]:
    testbed = WORLDS[world]()
    executors = {e.id: i for i, e in enumerate(testbed.executors())}
    columns = len(testbed.hosts(model))
    latency_s = np.array([[0.01 * (c + s) for c in range(columns)] for s in range(2)])
    per_byte_s = latency_s * 1e-5
    short = ShortPool(testbed, model, executors, latency_s.tolist(), per_byte_s.tolist())
    return short, WidePool(testbed, model, executors, latency_s, per_byte_s)


def state(pool: Pool, x: tuple[float, float]) -> list[object]:
    """All that a router may read of it."""
    columns = range(len(pool.names))
    return [
        [pool.sigma_s(c) for c in columns], [pool.epistemic_s(c) for c in columns],
        *(list(row) for row in (pool.wait, pool.service, pool.sigma, pool.score)),
        [pool.sigma_s(c) for c in columns], [pool.service_s(c, x) for c in columns],
        [pool.latency_s(c, 1, 7) for c in columns], [tuple(pool.ranking(c)) for c in columns],
        pool.lowest(), pool.soonest(), pool.quickest_by_profile(x), pool.open, pool.before,
    ]  # fmt: skip


@pytest.mark.parametrize(("world", "model"), [(w, m.id) for w in sorted(WORLDS) for m in WORLDS[w]().models])
def test_few_columns_and_many_are_scored_alike(world: str, model: str) -> None:
    pools, draws = both(world, model), stream(1, f"pools/{world}/{model}")
    columns, features = len(pools[0].names), pools[0].features
    for _ in range(40):
        column, tier = int(draws.integers(columns)), TIERS[int(draws.integers(len(TIERS)))]
        theta, extra = tuple(draws.random(features).tolist()), float(draws.normal())
        spread = Spread(tuple(draws.normal(size=3).tolist()), 0.2, tuple(draws.random(features).tolist()))
        free_at_s, x, now_s = (
            float(draws.normal()) * 9,
            tuple((draws.random(2) * 99).tolist()),
            float(draws.random()),
        )
        for pool in pools:
            pool.sent += 1
            pool.set_law(column, theta, 0.3, spread)
            pool.set_prior(column, theta)
            pool.set_bias(column, tier, extra)
            pool.set_free(column, free_at_s, 0.1)
            pool.evaluate(1, x, 1000, now_s, 3.0 if features == 2 else 0.0)
        assert state(pools[0], x) == state(pools[1], x)
        for pool in pools:
            pool.bend(0.5, 0.25)
            pool.rescore(column, 1.5)
        assert state(pools[0], x) == state(pools[1], x)
        for pool in pools:
            pool.overrule(column, 1.0, 2.0, 3.0)
        assert state(pools[0], x) == state(pools[1], x)
        present = [c for c in range(pool.routable) if pool.tier[c] < inf]
        free = [c for c in present if pool.tier[c] % OFF_S < AVOID_S]
        assert pool.open == (free or present)
