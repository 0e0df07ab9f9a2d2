"""A live comparison behind two gateways, its scenario with a switch: seen as it happens, and afterwards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="not installed: playwright (make test-ui)")

import httpx2
import yaml
from playwright.sync_api import expect

from edgebed.runs.layout import Layout
from emulation.metrics.switches import decided_by
from emulation.recording import RECORD_FILE, read_run
from tests.build.browser import ROOT, PageServer, Visit, free_port
from tests.build.live import scenario
from tests.build.waiting import eventually

pytestmark = pytest.mark.ray

START_S = 400.0
"""Wall seconds a comparison has until its page answers, until its run begins, and until it is over."""
SWITCHED_S, BACK_S, END_S = 60.0, 120.0, 180.0


def test_a_switch_of_the_scenario_is_seen_as_it_happens_and_in_the_replay(
    visit: Visit, tmp_path: Path
) -> None:
    layout, port = Layout(tmp_path / "runs"), free_port()
    url = f"http://127.0.0.1:{port}"
    with _comparison(tmp_path, layout, port) as comparing:
        eventually(lambda: httpx2.get(url, timeout=START_S).status_code == 200, START_S)
        visitor = visit(url)
        about, chip = visitor.page.locator(".about"), visitor.page.locator(".chip")
        expect(about).to_contain_text("AL decides", timeout=1000 * START_S)
        expect(about).to_contain_text("sect decides")
        expect(chip).to_have_text("AL → sect")
        expect(visitor.card("n1").locator("text.small.end").last).to_have_text(re.compile(r"^\d+$"))
        expect(about).to_contain_text("AL decides")
        assert comparing.wait(START_S) is not None
    run = read_run(layout.run_folder("AL", 0) / RECORD_FILE)
    assert run.header.gateways == 2
    assert decided_by(run) == "AL→sect→AL"
    parity = layout.parity()
    assert parity is not None
    replayed = [row for row in parity.rows if row.kind == "replay"]
    assert [(row.scheme, row.model, row.ok) for row in replayed] == [("AL→sect→AL", "gpt2", True)]
    _look_again(visit, layout, tmp_path / "ui.log")


def _comparison(folder: Path, layout: Layout, port: int) -> subprocess.Popen[bytes]:
    """Started, with its page; what it says is in `compare.log`."""
    given = scenario(
        workload=[{"kind": "poisson", "rate_per_s": 1.5, "mix": {"gpt2": 1.0}}],
        events=[{"kind": "scheme", "to": "sect", "at_s": SWITCHED_S, "until_s": BACK_S}],
        slots=int(END_S / 5),
    )
    file = folder / "switched.yaml"
    file.write_text(yaml.safe_dump(given.model_dump(mode="json", exclude_none=True)))
    options = ["--live", "--schemes", "AL", "--gateways", "2", "--check-parity"]
    options += ["--ui", "--ui-port", str(port), "--out", str(layout.root)]
    with (folder / "compare.log").open("wb") as words:
        return subprocess.Popen(
            [sys.executable, "-m", "edgebed", "compare", str(file), *options], stdout=words, stderr=words, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip


def _look_again(visit: Visit, layout: Layout, log: Path) -> None:
    """The recorded run says at each moment who decided."""
    server = PageServer([str(layout.root)], log).start()
    try:
        visitor = visit(server.url).ready()
        for t_s, scheme in ((SWITCHED_S - 20, "AL"), (SWITCHED_S + 20, "sect"), (BACK_S + 20, "AL")):
            visitor.go_to(t_s)
            expect(visitor.page.locator(".about")).to_contain_text(f"{scheme} decides")
    finally:
        server.stop()
