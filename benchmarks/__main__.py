"""Run, show, and keep the figures in `benchmarks/results`.

`python -m benchmarks [--quick] [--no-save] [--source FOLDER] [name ...]`
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import pkgutil
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emulation.recording import write_whole

HERE = Path(__file__).parent
_PACKAGES = ("h11", "nicegui", "numpy", "orjson", "pydantic", "ray", "simpy", "torch")


def names() -> list[str]:
    """Every module of this package that has a `run`, sorted."""
    found = (module.name for module in pkgutil.iter_modules([str(HERE)]) if not module.ispkg)
    return sorted(n for n in found if "\ndef run(" in (HERE / f"{n}.py").read_text(encoding="utf-8"))


def measure(name: str, quick: bool, source: str | None = None) -> dict[str, Any]:
    """Run one benchmark; its figures with the versions and the machine they were measured on."""
    run = import_module(f"benchmarks.{name}").run
    known = inspect.signature(run).parameters
    return described(
        name, quick, run(**{k: v for k, v in (("quick", quick), ("source", source)) if k in known})
    )


def described(name: str, quick: bool, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures with the versions and the machine they were measured on."""
    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "system": platform.system()},
        "versions": {"python": platform.python_version(), **_versions()},
        "figures": figures,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def save(result: Mapping[str, Any]) -> Path:
    """Write one result whole, or not at all."""
    path = HERE / "results" / f"{result['benchmark']}.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    return path


def ratio_table(results: list[dict[str, Any]]) -> Table:
    """Ratios beside their targets."""
    table = Table("benchmark", "ratio", "value", "target", "", title="Ratios within one run")
    for result in results:
        for row in result["figures"].get("ratios", ()):
            sign = ">=" if row["at_least"] else "<="
            met = row["value"] >= row["target"] if row["at_least"] else row["value"] <= row["target"]
            verdict = "[green]met[/]" if met else "[red]missed[/]"
            table.add_row(
                result["benchmark"], row["name"], f"{row['value']:.2f}", f"{sign} {row['target']:g}", verdict
            )
    return table


def figure_table(results: list[dict[str, Any]]) -> Table:
    """Every single raw figure; lists of repetitions are left to the file."""
    table = Table("benchmark", "figure", "value", title="Raw figures (this machine, this run)")
    for result in results:
        figures = {k: v for k, v in result["figures"].items() if k != "ratios"}
        for name, value in _leaves(figures):
            table.add_row(
                result["benchmark"], name, f"{value:,.4g}" if isinstance(value, float) else str(value)
            )
    return table


def _leaves(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield f"{prefix}{name}", value


def main() -> int:
    """Run the named benchmarks, or all of them; 2 on an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of: {', '.join(names())} (default: all)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions, smaller sizes; rougher figures"
    )
    parser.add_argument("--no-save", action="store_true", help="leave benchmarks/results as it is")
    parser.add_argument(
        "--source",
        metavar="FOLDER",
        help="a text model's weights, for those that can measure one (injection)",
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(names()))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known: {', '.join(names())}")
    console, results = Console(), []
    for name in arguments.names or names():
        with console.status(f"measuring {name} ..."):
            results.append(measure(name, arguments.quick, arguments.source))
        if not arguments.no_save:
            console.print(f"wrote {save(results[-1]).relative_to(HERE.parent)}")
    console.print(figure_table(results))
    console.print(ratio_table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
