"""A testbed that stands, looked at and steered: what somebody does on the page happens there, and is seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")

import yaml
from playwright.sync_api import expect

from tests.build.browser import ROOT, SLOW_MS, PageServer, Visit, Visitor
from tests.build.live import scenario

pytestmark = pytest.mark.ray

START_S = 400.0
"""Wall seconds a testbed has to stand, or to be gone."""


class Bed:
    """A small testbed under a steady load, by the commands that a user has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        self.environment = {"EDGEBED_HOME": str(folder / "home")}
        source = {"kind": "poisson", "rate_per_s": 1.5, "mix": {"gpt2": 1.0}}
        given = scenario(workload=[source], live={"speedup": 4.0}).model_dump(mode="json", exclude_none=True)
        self._scenario = folder / "bed.yaml"
        self._scenario.write_text(yaml.safe_dump(given))
        up = self.command(
            "up", str(self._scenario), "--scheme", "AL", "--port", "0", "--json", "--out", str(self.folder)
        )
        self.url = str(orjson.loads(up)["url"])

    def command(self, *arguments: str) -> str:
        """What a command says; fails with its words."""
        done = subprocess.run(
            [sys.executable, "-m", "edgebed", *arguments], capture_output=True, text=True, timeout=START_S, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Under its scenario's load for as long as it takes."""
        load = subprocess.Popen(
            [sys.executable, "-m", "edgebed", "load", str(self._scenario)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment,
        )  # fmt: skip
        try:
            yield
        finally:
            load.terminate()
            load.wait(START_S)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("bed"))
    with made.loaded():
        yield made
    made.command("down")


@pytest.fixture(scope="module")
def watched(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    server = PageServer([], tmp_path_factory.mktemp("server") / "ui.log", **bed.environment).start()
    yield server
    server.stop()


def series_of(visitor: Visitor, chart: int = 0) -> dict[str, Any]:
    """Points of the lines of a chart, by the id of the line."""
    options = visitor.page.evaluate(
        "(i) => { const e = document.querySelectorAll('.nicegui-echart')[i];"
        " return getElement(Number(e.id.slice(1))).chart.getOption().series; }",
        chart,
    )
    return {s["id"]: s["data"] for s in options}


def test_a_slowdown_is_injected_seen_and_taken_back(visit: Visit, bed: Bed, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    page = visitor.page
    expect(page.locator(".room-facts")).to_contain_text(re.compile(r"served in time\s*[1-9]"))
    visitor.tab("Faults & steering")
    page.get_by_role("combobox", name="What happens").click()
    page.get_by_role("option", name="slowdown", exact=True).click()
    page.get_by_role("combobox", name="node").click()
    page.get_by_role("option", name="n1", exact=True).click()
    page.get_by_label("factor").fill("6")
    page.get_by_role("button", name="Let it happen").click()
    expect(visitor.card("n1")).to_contain_text("×6 slower")
    page.get_by_role("button", name=re.compile("^Undo event")).first.click()
    expect(visitor.card("n1")).not_to_contain_text("slower")


def test_a_slowdown_is_in_the_latency_once_it_bites(visit: Visit, bed: Bed, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    before = median(y for _, y in series_of(visitor)["own-p95"] if y is not None)
    bed.command("inject", "slowdown", "--node", "n1", "--factor", "20", "--for", "400")
    bed.command("inject", "slowdown", "--node", "n2", "--factor", "20", "--for", "400")
    expect(visitor.card("n2")).to_contain_text("×20 slower")
    visitor.page.wait_for_function(
        "(usual) => { const e = document.querySelectorAll('.nicegui-echart')[0];"
        " const all = getElement(Number(e.id.slice(1))).chart.getOption().series.find((s) => s.id === 'own-p95').data;"
        " return all.slice(-12).filter((p) => p[1] > 3 * usual).length > 2; }",
        arg=before,
        timeout=3 * SLOW_MS,
    )


def test_one_may_go_back_and_return_to_now(visit: Visit, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    now = visitor.page.locator(".room-now")
    expect(now).to_have_text("● Live")
    visitor.go_to(10)
    expect(now).to_have_text("Go to now")
    now.click()
    expect(now).to_have_text("● Live")


def test_the_scheme_is_switched_while_it_runs(visit: Visit, watched: PageServer) -> None:
    visitor = visit(watched.url).ready()
    visitor.tab("Faults & steering")
    visitor.page.get_by_role("combobox", name="Scheme").click()
    visitor.page.get_by_role("option", name="sect", exact=True).click()
    visitor.page.get_by_role("button", name="Switch to it").click()
    expect(visitor.page.locator(".about")).to_contain_text("sect decides")
    expect(visitor.page.locator(".chip")).to_contain_text("sect")
