"""`edgebed workload`, and what runs keep of what their sources read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.runs.manifest import read_note
from emulation.files import load_scenario
from emulation.recording import read_run
from workloads.generate import generate

pytestmark = pytest.mark.usefixtures("undrawn")

BURST = """
name: burst
testbed: demo
workload: [{kind: trace, trace: burstgpt, rate_per_s: 2, rows: 60, by_model: {ChatGPT: gpt2, GPT-4: gpt2-large}}]
slots: 2
slot_s: 20
"""


def invoke(*arguments: str) -> str:
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def scenario_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "burst.yaml"
    path.write_text(BURST)
    return path


def test_shows_what_was_read_sent_and_dropped(scenario_file: Path) -> None:
    found = json.loads(invoke("workload", str(scenario_file), "--json"))
    source = found["sources"][0]
    assert source["adds_up"]
    assert source["read"] == 60 == source["emitted"] + sum(source["dropped"].values())
    assert sum(m["requests"] for m in found["models"]) == source["emitted"]
    said = invoke("workload", str(scenario_file))
    assert "empty 4" in said
    assert found["digest"] in said


def test_what_it_writes_replays_as_the_same_requests(scenario_file: Path) -> None:
    invoke("workload", str(scenario_file), "--out", "asked.csv")
    again = scenario_file.with_name("again.yaml")
    again.write_text(
        "{name: again, testbed: demo, slots: 2, slot_s: 20, workload: [{kind: trace, trace: asked.csv, format: csv,"
        " by_model: {gpt2: gpt2, gpt2-large: gpt2-large}, columns: {time: arrival_s, time_unit: s, model: model,"
        " prompt_tokens: prompt_tokens, output_tokens: output_tokens}}]}"
    )
    first, second = (generate(load_scenario(path), 0).items for path in (scenario_file, again))
    facts = [
        [(r.arrival_s, r.model, r.prompt_tokens, t.output_tokens) for r, t in own] for own in (first, second)
    ]
    assert facts[0] == facts[1]


@pytest.mark.slow
def test_a_run_keeps_what_its_sources_read_and_its_report_says_so(scenario_file: Path) -> None:
    out = invoke(
        "compare",
        str(scenario_file),
        "--schemes",
        "sect,round-robin",
        "--seeds",
        "0,1",
        "--out",
        "o",
        "--json",
    )
    found = json.loads(out)
    account = found["workload"][0]
    assert account["adds_up"]
    assert account["read"] == 120
    note = read_note(Path("o/sect/seed-1"))
    assert note is not None
    assert note.workload[0].emitted == len(read_run(Path("o/sect/seed-1")).requests)
    assert note.workload[0].dropped
    told = CliRunner().invoke(app, ["report", "o"])
    assert "workload/0 (trace), over 2 seeds: 120 read =" in " ".join((told.stdout + told.stderr).split())


def test_a_trace_that_is_not_there_is_one_line(scenario_file: Path) -> None:
    scenario_file.write_text(BURST.replace("trace: burstgpt", "trace: nowhere.csv, format: burstgpt"))
    found = CliRunner().invoke(app, ["workload", str(scenario_file)])
    assert found.exit_code != 0
    assert "no trace" in str(found.exception)
