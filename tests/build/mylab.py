"""Somebody else's package: a router with a parameter, schemes that use it, and parts that break each contract."""

from __future__ import annotations

import random  # noqa: TID251
import threading
import time
from collections.abc import Sequence
from math import nan

from pydantic import BaseModel, Field

from controller.fast_view import FastView, Pool
from controller.perf.prior import Prior
from controller.routers.router import ALL_AWAY, Pick, Router
from controller.schemes import Scheme
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import DeploymentAgent, PerfKey, Prediction
from emulation.domain.request import Request
from emulation.domain.snapshot import NodeView

HERE = "tests.build.mylab"


class Careful(Router):
    """The lowest score plus `weight` standard deviations."""

    class Config(Strict):
        weight: float = Field(default=1.0, ge=0)

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        if not pool.open:
            return ALL_AWAY
        return min(pool.open, key=lambda c: pool.score[c] + self.config.weight * pool.sigma[c]), "careful"


class OutOfRange(Router):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        return len(pool.names), "beyond"


class Raising(Router):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        raise ZeroDivisionError("no reason")


class NoPick(Router):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        return None  # type: ignore[return-value]


class ToTheAbsent(Router):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        return max(range(pool.routable), key=lambda c: pool.tier[c]), "whoever is away"


class Muddled(Router):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        for column in range(len(pool.names)):
            pool.rescore(column, nan)
        return 0, ""


class Forgetful(Careful):
    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        raise KeyError("lost")


class Unpicklable(Careful):
    def __init__(self, config: object = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.lock = threading.Lock()


class Clocked(Careful):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        self.seen_s = time.monotonic()
        return super().choose(request, pool, view)


COUNT = [0]


class Moody(Router):
    """Not deterministic: what it picks depends on what other objects did before."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        COUNT[0] += 1
        return (pool.open[COUNT[0] % len(pool.open)], "as it comes") if pool.open else ALL_AWAY


class NegativeModel(Prior):
    """Predicts that work takes less than no time."""

    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        theta, uncertainty = super().theta(key)
        return tuple(-c for c in theta), uncertainty

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        return Prediction(-1.0, 0.0, 0)


class Greedy(DeploymentAgent):
    """Asks for more than a node has."""

    class Config(Strict):
        """Nothing to set."""

    def __init__(self, testbed: TestbedConfig, node_id: str, config: Config, seed: int) -> None:
        self._node_id, self._models = node_id, [m.id for m in testbed.models]

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        return Choice(
            NodeConfig(self._node_id, dict.fromkeys([*self._models, "no-such-model"], "gpu")), "all"
        )


class Deaf(Greedy):
    """Fails when it is told why it is asked, and gives no reason in words."""

    def begin(self, cause: str) -> None:
        raise OSError("not now")


def _row(router: str = "sect", perf: str = "nnls", deployer: str = "full") -> Scheme:
    return Scheme("mine", "outside", "of another package", router, perf, deployer)


CAREFUL = _row(f"{HERE}:Careful")
OUT_OF_RANGE, RAISING, NO_PICK = (_row(f"{HERE}:{n}") for n in ("OutOfRange", "Raising", "NoPick"))
ABSENT, MUDDLED, FORGETFUL = (_row(f"{HERE}:{n}") for n in ("ToTheAbsent", "Muddled", "Forgetful"))
UNPICKLABLE = _row(f"{HERE}:Unpicklable")
NEGATIVE = _row(perf=f"{HERE}:NegativeModel")
GREEDY, DEAF = _row(deployer=f"{HERE}:Greedy"), _row(deployer=f"{HERE}:Deaf")
NOT_THERE = _row("no_such_router")
NO_SCHEME = Careful


class Random(Router):
    """Draws from the interpreter's own randomness."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        return (random.choice(pool.open), "by chance") if pool.open else ALL_AWAY  # noqa: TID251


class Meddling(Careful):
    """Remembers what it was only asked."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        self.asked = getattr(self, "asked", 0) + 1
        return (pool.open[self.asked % len(pool.open)], "in turn") if pool.open else ALL_AWAY


class Lax(Careful):
    class Config(BaseModel):  # type: ignore[assignment]
        """Takes whatever it is given."""


class Growing(Prior):
    """Keeps all it ever saw, and forgets that others have laws of their own."""

    learns = True

    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        self.seen = [*getattr(self, "seen", []), (x, service_s)]

    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        plain = super().predict(key, x)
        return Prediction(plain.mean_s + len(getattr(self, "seen", [])), plain.sd_s, plain.samples)
