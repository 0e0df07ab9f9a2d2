"""Plan files of `edgebed matrix`, and the figures that schemes can be ranked by."""

from __future__ import annotations

from docs.generate.fields import model_section
from docs.generate.markdown import cell, table
from edgebed.matrix.metrics import METRICS
from edgebed.matrix.plan import MatrixPlan, PoolEntry, ScenarioEntry, load_plan, plan_names


def page() -> str:
    """Plan files."""
    text = (
        "# Plan file of a matrix\n\nYAML, for `edgebed matrix` ([how to](../how-to/run-a-matrix.md)). Unknown and "
        "doubled keys are errors; each error names file,\nfield, value and fix.\n\n"
    )
    titles = {MatrixPlan: "Plan", ScenarioEntry: "An entry of `scenarios`", PoolEntry: "`pool` of an entry"}
    text += "\n".join(model_section(cls, title) for cls, title in titles.items())
    rows = [
        [f"`{m.name}`", m.label, m.unit or "–", "less" if m.better == "low" else "more", cell(m.about)]
        for m in METRICS.values()
    ]
    text += "\n## What can be ranked by\n\n" + table(
        ["`rank_by`", "in tables", "unit", "better", "what"], rows
    )
    plans = [load_plan(name)[0] for name in plan_names()]
    shipped = [
        [f"`{p.name}`", str(len(p.scenarios)), str(len(p.schemes)), str(len(p.seeds)), cell(p.note.strip())]
        for p in plans
    ]
    return (
        text
        + "\n## Shipped plans\n\n"
        + table(["name", "scenarios", "schemes", "seeds", "what it is"], shipped)
    )
