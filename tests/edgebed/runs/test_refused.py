"""Virtual runs that ask a language model: one at a time, and what is left where its server refuses them for good."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgebed.matrix import running
from edgebed.matrix.plan import MatrixPlan
from edgebed.runs import virtual
from edgebed.runs.comparison import compare_virtual
from edgebed.runs.layout import Layout
from edgebed.runs.manifest import read_note
from edgebed.runs.pool import Ended
from edgebed.runs.virtual import Task, run_tasks
from edgebed.wiring.reasoners import asks_model
from emulation.domain.scenario import Scenario
from emulation.metrics.view import is_exchange
from emulation.recording import read_run
from tests.build.command_line import edgebed
from tests.build.hierarchy import Hierarchy, short
from tests.build.small import small_scenario
from tests.build.stand_in_llm import serving

REVOKED = b'{"error": {"message": "the key was revoked", "type": "x", "code": null, "param": null}}'
ASKING = {"agents": {"planner": "openai"}}
SCHEMES = ["MA", "sect", "MA+sect"]


@dataclass
class Revoked(Hierarchy):
    """Refuses the key after so many answers."""

    answers: int = 1

    def behave(self, body: dict[str, Any]) -> tuple[int, bytes]:
        if len(self.seen) < self.answers:
            return super().behave(body)
        with self.lock:
            self.seen.append(body)
        return 401, REVOKED


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    with serving(Revoked()) as found:
        monkeypatch.setenv("EDGEBED_LLM_BASE_URL", found.url)
        monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
        monkeypatch.setenv("OPENAI_API_KEY", "test")
        yield found


def asking() -> Scenario:
    """A planner asks in its own words at the begin of two epochs; rules do the rest."""
    openai = {"timeout_s": 5.0, "attempts": 1, "backoff_s": 0.0}
    return short(planner="openai", answers="free", openai=openai)


def test_a_refusal_in_the_middle_keeps_the_record_as_cut_and_begins_nothing_that_asks(
    server: Revoked, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    outcome = compare_virtual(asking(), SCHEMES, [0, 1], layout, quiet=True)
    assert set(outcome.runs) == {("sect", 0), ("sect", 1)}, "whoever asks nobody is not concerned"
    assert "the key was revoked" in outcome.refused
    assert (outcome.failed, len(server.seen)) == ({}, 2)
    cut = read_run(layout.run_folder("MA", 0))
    assert cut.footer is not None
    assert cut.footer.interrupted
    assert cut.footer.conserved()
    assert len([d for d in cut.decisions if is_exchange(d)]) == 1, "what was paid for"
    note = read_note(layout.run_folder("MA", 0))
    assert note is not None
    assert (note.failed, note.cut) == (None, outcome.refused)
    assert not layout.run_folder("MA+sect", 0).exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_command_whose_model_refuses_in_the_middle_leaves_with_2_and_says_why(
    server: Revoked, tmp_path: Path
) -> None:
    server.answers = 2  # one of them before the runs begin
    scenario, out = tmp_path / "asking.json", tmp_path / "out"
    scenario.write_text(asking().model_dump_json())
    said = edgebed("compare", str(scenario), "--schemes", "MA,sect", "--out", str(out), "--json", code=2)
    assert "MA, seed 0 was cut: reasoner openai" in said.stderr
    (left_out,) = json.loads(said.stdout)["left_out"]
    assert left_out["how"] == "cut"
    assert "the key was revoked" in left_out["why"]
    listed = edgebed("runs", "list", str(out), "--json").stdout
    assert "the key was revoked" in listed
    alone = edgebed("compare", str(scenario), "--schemes", "MA", "--out", str(tmp_path / "alone"), code=2)
    assert "the key was revoked" in alone.stderr


def test_who_asks_a_model_is_known_by_its_roles_and_by_what_it_switches_to() -> None:
    asking = small_scenario(controllers=ASKING)
    assert [asks_model(asking, scheme) for scheme in SCHEMES] == [True, False, True]
    assert not any(asks_model(small_scenario(), scheme) for scheme in SCHEMES)
    switch = {"kind": "scheme", "to": "MA", "at_s": 10.0}
    assert asks_model(small_scenario(controllers=ASKING, events=[switch]), "sect")


@pytest.mark.parametrize(("told", "together"), [(None, 1), (3, 3)])
def test_runs_that_ask_a_model_go_one_at_a_time_after_the_others_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: int | None, together: int
) -> None:
    begun: list[tuple[list[str], int | None]] = []

    def instead(work: Any, items: Any, workers: int | None, on_look: Any) -> Any:
        begun.append(([task.scheme for task in items], workers))
        on_look(float(len(items)))
        return (Ended(item, None) for item in items)

    monkeypatch.setattr(virtual, "each_ended", instead)
    looks: list[float] = []
    tasks = [Task(scheme, seed, tmp_path) for seed in (0, 1) for scheme in SCHEMES]
    list(run_tasks(small_scenario(controllers=ASKING), tasks, told, looks.append))
    assert begun == [(["sect"] * 2, told), (["MA", "MA+sect"] * 2, together)]
    assert looks == [2.0, 6.0], "the bar goes on"


@pytest.mark.parametrize(
    ("controllers", "told", "workers"), [(ASKING, None, 1), (ASKING, 3, 3), ({}, None, None)]
)
def test_a_matrix_that_asks_a_model_makes_one_run_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, controllers: Any, told: int | None, workers: int | None
) -> None:
    monkeypatch.setenv("EDGEBED_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
    found: list[int | None] = []

    def instead(work: Any, items: Any, workers: int | None, on_look: Any) -> Any:
        found.append(workers)
        return iter(())

    monkeypatch.setattr(running, "each_ended", instead)
    world = small_scenario(controllers=controllers)
    (tmp_path / "small.json").write_text(world.model_dump_json())
    plan = MatrixPlan.model_validate(
        {"name": "p", "scenarios": ["small.json"], "schemes": ["MA", "sect"], "seeds": "0"}
    )
    running.run_plan(plan, tmp_path, tmp_path / "out", quiet=True, workers=told)
    assert found == [workers]
