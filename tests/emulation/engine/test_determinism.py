"""Same scenario and seed: the same bytes, in another process too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.recording import RECORD_FILE, JsonlSink, read_run

EVENTS: Sequence[dict[str, Any]] = (
    {"kind": "slowdown", "node": "arc-b60", "factor": 2.5, "at_s": 40, "until_s": 90, "hint": "overheating"},
    {
        "kind": "ramp",
        "node": "jetson-thor",
        "factor": 3,
        "ramp_s": 30,
        "steps": 5,
        "at_s": 50,
        "until_s": 120,
    },
    {
        "kind": "drift",
        "node": "cpu-server",
        "model": "gpt2",
        "factors": [1.5, 0.8],
        "at_s": 20,
        "until_s": 130,
    },
    {"kind": "pause", "node": "arc-b60", "at_s": 85, "until_s": 97},
    {"kind": "pause", "node": "jetson-thor", "model": "sd", "at_s": 60, "until_s": 75, "visible": "never"},
    {"kind": "error", "node": "cpu-server", "rate": 0.5, "at_s": 60, "until_s": 100},
    {"kind": "leave", "node": "thinkedge", "at_s": 60, "until_s": 80, "in_flight": "requeue"},
    {"kind": "leave", "node": "jetson-thor", "at_s": 70, "until_s": 95, "in_flight": "fail"},
    {"kind": "leave", "node": "arc-b60", "at_s": 100, "until_s": 125, "in_flight": "resume"},
    {"kind": "link_delay", "a": "edge", "b": "edge", "extra_s": 0.4, "at_s": 30, "until_s": 110},
    {"kind": "link_loss", "a": "edge", "b": "edge", "rate": 0.3, "at_s": 50, "until_s": 90},
    {"kind": "drain", "node": "arc-b60", "at_s": 130, "until_s": 145, "notice_s": 5},
    {"kind": "node_kill", "node": "jetson-thor", "at_s": 130, "until_s": 140},
    {"kind": "replica_crash", "node": "cpu-server", "model": "blip", "at_s": 45, "until_s": 55},
    {"kind": "replica_kill", "node": "cpu-server", "model": "gpt2", "at_s": 75, "until_s": 85},
    {"kind": "llm_outage", "at_s": 10, "until_s": 100},
)
SCHEMES = ("AL", "MA", "sect", "oracle")
SCENARIOS = ("demo", "bristol-A", "eventful")
SEED = 3


def eventful() -> Scenario:
    """The demo's testbed under every kind of event, and more load than it can take while they last."""
    demo = load_scenario("demo")
    trace = demo.workload[0].model_copy(update={"rate_per_s": 2.5})
    changes = {"name": "eventful", "workload": (trace,), "events": EVENTS, "slots": 8, "deadline_s": 60.0}
    return Scenario.model_validate({**demo.model_dump(), **changes, "workload": (trace.model_dump(),)})


def digest(scenario: Scenario, scheme: str, seed: int, folder: Path) -> str:
    """Run and return the hash of the record file."""
    sink = JsonlSink(folder)
    simulate(scenario, scheme, seed, sink)
    sink.close()
    return sha256((folder / RECORD_FILE).read_bytes()).hexdigest()


def scenario_of(name: str) -> Scenario:
    if name == "eventful":
        return eventful()
    whole = load_scenario(name)
    return whole.model_copy(update={"slots": min(whole.slots, 24), "tail_slots": 0})


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The runs of every scenario in one other process, with another hash seed: their hashes, scheme by scheme."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in SCENARIOS:
        (folder / f"{name}.json").write_text(scenario_of(name).model_dump_json())
    script = (
        "import sys; from hashlib import sha256; from pathlib import Path\n"
        "from edgebed.runs.virtual import simulate\n"
        "from emulation.domain.scenario import Scenario\n"
        "from emulation.recording import RECORD_FILE, JsonlSink\n"
        "for file in sys.argv[3].split(','):\n"
        "    scenario = Scenario.model_validate_json((Path(sys.argv[1]) / f'{file}.json').read_text())\n"
        "    for scheme in sys.argv[4:]:\n"
        "        folder = Path(sys.argv[1]) / file / scheme\n"
        "        sink = JsonlSink(folder); simulate(scenario, scheme, int(sys.argv[2]), sink); sink.close()\n"
        "        print(sha256((folder / RECORD_FILE).read_bytes()).hexdigest())\n"
    )
    command = [sys.executable, "-c", script, str(folder), str(SEED), ",".join(SCENARIOS), *SCHEMES]
    environment = {"PYTHONHASHSEED": "4711", "PYTHONPATH": ":".join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found = iter(done.stdout.split())
    return {name: [next(found) for _ in SCHEMES] for name in SCENARIOS}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_another_process_writes_the_same_bytes(
    name: str, elsewhere: dict[str, list[str]], tmp_path: Path
) -> None:
    here = [digest(scenario_of(name), scheme, SEED, tmp_path / scheme) for scheme in SCHEMES]
    assert elsewhere[name] == here
    assert len(set(here)) == len(SCHEMES)


def test_another_seed_writes_other_bytes(tmp_path: Path) -> None:
    scenario = eventful()
    found = {digest(scenario, "sect", seed, tmp_path / str(seed)) for seed in range(3)}
    assert len(found) == 3


@pytest.mark.slow
def test_a_second_run_in_the_same_process_writes_the_same_bytes(tmp_path: Path) -> None:
    scenario = eventful()
    first, second = (digest(scenario, "MA+sect", 5, tmp_path / name) for name in ("first", "second"))
    assert first == second


def test_every_event_lands_and_is_undone_on_the_eventful_testbed(tmp_path: Path) -> None:
    digest(eventful(), "sect", 3, tmp_path)
    run = read_run(tmp_path)
    onsets = {e.event for e in run.events if e.phase == "onset"}
    undone = {e.event for e in run.events if e.phase == "undo"}
    assert onsets == undone == set(range(len(EVENTS)))
    assert {"done", "node_lost", "error"} <= {r.outcome for r in run.requests}
