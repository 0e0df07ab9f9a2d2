"""One comparison as it is asked for, on the command line or from Python: checked as a whole, then run in its world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgebed.runs.comparison import Outcome, check, compare_virtual
from edgebed.runs.layout import Layout
from emulation.domain.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be run, where its records go, and how; all from `port` on is of live runs only."""

    scenario: Scenario
    """With whatever was changed of its live settings."""
    schemes: Sequence[str]
    seeds: Sequence[int]
    layout: Layout
    reasoner: str | None = None
    """In the place of the scenario's; None leaves them."""
    agents_mode: Literal["choice", "free", "auto"] | None = None
    approve: bool = False
    baseline: str | None = None
    resume: bool = False
    quiet: bool = False
    workers: int | None = None
    """Virtual runs at a time; None: one per core, and one of those that ask a language model."""
    live: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""
    speedup: float | None = None
    """As it was asked for, which stands over what suits small real models."""
    backend: str = "emulated"
    address: str | None = None
    raylets: bool = False
    unprotected: bool = False
    check_parity: bool = False
    ui_port: int | None = None


def carry_out(asked: Asked) -> Outcome:
    """Check everything, run it, and say what came of it; records are in the layout's folders.

    Raises `ConfigError` before anything runs, or `ReasonerError` where a language model refuses for good.
    """
    from edgebed.commands.thinking import check_thinking, thinks_as

    scenario = thinks_as(asked.scenario, asked.reasoner, asked.agents_mode, asked.approve)
    check(scenario, asked.schemes, asked.live, asked.seeds)
    check_thinking(scenario, asked.schemes, asked.reasoner, asked.approve)
    if asked.live:
        return _live(asked, scenario)
    return compare_virtual(
        scenario,
        asked.schemes,
        asked.seeds,
        asked.layout,
        asked.quiet,
        asked.baseline,
        asked.resume,
        asked.workers,
    )


def _live(asked: Asked, scenario: Scenario) -> Outcome:
    from edgebed.models.tiny import with_backend
    from edgebed.runs.live import as_live, compare_live

    scenario, backend = with_backend(scenario, asked.backend, asked.speedup)
    return compare_live(
        as_live(scenario, backend),
        asked.schemes,
        asked.seeds,
        asked.layout,
        port=asked.port,
        check_parity=asked.check_parity,
        quiet=asked.quiet,
        backend=backend,
        address=asked.address,
        raylets=asked.raylets,
        baseline=asked.baseline,
        resume=asked.resume,
        unprotected=asked.unprotected,
        host=asked.host,
        ui_port=asked.ui_port,
    )
