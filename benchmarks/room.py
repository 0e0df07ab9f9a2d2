"""What the page costs: 24 nodes, 96 executors, 50 requests per second, looked at with Chromium.

`python -m benchmarks.room [--minutes 3]`, where Chromium and the extra `browser` are (`make test-ui` installs them);
`--minutes 30` for the browser's memory over a long time. The record is one of virtual time (scheme `sect`, made once in
`runs/`): opened whole, and played back into a growing file line by line at its own times, as a live run at speedup 1
writes it. So the figures are of page and browser alone; no testbed runs beside them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np
import orjson
import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from benchmarks.__main__ import described, figure_table, ratio_table, save
from edgebed.runs.comparison import compare_virtual
from edgebed.runs.layout import Layout
from emulation.domain.scenario import Scenario
from emulation.recording import RECORD_FILE
from tests.build.browser import CHROMIUM, PageServer, Visitor

NODES, MODELS, RATE_PER_S = 24, 4, 50.0
HOURS = 2.0
SCHEME = "sect"
MADE = Path("runs/bench-room")
BEHIND_S = 600.0
"""What of the record is there when the growing run begins."""
LOOKS = 20
"""Interactions of each kind."""


def measured(minutes: float, looks: int) -> dict[str, Any]:
    """Opening, interaction, CPU and memory."""
    made = made_run()
    with tempfile.TemporaryDirectory() as held, _browser() as browser:
        folder = Path(held)
        opening = _opening(browser, made, folder / "opened.log")
        with _growing(made, folder / "grows") as grows, _server(grows, folder / "grows.log") as server:
            idle = _cpu(server.pid, 10.0)
            visitor = Visitor(browser, server.url).ready()
            visitor.page.wait_for_timeout(5_000)
            shown = _interactions(visitor, looks)
            cpu = _cpu(server.pid, 30.0)
            second = Visitor(browser, server.url).ready()
            second.page.wait_for_timeout(5_000)
            both = _cpu(server.pid, 30.0)
            second.close()
            memory = _memory(visitor.page, minutes)
            visitor.close()
    figures = {
        "what": f"{NODES} nodes, {NODES * MODELS} executors, {RATE_PER_S:g} requests/s; record of virtual time, "
        f"scheme {SCHEME}; growing: played back at speedup 1",
        "opening": opening,
        "interaction_ms": shown,
        "server_cpu_percent": {"no viewer": idle, "one viewer": cpu, "two viewers": both},
        "browser_memory": memory,
    }
    slowest = max(row["p95"] for row in shown.values())
    return figures | {
        "ratios": [
            {"name": "slowest interaction, p95, ms", "value": slowest, "target": 200.0, "at_least": False},
            {"name": "CPU of the first viewer, % of a core", "value": cpu - idle, "target": 5.0, "at_least": False},
            {"name": "CPU of another viewer, % of a core", "value": both - cpu, "target": 5.0, "at_least": False},
            {"name": "opening the whole run, s", "value": opening["first_s"], "target": 3.0, "at_least": False},
        ]
    }  # fmt: skip


# -- the run


def scenario(hours: float = HOURS) -> Scenario:
    """Every model on every node, near to what they can carry."""
    models = [
        {"id": f"m{i}", "modality": "text", "features": "tokens", "ram_gb": 1, "vram_gb": 1, "init_s": 2}
        for i in range(MODELS)
    ]
    nodes = [
        {"id": f"n{i:02}", "cores": 16, "ram_gb": 64, "gpus": [{"slices": 4, "vram_gb": 24}],
         "models": [m["id"] for m in models]}
        for i in range(NODES)
    ]  # fmt: skip
    profile = [
        {"model": m["id"], "mode": mode, "theta": [0.0, slow]}
        for m in models
        for mode, slow in (("gpu", 0.01), ("cpu", 0.05))
    ]
    lengths = {"prompt_tokens": [64, 128], "output_tokens": [32, 64]}
    source = {
        "kind": "poisson",
        "rate_per_s": RATE_PER_S,
        "mix": {m["id"]: 1.0 for m in models},
        "lengths": lengths,
    }
    return Scenario.model_validate(
        {
            "name": "bench-room",
            "testbed": {"name": "bench-room", "models": models, "nodes": nodes, "profile": profile},
            "workload": [source],
            "events": [_slowed(i) for i in range(int(hours * 60) - 15)],
            "slot_s": 30.0,
            "slots": int(hours * 120),
            "epoch_slots": 10,
            "deadline_s": 60.0,
        }
    )  # fmt: skip


def _slowed(minute: int) -> dict[str, Any]:
    """One node after the other, most of a minute each."""
    at_s = BEHIND_S + 60.0 * minute
    return {
        "kind": "slowdown",
        "at_s": at_s,
        "until_s": at_s + 40,
        "node": f"n{minute % NODES:02}",
        "factor": 3,
    }


def made_run(folder: Path = MADE) -> Path:
    """The comparison's folder, made if it is not there: a few minutes."""
    layout = Layout(folder)
    record = layout.run_folder(SCHEME, 0) / RECORD_FILE
    if not record.exists():
        shutil.rmtree(folder, ignore_errors=True)
        compare_virtual(scenario(), [SCHEME], [0], layout)
    return folder


