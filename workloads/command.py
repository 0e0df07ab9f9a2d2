"""How the load generator is called: a process of its own, whoever starts it. No locust here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workloads.open_loop import GRACE_S, WITHOUT_DEADLINE_S

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_ROOT = LOCUSTFILE.parents[1]
_OWN_RUN = (
    "--plain-ids", "--tell-intended", "--request-timeout", str(WITHOUT_DEADLINE_S), "--grace", str(GRACE_S),
)  # fmt: skip


def load_command(
    scenario: Path | str, seed: int, url: str, t0_wall: float, speedup: float, client_log: Path, *,
    own_run: bool = False, rate: float = 1.0, steered: bool = False,
) -> list[str]:  # fmt: skip
    """Locust, headless, sending a scenario's requests to a URL.

    `own_run`: the testbed's run begins at `t0_wall`, and no other load is sent: requests are called as the scenario
    does, and say when they were meant to leave; their clients wait as long as the run expects, whatever the shell
    says. Else they go by a name of the load's own, and say nothing.
    `rate`: how many times as densely as the scenario says. `steered`: its standard input changes that, or stops it.
    """
    return [
        sys.executable, "-m", "workloads.locust_program", "-f", str(LOCUSTFILE), "--headless", "-u", "1", "-r", "1",
        "-H", url, "--only-summary", "--skip-log-setup", "--scenario", str(scenario), "--seed", str(seed),
        "--t0", f"{t0_wall:.6f}", "--speedup", str(speedup), "--client-log", str(client_log), "--rate", str(rate),
        *(_OWN_RUN if own_run else ()),
        *(["--steered"] if steered else []),
    ]  # fmt: skip


def load_environment() -> Mapping[str, str]:
    """Environment in which it finds our packages."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])}
