"""Scenario files, and the packaged ones."""

from __future__ import annotations

from typing import get_args

from docs.generate.fields import model_section
from docs.generate.markdown import cell, table
from emulation.domain import events, scenario
from emulation.domain.slo import Slo
from emulation.files import list_scenarios, load_scenario

SOURCES = get_args(get_args(scenario.WorkloadSource)[0])
EVENTS = get_args(get_args(events.Event)[0])
SCENARIO = (
    scenario.Scenario, *SOURCES, scenario.TraceColumns, scenario.TokenLengths, *EVENTS, scenario.LiveConfig, Slo,
)  # fmt: skip


def page() -> str:
    """Scenario files."""
    text = (
        "# Scenario file\n\nYAML. Unknown and doubled keys are errors; each error names file, field, value and "
        "fix. `testbed` is a\npackaged name, a path relative to the file, or an inline mapping "
        "([testbed file](testbed.md)). A relative `trace` path is\nlooked for beside the file too. Times are "
        "virtual seconds. What can be put under `controllers`:\n[parameters](parameters.md).\n\n"
    )
    kinds = {cls: f"{cls.model_fields['kind'].default}" for cls in (*SOURCES, *EVENTS)}
    names = {cls: f"Source `{kinds[cls]}`" for cls in SOURCES} | {
        cls: f"Event `{kinds[cls]}`" for cls in EVENTS
    }
    titles = {
        scenario.TokenLengths: "`lengths` of a source",
        scenario.TraceColumns: "`columns` of a source `trace`",
        scenario.LiveConfig: "`live`",
        Slo: "`slo` of a model",
    }
    text += "\n".join(model_section(cls, names.get(cls) or titles.get(cls, "")) for cls in SCENARIO)
    found = [load_scenario(name) for name in list_scenarios()]
    rows = [
        [f"`{name}`", f"`{s.testbed.name}`", str(s.slots), cell(s.note.strip())]
        for name, s in zip(list_scenarios(), found, strict=True)
    ]
    return text + "\n## Packaged scenarios\n\n" + table(["name", "testbed", "slots", "what it is"], rows)
