"""edgebed from Python: compare controllers for generative inference at the edge, in virtual time or live.

    import edgebed

    result = edgebed.compare("demo", ["AL", "sect"], seeds=range(3))
    print(result)                                    # the table of the command
    result.interval("sect", "mean_latency_s")        # mean over seeds and 95% interval, virtual seconds
    requests = result.frame("requests")              # a pandas data frame, a row per request
    result.plot("latency-over-time").save("latency.pdf")

What can be wrong with what is given is a `ConfigError` that names argument, value and fix. Importing this costs
nothing: all it offers is loaded when it is asked for.

This package is also the application: the command (`commands/`), the wiring that builds controllers from names
(`wiring/`), and what is made of runs. Read first: `api/` (the interface above), `commands/main.py` (what a user can
do), `runs/virtual.py` (one scheme on one seed; `runs/live_run.py` is its counterpart on Ray). `report/` turns
records into tables and pages, `reproduce/` runs the papers' experiments, `calibrate/` compares laws with real models
and finds coefficients, `profile/` measures real models, `models/` makes checkpoints for them, `observability/` is what
Prometheus and Grafana need. Every other package ignores this one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebed.api.comparing import compare as compare
    from edgebed.api.comparing import read as read
    from edgebed.api.comparing import simulate as simulate
    from edgebed.api.result import Result as Result
    from edgebed.api.scenarios import build_scenario as build_scenario
    from edgebed.api.scenarios import load_scenario as load_scenario
    from edgebed.api.scenarios import load_testbed as load_testbed
    from edgebed.api.scenarios import scenarios as scenarios
    from edgebed.api.scenarios import schemes as schemes
    from edgebed.api.scenarios import testbeds as testbeds
    from edgebed.report.stats import Interval as Interval
    from edgebed.report.theme import Drawing as Drawing
    from edgebed.runs.failure import WorkError as WorkError
    from emulation.domain.cluster import TestbedConfig as TestbedConfig
    from emulation.domain.mistakes import ConfigError as ConfigError
    from emulation.domain.scenario import Scenario as Scenario
    from emulation.metrics.summary import Summary as Summary
    from emulation.recording import Run as Run

_OFFERED = {
    "compare": "edgebed.api.comparing",
    "simulate": "edgebed.api.comparing",
    "read": "edgebed.api.comparing",
    "load_scenario": "edgebed.api.scenarios",
    "build_scenario": "edgebed.api.scenarios",
    "load_testbed": "edgebed.api.scenarios",
    "scenarios": "edgebed.api.scenarios",
    "testbeds": "edgebed.api.scenarios",
    "schemes": "edgebed.api.scenarios",
    "Result": "edgebed.api.result",
    "Scenario": "emulation.domain.scenario",
    "TestbedConfig": "emulation.domain.cluster",
    "Run": "emulation.recording",
    "Summary": "emulation.metrics.summary",
    "Interval": "edgebed.report.stats",
    "Drawing": "edgebed.report.theme",
    "ConfigError": "emulation.domain.mistakes",
    "WorkError": "edgebed.runs.failure",
}
"""Name to the module that has it."""
__all__ = list(_OFFERED)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """What is offered, loaded when it is first asked for. Raises `AttributeError` for anything else."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_OFFERED[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_OFFERED})
