"""Somebody else's package whose classes go wrong in ways that no answer shows: they leave, garble, or cannot even fail
in words."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import suppress
from typing import Any

from pydantic import field_validator

from controller.fast_view import FastView, Pool
from controller.perf.prior import Prior
from controller.routers.router import ALL_AWAY, Pick
from controller.schemes import Scheme
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Strict
from emulation.domain.ports import PerfKey
from emulation.domain.request import Request
from emulation.domain.snapshot import NodeView
from tests.build.mylab import Careful, Greedy

HERE = "tests.build.badlab"


class Leaving(Careful):
    """Ends the process in which it decides."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        sys.exit("no more")


class Lazy(Careful):
    """Gives something that would give an answer."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Any:
        yield 0, "later"


class Interrupting(Careful):
    """Does as if somebody had pressed Ctrl-C."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        raise KeyboardInterrupt


class LeavingLate(Careful):
    def dispatched(self, request: Request, pool: Pool, column: int) -> None:
        sys.exit(3)


class LeavingAtOnce(Careful):
    def __init__(self, config: Any = None, seed: int = 0) -> None:
        sys.exit("not today")


class Wordless(Exception):
    """An error that fails when it is to say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Speechless(Careful):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        raise Wordless


class Wordy(Careful):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        raise ValueError("first line\nsecond line \x1b[31m\ud800")


class Garbled(Careful):
    """Its reason is no text that a record could hold."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        return (pool.lowest(), "a\nb\x1b\ud800" + 9_999 * "c") if pool.open else ALL_AWAY


class Evasive(Careful):
    """Fails to say what it is."""

    @property
    def explores(self) -> bool:  # type: ignore[override]
        raise LookupError("who knows")


class Sealed(Careful):
    """Goes to another process and does not come out there."""

    def __setstate__(self, state: object) -> None:
        raise ValueError("lost on the way")


class Talking(Careful):
    """Prints whatever it does."""

    def __init__(self, config: Any = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        print("made")

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        print("choosing")
        return super().choose(request, pool, view)


class Demanding(Careful):
    class Config(Strict):
        weight: float
        other: int = 1


class Checking(Careful):
    class Config(Strict):
        weight: float = 1.0

        @field_validator("weight")
        @classmethod
        def _known(cls, weight: float) -> float:
            return {1.0: 1.0}[weight]


class Environed(Careful):
    """Asks the environment, and Python's own library for something random."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        os.environ.get("CAREFUL")
        uuid.uuid4()
        return super().choose(request, pool, view)


class Altering(Careful):
    """Gives the request it is asked about more time."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        object.__setattr__(request, "deadline_s", request.deadline_s + 1.0)
        return super().choose(request, pool, view)


class Masking(Careful):
    """Changes what is believed of an executor."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        next(iter(view.beliefs.values())).risky = True
        return super().choose(request, pool, view)


class Unsorted(Careful):
    """Alike within a process, and another in each."""

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        if not pool.open:
            return ALL_AWAY
        return pool.names.index(next(iter({pool.names[c] for c in pool.open}))), "as it comes"


class Stuck(Careful):
    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        while True:
            with suppress(Exception):
                sum(range(1_000))


class LeavingModel(Prior):
    learns = True

    def observe(self, key: PerfKey, x: Any, service_s: float, t_s: float) -> None:
        sys.exit(1)


class LeavingDeployer(Greedy):
    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        sys.exit(1)


class GarbledDeployer(Greedy):
    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        return Choice(NodeConfig(view.id, {}), "\ud800\n")


def _row(router: Any = "sect", perf: str = "nnls", deployer: str = "full", **more: Any) -> Scheme:
    return Scheme("bad", "outside", "goes wrong", router, perf, deployer, **more)


LEAVING, LATE, AT_ONCE, SPEECHLESS, WORDY, GARBLED, EVASIVE, TALKING = (
    _row(f"{HERE}:{n}")
    for n in (
        "Leaving",
        "LeavingLate",
        "LeavingAtOnce",
        "Speechless",
        "Wordy",
        "Garbled",
        "Evasive",
        "Talking",
    )
)
INTERRUPTING = _row(f"{HERE}:Interrupting")
LAZY = _row(f"{HERE}:Lazy")
SEALED = _row(f"{HERE}:Sealed")
UNSORTED = _row(f"{HERE}:Unsorted")
CHECKING = _row(f"{HERE}:Checking")
MODEL = _row(perf=f"{HERE}:LeavingModel")
DEPLOYER, MUMBLING = _row(deployer=f"{HERE}:LeavingDeployer"), _row(deployer=f"{HERE}:GarbledDeployer")
BY_CLASS, NO_MODEL, LISTED = _row(Leaving), _row(perf=None), _row(router_params=[1])  # type: ignore[arg-type]
