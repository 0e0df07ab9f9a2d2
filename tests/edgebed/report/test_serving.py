"""Serving figures where they are shown: terminal, page, JSON, frames and a picture."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgebed.report import Comparison, compare_runs, comparison_json, print_table
from edgebed.report.columns import requests
from edgebed.report.html import render
from edgebed.report.pictures import of_all
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    world = load_scenario("trace-burstgpt")
    world = Scenario.model_validate({**world.model_dump(), "slots": 4, "epoch_slots": 4})
    runs = [simulate_in_memory(world, scheme, 0) for scheme in ("round-robin", "sect")]
    return compare_runs(runs, testbed=world.testbed, slo=world.slo)


def printed(comparison: Comparison, width: int) -> str:
    text = io.StringIO()
    print_table(comparison, Console(file=text, width=width))
    return text.getvalue()


def test_the_terminal_has_a_second_table_of_token_models(comparison: Comparison) -> None:
    told = printed(comparison, 200)
    head = next(line for line in told.splitlines() if "TTFT p50" in line)
    assert "TPOT p95 ms" in head
    assert "under SLO req/s" in head
    serving = told[told.index("Serving") :]
    assert "gpt2-large" in serving
    assert "blip" not in serving
    assert "Goodput under SLO" in told


def test_a_narrow_terminal_shows_every_figure(comparison: Comparison) -> None:
    told = printed(comparison, 80)
    assert all(len(line) <= 80 for line in told.splitlines())
    assert all(word in told for word in ("TTFT", "TPOT", "ITL", "queue"))


@pytest.mark.usefixtures("undrawn")
def test_the_page_has_table_and_picture(comparison: Comparison) -> None:
    page = render(comparison)
    assert "First token, tokens after it, and queue" in page
    assert "TTFT p95, s" in page
    assert "whose first token came" in page


def test_json_has_figures_and_histograms_of_all_and_of_every_model(comparison: Comparison) -> None:
    found = comparison_json(comparison)["schemes"]["sect"]["serving"]
    assert found["per_model"]["gpt2"]["ttft_p50_s"] > 0
    counts = found["all"]["histograms"]["e2e_s"]
    assert sum(counts) == sum(s.done for s in comparison.summaries("sect"))
    assert len(counts) == len(found["bounds"]["e2e_s"]) + 1


def test_frames_and_pictures_have_the_times_of_tokens(comparison: Comparison) -> None:
    columns = requests(comparison)
    known = [(t, p) for t, p in zip(columns["ttft_s"], columns["tpot_s"], strict=True) if t is not None]
    assert known
    drawn = of_all(comparison)["serving-distribution"]
    assert drawn.svg().startswith("<svg")


@pytest.mark.usefixtures("undrawn")
def test_tenants_have_a_table_and_a_picture_where_there_are_any(comparison: Comparison) -> None:
    world = load_scenario("tenants")
    world = Scenario.model_validate({**world.model_dump(), "slots": 6})
    run = simulate_in_memory(world, "sect", 0)
    found = compare_runs([run], testbed=world.testbed, slo=world.slo)
    assert "received / demanded" in render(found)
    told = printed(found, 200)
    assert "Jain index over tenants" in told
    assert "steady" in told[told.index("Tenants") :]
    bulk = comparison_json(found)["schemes"]["sect"]["tenants"]["bulk"]
    assert 0 < bulk["received_ratio"] < 1
    assert set(of_all(found)["tenants-served"].data()["tenant"]) == {"bulk", "steady"}
    assert "received / demanded" not in render(comparison)
    assert comparison_json(comparison)["schemes"]["sect"]["tenants"] is None
    assert "tenants-served" not in of_all(comparison)


@pytest.mark.usefixtures("undrawn")
def test_without_a_testbed_there_are_none_and_nothing_breaks(comparison: Comparison) -> None:
    bare = compare_runs([r.run for r in comparison.results])
    assert "serving-distribution" not in of_all(bare)
    assert "First token, tokens after it" not in render(bare)
    assert "TTFT" not in printed(bare, 120)
    assert comparison_json(bare)["schemes"]["sect"]["serving"] is None
