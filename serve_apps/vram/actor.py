"""The vRAM ledger of a live testbed as a named Ray actor, and how a replica reaches it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray

from emulation.files import ConfigError
from serve_apps.vram.ledger import Claim, Gpu, Overcommit, VramLedger
from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.names import VRAM
from serve_apps.wire.restart import lives

ALIVE_TIMEOUT_S = 1.0
"""Wall seconds a holder has to show that it is gone; one that says nothing loads its model, and lives."""
PATIENCE_S = 5.0
"""Wall seconds a replica waits for memory that a predecessor, or a neighbour that stops, still gives back."""
LOOK_S = 0.5
CALL_TIMEOUT_S = 30.0


class VramHost:
    """The actor `vram`. Claims of replicas that are no more are released when their memory is wanted, or looked at."""

    def __init__(self) -> None:
        self._ledger = VramLedger()
        self._holders: dict[str, Any] = {}
        """Application to the handle of the replica that claimed."""

    async def claim(self, app: str, gpus: Sequence[Gpu], stated_mb: float, holder: Any) -> tuple[Claim, ...]:
        """The claims. `holder`: the replica's own handle, by which it is asked whether it lives, on whatever host.

        Raises `Overcommit`.
        """
        try:
            claims = self._ledger.claim(app, gpus, stated_mb)
        except Overcommit:
            await self._sweep()
            claims = self._ledger.claim(app, gpus, stated_mb)
        self._holders[app] = holder
        return claims

    async def report(self, app: str, used_mb: Sequence[float]) -> None:
        """What a replica really took. Raises `Overcommit` if it must go: it then holds nothing."""
        try:
            self._ledger.report(app, used_mb)
        except Overcommit:
            self._release(app)
            raise

    async def accounts(self) -> list[tuple[Gpu, tuple[Claim, ...]]]:
        """Every GPU of the testbed that was ever claimed of, and who holds what of it now."""
        await self._sweep()
        return self._ledger.accounts()

    async def _sweep(self) -> None:
        """Release what holders that are no more still hold."""
        holders = [(app, self._holders[app]) for app in self._ledger.apps()]
        there = await asyncio.gather(*(lives(h, ALIVE_TIMEOUT_S, if_silent=True) for _, h in holders))
        for (app, holder), alive in zip(holders, there, strict=True):
            if not alive and self._holders.get(app) is holder:  # no successor has claimed meanwhile
                self._release(app)

    def _release(self, app: str) -> None:
        self._ledger.release(app)
        self._holders.pop(app, None)


class VramAccount:
    """A replica's side of the ledger. Nothing is looked up before the first claim: a replica on a CPU has none."""

    def __init__(self, app: str, stated_gb: float, patience_s: float = PATIENCE_S) -> None:
        """`stated_gb`: what the inventory says the model needs; `patience_s`: wall seconds to wait for it."""
        self._app = app
        self._stated_mb = stated_gb * 1024
        self._patience_s = patience_s

    def claim(self, look: Callable[[], Sequence[Gpu]]) -> float:
        """Hold what the model needs on the GPUs that `look` finds; returns MiB held on each, the context included.

        Waits a little for memory that is being given back. Raises `ConfigError` if it does not fit.
        """
        holder = ray.get_runtime_context().current_actor
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                claims: tuple[Claim, ...] = self._ask(
                    "claim", self._app, tuple(look()), self._stated_mb, holder
                )
            except Overcommit:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_S)
            else:
                return claims[0].held_mb  # the same on each

    def report(self, used_mb: Sequence[float]) -> None:
        """What the loaded model really took of each GPU, MiB. Raises `ConfigError` if that was promised to others."""
        self._ask("report", self._app, tuple(used_mb))

    def _ask(self, method: str, *args: Any) -> Any:
        try:
            return RayCalls().call_now(VRAM, method, *args, limit_s=CALL_TIMEOUT_S)
        except Unreached as error:
            raise ConfigError(
                f"{self._app}: no vRAM ledger answers ({error}); start the testbed anew"
            ) from error
        except ValueError as refused:
            raise Overcommit(str(refused)) from None
