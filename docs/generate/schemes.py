"""Schemes, a row each."""

from __future__ import annotations

from controller.schemes import SCHEMES
from docs.generate.markdown import cell, table


def page() -> str:
    """Schemes."""
    rows = [
        [
            f"`{s.name}`",
            s.paper,
            *(f"`{part}`" if part else "–" for part in parts),
            s.reasoner,
            cell(s.summary),
        ]
        for s in SCHEMES.values()
        for parts in [(s.router, s.perf, s.scheduler, s.deployer, s.planner, s.meta)]
    ]
    heads = [
        "scheme",
        "paper",
        "router",
        "predictions",
        "scheduler",
        "deployer",
        "planner",
        "meta",
        "reasoner",
        "what it does",
    ]
    return (
        "# Schemes\n\nA scheme is a row of `SCHEMES` in `controller/schemes.py`: names in the registries of "
        "[parameters](parameters.md).\nIn tables a scheme run by rules is written `MA (rules)`. Where a "
        "scenario gives a `plan`, schemes with a planner\nfollow it (planner `given`), but for "
        f"{', '.join(f'`{s.name}`' for s in SCHEMES.values() if s.plans_itself)}. Deployers act on nodes "
        "with `hosting: pods` only; a device is always on.\n\n"
    ) + table(heads, rows)