@contextmanager
def _growing(made: Path, folder: Path) -> Iterator[Path]:
    """A folder in which the record grows as time goes by, from `BEHIND_S` on."""
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns(RECORD_FILE, "side.jsonl"))
    lines = (Layout(made).run_folder(SCHEME, 0) / RECORD_FILE).read_bytes().splitlines(keepends=True)
    at_s = np.array([orjson.loads(line).get("t_s", 0.0) for line in lines[:-1]])
    target = Layout(folder).run_folder(SCHEME, 0) / RECORD_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    behind = int(np.searchsorted(at_s, BEHIND_S))
    target.write_bytes(b"".join(lines[:behind]))
    over = Event()

    def play() -> None:
        start, written = time.monotonic(), behind
        with target.open("ab") as out:
            while not over.wait(0.1) and written < len(at_s):
                now = int(np.searchsorted(at_s, BEHIND_S + time.monotonic() - start))
                out.write(b"".join(lines[written:now]))
                out.flush()
                written = max(written, now)

    player = Thread(target=play)
    player.start()
    try:
        yield folder
    finally:
        over.set()
        player.join()


# -- what is measured


def _opening(browser: Browser, made: Path, log: Path) -> dict[str, float]:
    """From the visitor's first request to the whole run being shown, by a server that begins to read it then or just
    before: with its own start."""
    seconds = []
    for name in ("first_s", "second_viewer_s"):
        if name == "first_s":
            server = PageServer([str(made)], log).start()
        begun = time.monotonic()
        visitor = Visitor(browser, server.url).ready()
        seconds.append(time.monotonic() - begun)
        visitor.close()
    server.stop()
    record = Layout(made).run_folder(SCHEME, 0) / RECORD_FILE
    return {"first_s": seconds[0], "second_viewer_s": seconds[1], "record_mb": record.stat().st_size / 1e6}


_SEEK = """async (t) => {
  const slider = document.querySelector('.room-track input'), facts = document.querySelector('.room-facts');
  const begun = performance.now();
  const changed = new Promise((done) => new MutationObserver((_, me) => { me.disconnect(); done(); })
    .observe(facts, {childList: true, subtree: true, characterData: true}));
  slider.value = t; slider.dispatchEvent(new Event('input'));
  await changed; await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""
_TAB = """async (name) => {
  const tab = [...document.querySelectorAll('.q-tab')].find((t) => t.textContent.includes(name));
  const begun = performance.now();
  tab.click();
  while (!tab.classList.contains('q-tab--active')) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""


def _interactions(visitor: Visitor, looks: int) -> dict[str, dict[str, float]]:
    """Milliseconds in the browser from what a viewer does until the page shows it."""
    page = visitor.page
    seeks = [page.evaluate(_SEEK, 60.0 + 20.0 * i) for i in range(looks)]
    tabs = [page.evaluate(_TAB, ("Decisions", "Live")[i % 2]) for i in range(looks)]
    page.locator(".room-now").click()
    return {"seek": _spread(seeks), "tab": _spread(tabs)}


def _spread(ms: list[float]) -> dict[str, float]:
    return {"p50": float(median(ms)), "p95": float(np.percentile(ms, 95)), "n": len(ms)}


def _cpu(pid: int, seconds: float) -> float:
    """Percent of a core that the server and its children take."""
    process = psutil.Process(pid)
    before, begun = _cpu_s(process), time.monotonic()
    time.sleep(seconds)
    return 100.0 * (_cpu_s(process) - before) / (time.monotonic() - begun)


def _cpu_s(process: psutil.Process) -> float:
    times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def _memory(page: Page, minutes: float) -> dict[str, float]:
    """The page's heap after a collection, and its slope without the first quarter."""
    session = page.context.new_cdp_session(page)
    points = []
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < 60.0 * minutes:
        session.send("HeapProfiler.collectGarbage")
        used = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        nodes = page.evaluate("document.querySelectorAll('*').length")
        points.append((passed, used, nodes))
        page.wait_for_timeout(5_000)
    kept = np.array(points[len(points) // 4 :])
    slope = float(np.polyfit(kept[:, 0] / 3600, kept[:, 1], 1)[0]) if len(kept) > 2 else float("nan")
    return {"minutes": minutes, "first_mb": points[0][1], "last_mb": points[-1][1], "mb_per_hour": slope,
            "elements_first": points[0][2], "elements_last": points[-1][2]}  # fmt: skip


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def _server(folder: Path, log: Path) -> Iterator[PageServer]:
    server = PageServer([str(folder)], log).start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Measure, keep the figures, show them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--looks", type=int, default=LOOKS)
    parser.add_argument("--no-save", action="store_true", help="leave benchmarks/results as it is")
    asked = parser.parse_args()
    result = described("room", asked.minutes < 3, measured(asked.minutes, asked.looks))
    if not asked.no_save:
        save(result)
    Console().print(figure_table([result]), ratio_table([result]))


if __name__ == "__main__":
    main()
