"""Where a comparison keeps its files: one folder per run, the scenario beside them, the report on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE, Run, read_run, write_whole

SCENARIO_FILE = "scenario.json"
CASES_FILE = "cases.jsonl"
"""In the folder of a live run: the planner's cases."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of a comparison: `<scheme>/seed-<n>/record.jsonl` per run, `scenario.json`, `report.html`."""

    root: Path

    def run_folder(self, scheme: str, seed: int) -> Path:
        """Folder of one run."""
        return self.root / scheme.replace("/", "_") / f"seed-{seed}"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    def save_scenario(self, scenario: Scenario) -> None:
        """Keep the scenario as it was run, so that reports and replays need nothing else."""
        write_whole(self.root / SCENARIO_FILE, scenario.model_dump_json(indent=1).encode())

    def scenario(self) -> Scenario:
        """The scenario these runs are of. Raises `ConfigError` if the folder holds none."""
        file = self.root / SCENARIO_FILE
        try:
            return Scenario.model_validate_json(file.read_bytes())
        except OSError as error:
            raise ConfigError(
                f"{self.root}: no {SCENARIO_FILE}; give a folder that `edgebed compare` or `simulate` wrote"
            ) from error
        except ValidationError as error:
            raise ConfigError(
                f"{file}: not a scenario this version can read: {error.errors()[0]['msg']}"
            ) from error

    def runs(self) -> list[Run]:
        """Every run in the folder, in the order their folders were made. Raises `RecordError` for a broken record."""
        files = sorted(
            self.root.glob(f"*/seed-*/{RECORD_FILE}"),
            key=lambda f: (f.parent.parent.stat().st_ctime, _seed(f)),
        )
        return [read_run(file) for file in files]


def layout_of(folder: Path) -> Layout:
    """The comparison a folder belongs to: itself, or the one above if a single run's folder is given."""
    for root in (folder, *list(folder.parents)[:2]):
        if (root / SCENARIO_FILE).exists():
            return Layout(root)
    return Layout(folder)


def _seed(record: Path) -> int:
    return int(record.parent.name.removeprefix("seed-"))
