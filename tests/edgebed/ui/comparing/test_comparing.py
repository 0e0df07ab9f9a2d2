"""Schemes side by side: who leads, what changed first after an event, and runs that are still going on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebed.report import compare_runs
from edgebed.report.model import Comparison
from edgebed.runs.comparison import compare_virtual
from edgebed.runs.layout import Layout
from edgebed.ui.comparing.compared import Compared, Row, compared, fingerprint
from edgebed.ui.comparing.fragment import fragment
from edgebed.ui.comparing.leading import headline, leading
from edgebed.ui.comparing.reactions import Reaction, difference, reactions
from edgebed.ui.comparing.so_far import stood, up_to_the_slowest
from edgebed.ui.page.folder import runs_of
from emulation.metrics.summary import summarise
from emulation.recording import RECORD_FILE, Run
from tests.build.comparisons import SPEEDS, synthetic_run
from tests.build.records import decision, event, request, run, state
from tests.build.small import small_scenario


def of_levels(levels: dict[str, tuple[float, int]], seeds: int = 1) -> Comparison:
    """Schemes with a mean latency, and so many of ten requests served."""

    def one(scheme: str, seed: int) -> Run:
        late, served = levels[scheme]
        ends = ["done"] * served + ["expired"] * (10 - served)
        asked = [request(i * 5.0, late + seed / 100, outcome=end) for i, end in enumerate(ends)]
        return run(asked, scheme=scheme, seed=seed, reasoner="none")

    return compare_runs([one(scheme, seed) for scheme in levels for seed in range(seeds)])


# -- who leads


def test_nobody_beats_the_leader_in_anything() -> None:
    comparison = of_levels({"slow": (20.0, 8), "best": (5.0, 10), "fair": (9.0, 10)})
    assert leading(comparison) == "best"
    said = headline(comparison)
    assert said.text.startswith("best is the best here: 5.00 s on average, success ratio 1.000")
    assert (
        "fair is 4.00 s slower (+80%), success the same; slow is 15.0 s slower (+300%), success −0.200"
        in said.text
    )
    assert said.certain == "one"
    assert "One seed" in said.text


def test_no_scheme_leads_that_is_fast_because_it_refuses() -> None:
    said = headline(of_levels({"refuses": (2.0, 5), "serves": (8.0, 10)}))
    assert said.leader is None
    assert said.text.startswith("No scheme is best in both")
    assert "refuses" in said.text
    assert "serves" in said.text


def test_it_is_clear_only_where_the_seeds_can_tell() -> None:
    assert headline(of_levels({"a": (5.0, 10), "b": (9.0, 9)}, seeds=4)).certain == "clear"
    assert headline(of_levels({"a": (5.0, 10), "b": (5.0, 10)}, seeds=4)).certain == "unsure"
    assert headline(of_levels({"a": (5.0, 10), "b": (9.0, 9)}, seeds=2)).certain == "one"


def test_a_scheme_alone_is_compared_with_nothing() -> None:
    said = headline(of_levels({"a": (5.0, 10)}))
    assert said.leader is None
    assert "nothing to compare" in said.text


# -- what changed first


def hit(*decisions: Any, latencies: tuple[float, ...] = (2.0,) * 10) -> Reaction:
    """A run of ten slots whose n1 is slow from 40 to 70 s; a request in each slot with that latency."""
    asked = [request(i * 10.0 + 1, late) for i, late in enumerate(latencies)]
    events = [event(40, "onset"), event(70, "undo")]
    (found,) = reactions(
        run(asked, decisions, events, [state(0, "n1/a", "ready"), state(0, "n2/a", "ready")])
    )
    return found


def modes(node: str, **given: str) -> dict[str, Any]:
    return {"node": node, "modes": given}


def test_the_first_change_is_of_whoever_chose_something_else() -> None:
    found = hit(
        decision(30, "deployer:n1", choice=modes("n1", a="gpu")),
        decision(35, "deployer:n2", choice=modes("n2", a="off")),
        decision(50, "deployer:n1", choice=modes("n1", a="gpu")),
        decision(50, "deployer:n2", choice=modes("n2", a="gpu"), landed_s=52.0),
        decision(60, "deployer:n1", choice=modes("n1", a="cpu")),
    )
    assert found.first is not None
    assert (found.first.actor, found.first.after_s, found.first.said) == (
        "deployer:n2",
        12.0,
        "a off → gpu",
    )
    assert found.at_target is not None
    assert (found.at_target.actor, found.at_target.after_s) == ("deployer:n1", 20.0)


@pytest.mark.parametrize(
    "late",
    [
        decision(39, "planner", choice={"p": {"a": {"n2": 1.0}}}, landed_s=45.0),
        decision(50, "planner", choice={"p": {"a": {"n2": 1.0}}}, outcome="voided", landed_s=None),
        decision(50, "router", choice="n2/a", request_id="r"),
        decision(50, "person", choice={"load": {"scenario": "s", "seed": 0, "rate": 2.0}}),
        decision(50, "meta", choice={"exchange": {"text": "", "calls": [], "failure": ""}}),
    ],
    ids=["thought of before", "voided", "a route", "a load by hand", "a question"],
)
def test_what_answers_nothing_is_no_change(late: Any) -> None:
    assert hit(late).first is None


def test_a_table_is_told_by_the_routes_that_moved() -> None:
    was, now = {"table": {"n1|a": "n1", "n2|a": "n1"}}, {"table": {"n1|a": "n2", "n2|a": "n1"}}
    assert difference(was, now) == "routes to n1 2 → 1, n2 0 → 1 of 2"
    assert difference(was, now, "n1") == "routes to n1: a 2 → 1"


def test_latency_is_back_once_it_stays_back() -> None:
    found = hit(latencies=(2.0, 2.0, 2.0, 2.0, 9.0, 2.0, 9.0, 2.0, 2.0, 2.0))
    assert (found.calm_s, found.worst_s, found.back_after_s) == (2.0, 9.0, 30.0)
    assert hit(latencies=(2.0,) * 10).back_after_s == 0
    assert hit(latencies=(2.0,) * 4 + (9.0,) * 6).back_after_s is None


@pytest.mark.slow
@settings(max_examples=30)
@given(seed=st.integers(0, 50), scheme=st.sampled_from(sorted(SPEEDS)))
def test_no_reaction_comes_before_its_event(seed: int, scheme: str) -> None:
    found = reactions(synthetic_run(scheme, seed))
    assert [r.band.number for r in found] == [0, 1]
    for reaction in found:
        for change in (reaction.first, reaction.at_target):
            assert change is None or change.after_s >= 0
        assert reaction.back_after_s is None or reaction.back_after_s >= 0


# -- runs that are still going on


@settings(max_examples=40)
@given(t_s=st.floats(1, 1000), seed=st.integers(0, 20))
def test_all_are_asked_the_same_at_every_moment(t_s: float, seed: int) -> None:
    whole, begun = synthetic_run("AL", seed), synthetic_run("MA", seed)
    ids = [f"{i}" for i in range(len(whole.requests))]
    named = [
        replace(r, requests=tuple(replace(q, request_id=i) for i, q in zip(ids, r.requests, strict=True)))
        for r in (whole, begun)
    ]
    growing = replace(
        named[1],
        requests=tuple(r for r in named[1].requests if r.ended_s <= t_s),
        decisions=(), events=(), executors=(), footer=None,
    )  # fmt: skip
    runs, at_s = up_to_the_slowest([growing], named[:1])
    assert at_s <= t_s
    one, other = (summarise(r) for r in runs)
    assert one.arrived == other.arrived == sum(r.intended_s < at_s for r in whole.requests)


def test_a_run_at_its_end_is_what_it_was() -> None:
    whole = synthetic_run("AL", 3)
    before, after = summarise(whole), summarise(stood(whole, 2000.0))
    assert (after.mean_latency_s, after.success_ratio) == (before.mean_latency_s, before.success_ratio)


# -- a folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("two")
    compare_virtual(small_scenario(), ["AL", "sect"], [0, 1], Layout(root), quiet=True)
    return root


@pytest.mark.slow
def test_a_folder_is_shown_with_all_its_schemes(folder: Path) -> None:
    found = compared(folder, seed=1, baseline="AL")
    assert isinstance(found, Compared)
    assert list(found.labels) == ["AL", "sect"]
    assert (found.baseline, found.others, found.seed, found.covered) == ("AL", ("sect",), 1, "")
    assert set(found.pictures) == {"plane", "time"}
    assert found.headline.text


@pytest.mark.slow
def test_when_tokens_came_stands_beside_as_in_the_report(folder: Path) -> None:
    found = compared(folder)
    assert isinstance(found, Compared)
    assert found.serving_columns[0] == "TTFT p50, s"
    by_model = {model: [row.scheme for row in rows] for model, rows in found.serving}
    assert by_model["gpt2"] == ["AL", "sect"]
    cells = [cell for _, rows in found.serving for row in rows for cell in row.cells]
    assert len(cells) == len(found.serving_columns) * 2 * len(found.serving)
    text = fragment(found)
    assert all(cell.text in text for cell in cells)
    assert all(column in text for column in found.serving_columns)


@pytest.mark.slow
def test_a_scheme_on_its_way_is_compared_as_far_as_it_has_come(folder: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "grows")
    compare_virtual(small_scenario(), ["AL", "sect"], [0], layout, quiet=True)
    before = fingerprint(layout.root)
    record = layout.run_folder("sect", 0) / RECORD_FILE
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[: len(lines) // 2]))
    found = compared(layout.root)
    assert isinstance(found, Compared)
    assert set(found.labels) == {"AL", "sect"}
    assert "sect has come no further yet" in found.covered
    assert fingerprint(layout.root) != before


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    assert "no such folder" in str(compared(tmp_path / "nowhere"))
    assert isinstance(compared(tmp_path), str)
    assert fingerprint(tmp_path / "nowhere") == ()


@pytest.mark.slow
def test_the_fragment_holds_every_figure_and_no_markup_of_others(folder: Path) -> None:
    found = compared(folder)
    assert isinstance(found, Compared)
    evil = "<img src=x onerror=alert(1)>"
    row = Row("AL", evil, evil, evil, evil)
    labels = {name: f"{name}{evil}" for name in found.labels}
    text = fragment(
        replace(found, labels=labels, covered=evil, left_out=(evil,), events=((evil, (row,)),),
                headline=replace(found.headline, text=evil))
    )  # fmt: skip
    assert "<img" not in text
    assert text.count("&lt;img") >= 8
    assert all(cell.text in text for figure in found.figures for cell in figure.cells)
    assert text.count("<svg") == len(found.pictures) + text.count('<svg class="key"')


def test_the_run_that_is_asked_for_is_shown_first_and_changes_no_order(folder: Path) -> None:
    whole = runs_of(folder).entries()
    one = runs_of(Layout(folder).run_folder("AL", 1)).entries()
    assert [e.key for e in one] == [e.key for e in whole]
    assert [e.key for e in one if e.first] == ["AL/1"]
    assert not any(e.first for e in whole)
