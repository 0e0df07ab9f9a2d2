"""Where a comparison keeps its files: one folder per run, the scenario beside them, the report on top."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edgebed.report.model import ParityReport
from edgebed.runs.manifest import MANIFEST_FILE, Manifest, check_baseline, joined, read_manifest
from emulation.domain.complaints import complaint
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.recording import RECORD_FILE, SIDE_FILE, part_of, write_whole
from serve_apps.records.open_run import clear

SCENARIO_FILE = "scenario.json"
PARITY_FILE = "parity.json"
CASES_FILE = "cases.jsonl"
"""In the folder of a live run: the planner's cases."""
UP_LOG = "up.log"
"""What a testbed that stays has said; written before the rest."""
LOGS = "logs"
"""Of what every process of a live testbed logs."""
UI_LOG = "ui.log"
"""What the control room beside it has said."""
_WORDS = frozenset({UP_LOG, LOGS, UI_LOG})
"""They stay where a testbed did not come up, and make no folder anybody's."""

_CHOICE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
"""Errors of a folder that was chosen badly."""
_PARITY: TypeAdapter[ParityReport] = TypeAdapter(ParityReport)


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of a comparison: `<scheme>/seed-<n>/record.jsonl` per run, `scenario.json`, `comparison.json` with
    what was to be run, `report.html`."""

    root: Path

    def run_folder(self, scheme: str, seed: int) -> Path:
        """Folder of one run."""
        return self.root / scheme.replace("/", "_") / f"seed-{seed}"

    @property
    def logs(self) -> Path:
        """Folder of what every process of a live testbed logs: `<actor>.jsonl`."""
        return self.root / LOGS

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def is_comparison(self) -> bool:
        """Whether the folder is one of ours, by what lies in it."""
        return any((self.root / name).exists() for name in (MANIFEST_FILE, SCENARIO_FILE))

    def claim(self, scenario: Scenario, wanted: Manifest, resume: bool = False) -> Manifest:
        """Make the folder that of a comparison; with `resume`, of one that goes on. Returns its manifest.

        Raises `ConfigError` if the folder holds anything else, cannot be written, or is of another experiment.
        """
        held = empty_or_held(self.root)
        manifest = read_manifest(self.root) if held else None
        if manifest is not None and not resume:
            raise ConfigError(
                f"{self.root}: holds a comparison of {', '.join(manifest.plan)} already; add --resume to go on with it,"
                " or give another folder with --out"
            )
        if held and manifest is None:
            raise ConfigError(
                f"{self.root}: is not empty and no comparison of this version (it holds {held}); give another folder"
                " with --out"
            )
        if manifest is not None:
            wanted = joined(manifest, wanted, self.root)
        check_baseline(wanted.baseline, wanted.plan)
        try:
            wanted.write(self.root)
            self.save_scenario(scenario)
            (self.root / PARITY_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise _not_writable(self.root, error) from error
        return wanted

    @contextmanager
    def released_unless_begun(self) -> Iterator[None]:
        """Where what follows `claim` fails before any run began, the folder is free again for the same command."""
        try:
            yield
        except BaseException:
            if not any(self.root.glob("*/seed-*/*")):
                for name in (MANIFEST_FILE, SCENARIO_FILE):
                    (self.root / name).unlink(missing_ok=True)
            raise

    def save_parity(self, report: ParityReport) -> None:
        """Keep what the check of both worlds found, so that a report later says the same."""
        write_whole(self.root / PARITY_FILE, _PARITY.dump_json(report, indent=1))

    def parity(self) -> ParityReport | None:
        """What was found; None if it was not asked for, or runs were added since. Raises `ConfigError`."""
        file = self.root / PARITY_FILE
        try:
            return _PARITY.validate_json(file.read_bytes()) if file.exists() else None
        except (OSError, ValidationError) as error:
            raise ConfigError(f"{file}: not what this version of edgebed wrote; remove it") from error

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
                f"{file}: not a scenario this version can read: {complaint(Scenario, error)}"
            ) from error

    def records(self) -> list[Path]:
        """Folders of runs that are there, whatever is in them, in order of their names."""
        found = (file.parent for file in self.root.glob(f"*/seed-*/{RECORD_FILE}"))
        return sorted((f for f in found if seed_of(f) is not None), key=lambda f: (f.parent.name, seed_of(f)))


def empty_or_held(root: Path) -> str:
    """What a folder holds, in a few words; empty if it is not there or holds nothing but words of processes.

    Raises `ConfigError` for what is no folder or cannot be looked into.
    """
    try:
        names = sorted(entry.name for entry in root.iterdir() if entry.name not in _WORDS)
    except FileNotFoundError:
        return ""
    except NotADirectoryError as error:
        raise ConfigError(f"{root}: is a file; give a folder with --out") from error
    except OSError as error:
        raise ConfigError(f"{root}: cannot be looked into: {error.strerror}; give another folder") from error
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def fresh_folder(root: Path) -> Path:
    """The folder, made if need be. Raises `ConfigError` unless it is empty and can be written: results of different
    calls are not mixed."""
    held = empty_or_held(root)
    if held:
        raise ConfigError(f"{root}: is not empty (it holds {held}); give another folder with --out")
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".probe"
        try:
            probe.write_bytes(bytes(4096))  # a full disk is better known now than when all is done
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _not_writable(root, error) from error
    return root


def _not_writable(root: Path, error: OSError) -> Exception:
    """What to raise: the user's choice of a folder is his mistake, a full disk is not."""
    if error.errno in _CHOICE:
        return ConfigError(f"{root}: cannot be written: {error.strerror}; give another folder with --out")
    return error


def layout_of(folder: Path) -> Layout:
    """The comparison a folder belongs to: itself, or the one above if a single run's folder is given.

    Raises `ConfigError` if it is not there.
    """
    if not folder.exists():
        raise ConfigError(f"{folder}: no such folder; give one that `edgebed compare` or `simulate` wrote")
    for root in (folder, *list(folder.parents)[:2]):
        if (found := Layout(root)).is_comparison:
            return found
    return Layout(folder)


def clear_run(folder: Path) -> None:
    """Remove what an earlier try left of a run."""
    for file in (folder / SIDE_FILE, folder / RECORD_FILE):
        part_of(file).unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    clear(folder)


def seed_of(run_folder: Path) -> int | None:
    """The seed that the name of a run's folder states; None if it is no such name."""
    number = run_folder.name.removeprefix("seed-")
    return int(number) if number.isdecimal() else None
