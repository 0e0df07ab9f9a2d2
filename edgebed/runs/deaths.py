"""Who of a live testbed died unplanned during a run: what its watch counted, less what the event plan killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgebed.commands.console import warn
from edgebed.runs.manifest import RunNote
from emulation.domain.records import EventRecord
from emulation.jsonl import RecordError
from emulation.recording import read_run
from serve_apps.testbed.lives import Watch, said_of
from serve_apps.wire.names import app_name, deployer_name, runtime_name


def unplanned(died: Mapping[str, int], events: Iterable[EventRecord]) -> dict[str, int]:
    """Role to deaths that no event of the run's record explains: `replica_kill` one of a replica, `node_kill` one of
    all that is on the node."""
    killed: Counter[str] = Counter()
    for event in events:
        node, _, model = event.target.partition("/")
        if event.phase != "onset":
            continue
        if event.type == "replica_kill":
            killed[app_name(node, model)] += 1
        elif event.type == "node_kill":
            killed.update(role for role in died if _is_on(role, node))
    return {role: count - killed[role] for role, count in sorted(died.items()) if count > killed[role]}


def _is_on(role: str, node: str) -> bool:
    alone = {runtime_name(node), deployer_name(node), f"raylet of {node}"}
    return role in alone or role.startswith(app_name(node, ""))


def note_deaths(watch: Watch, note: RunNote, folder: Path) -> RunNote:
    """The note of a run with what died unplanned in it; written and said if anything did."""
    if not watch.died:
        return note
    try:
        events = read_run(folder).events
    except (OSError, RecordError):
        events = ()
    died = unplanned(watch.died, events)
    if died:
        note = note.model_copy(update={"died": died})
        note.write(folder)
        warn(f"died unplanned: {said_of(died, watch.given_up)}")
    return note
