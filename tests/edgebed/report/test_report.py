from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from edgebed.report import (
    Comparison,
    compare_runs,
    comparison_json,
    print_table,
    write_csv,
    write_report,
)
from edgebed.report.decisions import compact, route_lines
from edgebed.report.html import render
from edgebed.report.plots_time import event_bands
from edgebed.report.tables import checks, fault_lines, main_rows, model_rows, paired_rows, run_line
from edgebed.report.timelines import stretches
from emulation.metrics.evidence import TOO_LITTLE
from tests.build.comparisons import EVENTS, page_of_all, synthetic_comparison, synthetic_run
from tests.build.records import decision, event, request, run, state


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return synthetic_comparison()


@pytest.fixture(scope="module")
def page() -> str:
    return page_of_all()


class Tags(HTMLParser):
    """Counts what is opened and closed, and keeps what attributes point at."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.targets += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        self.ids += [v or "" for k, v in attrs if k == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_is_well_formed_and_needs_nothing_but_itself(page: str) -> None:
    tags = parsed(page)
    assert not tags.open
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert "://" not in page
    assert all(target.startswith("#") for target in tags.targets)
    assert {target[1:] for target in tags.targets} <= set(tags.ids)


def test_ids_of_different_plots_do_not_collide(page: str) -> None:
    ids = parsed(page).ids
    repeated = {i for i in ids if ids.count(i) > 1}
    assert not repeated


def test_the_page_states_what_was_run(page: str) -> None:
    for fact in ("MA (rules)", "virtual", "none, rules", "warm", "0, 1, 2", "toy"):
        assert fact in page


def test_text_of_controllers_is_escaped(page: str) -> None:
    assert "&lt;n1&gt; is slow &amp; avoided" in page
    assert "<n1>" not in page


def test_decisions_show_reasons_refusals_and_candidates(page: str) -> None:
    assert "voided: p does not sum to 1" in page
    assert "after 1.5 s of thinking" in page
    assert "n2/a <b>3.50</b>" in page


def test_the_page_carries_ledger_and_parity(page: str) -> None:
    assert "Fault ledger" in page
    assert "closed-loop" in page
    assert "+20.0%" in page
    assert "+40.8%" in page
    assert "±77.3%" in page
    assert "not distinguishable" in page


def test_the_terminal_shows_the_width_beside_the_verdict(comparison: Comparison) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    print_table(comparison, console)
    text = console.export_text()
    line = next(line for line in text.splitlines() if "+40.8%" in line)
    assert "±77.3%" in line
    assert line.rstrip().endswith("not distinguishable")
    assert "1 of 2 comparisons with power agree; 1 not distinguishable" in text


def test_a_verdict_in_json_is_one_of_three(comparison: Comparison) -> None:
    rows = comparison_json(comparison)["parity"]
    assert {(row["ok"], row["verdict"]) for row in rows} == {
        (True, "agree"), (False, "disagree"), (None, "not distinguishable")
    }  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_nearly_all_served_is_not_all() -> None:
    lost = request(0, 5, "b", outcome="expired")
    nearly = compare_runs([run([*(request(0, 1) for _ in range(5999)), lost], scheme="MA")])
    rows = {row.label: row.cells[0].text for row in main_rows(nearly)}
    assert rows["Success ratio"] == ">0.999"
    page = render(nearly)
    assert "100.0%" not in page
    assert "&gt;99.9%" in page


@pytest.mark.usefixtures("undrawn")
def test_two_seeds_have_no_interval_and_the_report_says_why() -> None:
    two = compare_runs([synthetic_run("sect", seed) for seed in (1, 2)])
    page = render(two)
    assert "±" not in page.replace("95%, ±", ""), "the word is explained, and nowhere used"
    assert "12.7" in page
    assert comparison_json(two)["schemes"]["sect"]["intervals"]["mean_latency_s"] is None


def test_an_avoided_candidate_shows_why_and_no_penalty_in_seconds() -> None:
    scores = (("n1/a", 1.25), ("n2/a", 1_000_002.5), ("n3/a", 1_000_000_001.97), ("n4/a", 1_001_000_001.97))
    route = decision(5, "router", request_id="r7", choice="n1/a", candidates=scores)
    (line,) = route_lines(run(decisions=[route]))
    assert line["candidates"] == [
        ("n1/a", "1.25"), ("n2/a", "masked"), ("n3/a", "masked: off"), ("n4/a", "masked: off")
    ]  # fmt: skip


def test_a_report_is_written_whole_or_not_at_all(
    tmp_path: Path, comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "report.html"
    with monkeypatch.context() as undrawn:
        undrawn.setattr("edgebed.report.theme.Drawing.svg", lambda picture: picture.alt)
        write_report(comparison, path)
    before = path.read_bytes()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]

    def broken(_: Comparison) -> str:
        raise RuntimeError("drawing failed")

    monkeypatch.setattr("edgebed.report.plots.per_model", broken)
    with pytest.raises(RuntimeError):
        write_report(comparison, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("undrawn")
def test_the_same_records_give_the_same_page(comparison: Comparison) -> None:
    """That their pictures are drawn alike stands in `test_pictures.py`."""
    assert render(comparison) == render(synthetic_comparison())


@pytest.mark.usefixtures("undrawn")
def test_a_single_run_makes_a_report_without_intervals(tmp_path: Path) -> None:
    write_report(synthetic_run("sect", 1), tmp_path / "one.html")
    text = (tmp_path / "one.html").read_text()
    assert "±" not in text.replace("95%, ±", ""), "the word is explained, and nowhere used"
    assert "Difference to" not in text


@pytest.mark.slow
def test_an_empty_run_still_makes_a_report(tmp_path: Path) -> None:
    write_report([run()], tmp_path / "empty.html")
    assert "–" in (tmp_path / "empty.html").read_text()


@pytest.mark.slow
def test_runs_that_serve_nothing_have_no_latency_anywhere() -> None:
    lost = compare_runs([run([request(0, 5, m, outcome="expired") for m in ("a", "b")])])
    rows = {row.label: row.cells[0].text for row in main_rows(lost)}
    assert rows["Success ratio"] == "0.000"
    assert "p95" not in rows
    assert comparison_json(lost)["schemes"]["sect"]["mean_latency_s"] is None
    assert "Success ratio" in render(lost)


def test_latency_never_stands_without_success(comparison: Comparison) -> None:
    labels = [row.label for row in main_rows(comparison)]
    assert labels[:2] == ["Runs", "Success ratio"]
    assert paired_rows(comparison)[0].label == "Success ratio"
    assert all(
        len(row["cells"]) == 8 and row["cells"][1].text.startswith(("0.", "1."))
        for row in model_rows(comparison)
    )
    for width in (60, 200):
        console = Console(width=width, record=True, file=io.StringIO())
        print_table(comparison, console)
        text = console.export_text()
        assert "uccess" in text.split("p95")[0]


def test_json_has_the_promised_keys(comparison: Comparison) -> None:
    data = json.loads(json.dumps(comparison_json(comparison)))
    scheme = data["schemes"]["MA"]
    for key in ("mean_latency_s", "fairness_norm", "success_ratio", "goodput"):
        assert isinstance(scheme[key], float)
        low, high = scheme["intervals"][key]
        assert low <= scheme[key] <= high
    assert set(scheme["per_model"]) == {"a", "b"}
    assert isinstance(scheme["per_model"]["a"]["mean_latency_s"], float)
    assert isinstance(scheme["per_model"]["b"]["success_ratio"], float)
    assert scheme["label"] == "MA (rules)"
    assert data["checks"] == {"conserved": True, "complete": True, "faults_valid": True, "parity_ok": False}
    assert data["paired"]["MA"]["mean_latency_s"]["n"] == 3


def test_json_means_are_means_of_the_runs(comparison: Comparison) -> None:
    scheme = comparison_json(comparison)["schemes"]["sect"]
    runs = [r["mean_latency_s"] for r in scheme["runs"]]
    assert scheme["mean_latency_s"] == pytest.approx(sum(runs) / 3)


def test_csv_is_tidy_and_leaves_the_unmeasured_empty(comparison: Comparison, tmp_path: Path) -> None:
    write_csv(comparison, tmp_path / "figures.csv")
    with (tmp_path / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    overhead = [r for r in rows if r["figure"] == "platform_overhead_s"]
    assert len(overhead) == 9
    assert {r["value"] for r in overhead} == {""}
    means = {(r["scheme"], r["seed"]): r for r in rows if r["figure"] == "mean_latency_s" and not r["model"]}
    assert len(means) == 9
    assert float(means["MA", "1"]["value"]) > 0


def test_differences_are_paired_and_marked_by_what_is_better(comparison: Comparison) -> None:
    rows = {row.label: row for row in paired_rows(comparison)}
    sect = rows["Mean, request-weighted Tw"].cells[0]
    assert sect.text.startswith("\u2212")
    assert sect.tone == "good"


def test_faults_of_the_synthetic_runs_landed(comparison: Comparison) -> None:
    assert comparison.faults is not None
    assert len(comparison.faults) == 9 * len(EVENTS)
    assert comparison.faults_valid
    unknown = [r for r in comparison.faults if not r.landed]
    assert [(r.landed, r.note.partition(" (")[0]) for r in unknown] == [(None, TOO_LITTLE)]
    (line, _) = [f for f in fault_lines(comparison.faults) if f["scheme"] == "MA"]
    assert (line["landed"].text, line["landed"].aside) == ("yes", "2 of 3")
    (line, _) = fault_lines([r for r in comparison.faults if r.scheme == "MA" and r.seed == 1])
    assert line["landed"].text == "cannot tell"


def test_a_run_that_loses_a_request_fails_its_check() -> None:
    whole = run([request(0, 1)])
    assert whole.footer is not None
    cut = replace(whole, footer=replace(whole.footer, arrived={"a": 2}, interrupted=True))
    tones = {c.aside: c.text for c in checks(compare_runs([cut]))}
    assert "2 arrived, but 1 ended" in tones["FAILED"]
    assert "cut short" in tones["CUT"]


def test_schemes_run_in_both_worlds_stay_apart() -> None:
    both = compare_runs([synthetic_run("MA", 1), synthetic_run("MA", 1, world="live", speedup=10.0)])
    assert list(both.schemes) == ["MA [virtual]", "MA [live]"]
    assert both.label("MA [live]") == "MA [live] (rules)"


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one scenario"):
        compare_runs([run(), run(scenario="other")])
    with pytest.raises(ValueError, match="one scenario"):
        compare_runs([])
    with pytest.raises(ValueError, match="baseline"):
        compare_runs([run()], baseline="MA")


def test_an_event_without_undo_is_shaded_to_the_end() -> None:
    bands = event_bands([event(10, "onset"), event(20, "onset", 1), event(30, "undo", 1)], 100)
    assert [(b.start_s, b.end_s) for b in bands] == [(10, 100), (20, 30)]


def test_timelines_join_equal_stretches_and_leave_out_off() -> None:
    changes = [
        state(0, "n1/a", "starting"),
        state(4, "n1/a", "ready"),
        state(9, "n1/a", "draining"),
        state(10, "n1/a", "off", "off"),
        state(20, "n1/a", "away", "off"),
    ]
    assert [(s.start_s, s.end_s, s.look) for s in stretches(changes, 30)] == [
        (0, 4, "starting"),
        (4, 10, "gpu"),
        (20, 30, "away"),
    ]


def test_choices_are_shortened_to_what_a_reader_wants() -> None:
    assert compact({"node": "n1", "modes": {"a": "gpu"}}) == "a gpu"
    assert compact({"node": "n1", "modes": {}}) == "everything off"
    assert compact({"p": {"a": {"n1": 0.25, "n2": 0.75}}, "roles": {}}) == "a to n1 25%, n2 75%"
    table = {"n1|a": "n2", "n2|a": "n2", "n1|b": "n1"}
    assert compact({"table": table, "masked": []}) == "a to n2 (2); b to n1 (1)"
    assert compact({"table": {}, "masked": []}) == "no change"
    load = {"scenario": "demo", "seed": 3, "rate": 2.0}
    assert compact({"load": load}) == "requests of demo, seed 3, 2 times as dense"
    assert compact({"load": {**load, "rate": 0.0}}) == "no more requests of demo"
    assert compact("n1/a") == "n1/a"
    assert len(compact("x" * 500)) == 220


@pytest.mark.parametrize("gateways", [1, 3])
def test_what_stands_beside_a_table_says_how_many_gateways_there_were_if_several(gateways: int) -> None:
    line = run_line(compare_runs([synthetic_run("sect", 0, gateways=gateways)]))
    assert ("gateways 3 " in line) == (gateways == 3)
    assert ("gateways" in line) == (gateways == 3)
