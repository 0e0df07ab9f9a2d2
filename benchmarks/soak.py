"""A testbed under constant load for a long time: whether memory and descriptors of its processes grow, and errors.

`python -m benchmarks.soak [--minutes 30] [--share 0.7]`. The load is a share of the throughput that 64 clients get
out of the same testbed just before. Slopes are those of lines through what each process held, the warm-up left out:
of memory, that of a line that may step once; of descriptors, the median over pairs of looks.
Exit code 1 if a request failed, or a process of ours that lived to the end grew by more than its bound.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
import orjson
import psutil
import yaml
from numpy.typing import NDArray
from scipy.stats import theilslopes

from benchmarks.faults.bed import SCENARIO, Bed
from benchmarks.faults.kinds import Kind
from benchmarks.faults.laws import fate
from benchmarks.idle_cost import kind_of
from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.load_process import start_load, stop_load
from emulation.recording import write_whole
from workloads.load import client_log

RESULT = Path(__file__).with_name("results") / "soak.md"
RAW = RESULT.with_suffix(".json")
LOOK_S = 10.0
CAPACITY_S = 20.0
CLIENTS = 64
LEAD_S = 5.0
WARM_UP = 0.25
"""Share of the time after which caches are full and the first segments written."""
KEPT = "80MB"
"""Of the record: so little that a segment is over every few minutes, and what each leaves in memory adds up."""
GROWTH_MB, GROWTH_DESCRIPTORS = 10.0, 5.0
"""What a process of ours may grow by within an hour."""
BODY = {"model": "gpt2", "messages": [{"role": "user", "content": "a b c d"}], "max_tokens": 6}


@dataclass(frozen=True, slots=True)
class Slope:
    """One process from the end of the warm-up to the end."""

    kind: str
    pid: int
    first_mb: float
    """Median of the first tenth of the looks."""
    last_mb: float
    step_mb: float
    """The one step of the line."""
    mb_per_hour: float
    descriptors_per_hour: float
    """Median of the slopes between any two looks (Theil-Sen): connections of clients come and go, those that are left
    open stay."""

    @property
    def of_ray(self) -> bool:
        """Whether it is a process of Ray's own, which is reported and not judged."""
        return self.kind.startswith(("Ray's", "Serve's")) or self.kind in ("raylet", "gcs_server", "python")

    @property
    def grows(self) -> bool:
        """Whether it is ours and above a bound."""
        too_much = self.mb_per_hour > GROWTH_MB or self.descriptors_per_hour > GROWTH_DESCRIPTORS
        return too_much and not self.of_ray


Look = dict[tuple[int, str], tuple[float, int]]
"""Process and kind to resident MB and open descriptors."""
Looks = Sequence[tuple[float, Look]]
"""Seconds since the first one, and what was seen."""


def main() -> None:
    """Soak, write the table, say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--no-save", action="store_true", help="leave the committed table as it is")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text, looks, wrong = soak(Path(folder), asked.minutes * 60.0, asked.share)
    print(text)
    if not asked.no_save:
        write_whole(RESULT, text.encode())
        write_whole(RAW, _raw(looks))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    sys.exit(bool(wrong))


def soak(folder: Path, seconds: float, share: float) -> tuple[str, Looks, list[str]]:
    """The table in Markdown, what it is made of, and what is wrong."""
    bed = Bed(folder / "bed", Kind("soak", ""), keep=KEPT)
    try:
        capacity = capacity_of(bed.url)
        rate = share * capacity
        t0_wall = time.time() + LEAD_S
        load = start_load(
            _scenario(folder / "load.yaml", rate, seconds), 1, bed.url, t0_wall, 1.0, bed.folder / CLIENT_LOG
        )
        try:
            looks = list(_looks(bed.owner.pid, seconds + LEAD_S))
        finally:
            stop_load(load)
    finally:
        code = bed.down()
    met = Counter(fate(result) for result in client_log(bed.folder / CLIENT_LOG))
    found = slopes(looks, WARM_UP)
    wrong = [f"{s.kind} ({s.pid}) grows: {s.mb_per_hour:+.1f} MB, {s.descriptors_per_hour:+.1f} descriptors an hour"
             for s in found if s.grows]  # fmt: skip
    wrong += [f"{count} requests {what}" for what, count in met.items() if what not in ("answered", "unsent")]
    wrong += [] if code == 0 else [f"the testbed ended with exit code {code}"]
    wrong += [] if met["answered"] else ["nothing was answered"]
    said = f"{seconds / 60:g} minutes at {rate:.0f} requests/s, {share:.0%} of the {capacity:.0f} measured: "
    said += ", ".join(f"{count} {what}" for what, count in sorted(met.items()))
    return page(said, found, wrong), looks, wrong


def capacity_of(url: str) -> float:
    """Answers per second that so many clients get, one request each at a time."""
    command = [sys.executable, "-m", "benchmarks._http_load", f"{url}/v1/chat/completions"]
    command += [orjson.dumps(BODY).decode(), str(CLIENTS), str(CAPACITY_S)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=10 * CAPACITY_S)
    return float(orjson.loads(done.stdout)["per_s"])


def slopes(looks: Looks, warm_up: float) -> list[Slope]:
    """Of every process that was there at every look after the warm-up."""
    kept = [look for look in looks if look[0] >= warm_up * looks[-1][0]]
    series: dict[tuple[int, str], list[tuple[float, float, float]]] = defaultdict(list)
    for at_s, look in kept:
        for who, (resident_mb, descriptors) in look.items():
            series[who].append((at_s / 3600.0, resident_mb, descriptors))
    found = []
    for (pid, kind), points in series.items():
        if len(points) == len(kept) and len(kept) > 2:
            hours, resident, descriptors = np.array(points).T
            tenth = max(1, len(kept) // 10)
            first, last = np.median(resident[:tenth]), np.median(resident[-tenth:])
            memory, step = slope_and_step(hours, resident)
            opened = float(theilslopes(descriptors, hours).slope)
            found.append(Slope(kind, pid, float(first), float(last), step, memory, opened))
    return sorted(found, key=lambda slope: (slope.of_ray, slope.kind, slope.pid))


def slope_and_step(t: NDArray[np.float64], held: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares of `held` by a line with a step at whichever look fits best, an eighth of them from either end at
    least. Returns the slope per unit of `t`, and the step."""
    edge = max(1, len(t) // 8)
    best = (inf, 0.0, 0.0)
    for at in range(edge, len(t) - edge):
        columns = np.column_stack([np.ones_like(t), t - t[0], np.arange(len(t)) >= at])
        fit = np.linalg.lstsq(columns, held, rcond=None)[0]
        best = min(best, (float(((columns @ fit - held) ** 2).sum()), float(fit[1]), float(fit[2])))
    return best[1:]


def _looks(owner: int, seconds: float) -> Iterator[tuple[float, Look]]:
    began = time.monotonic()
    while (at_s := time.monotonic() - began) < seconds:
        yield at_s, _look(psutil.Process(owner))
        time.sleep(LOOK_S)


def _look(owner: psutil.Process) -> Look:
    found: Look = {}
    for process in (owner, *owner.children(recursive=True)):
        try:
            who = process.pid, kind_of(" ".join(process.cmdline()))
            found[who] = process.memory_info().rss / 2**20, process.num_fds()
        except psutil.Error:  # it has just ended
            continue
    return found


def _scenario(path: Path, rate: float, seconds: float) -> Path:
    """The testbed's scenario with so many requests a second for so long, written to a file."""
    scenario = yaml.safe_load(SCENARIO.read_text())
    scenario["workload"][0].update(interval_s=1.0 / rate, count=int(rate * seconds))
    scenario["slots"] = max(1, int(seconds / scenario["slot_s"]))
    path.write_text(yaml.safe_dump(scenario))
    return path


def page(said: str, found: Sequence[Slope], wrong: Sequence[str]) -> str:
    """What the soak was, its verdict, and the table, in Markdown."""
    verdict = (
        f"**It failed**: {'; '.join(wrong)}."
        if wrong
        else "**It passed**: nothing failed, nothing of ours grows."
    )
    lines = [
        "# What a testbed holds under constant load", "", f"{said}. By `python -m benchmarks.soak`.",
        "", verdict,
        f"A process of ours may grow by {GROWTH_MB:g} MB and {GROWTH_DESCRIPTORS:g} descriptors an hour.", "",
        f"{KEPT} of the record are kept, in segments of an eighth of that. After the first quarter: MB at its",
        "beginning and at its end, and the line through the looks of `soak.json` that fits best and may step once; of",
        "descriptors, which clients' connections are too, the median slope between two looks.",
        "Ray's own processes stand last and are not judged.", "",
        "| process | MB | MB at the end | step, MB | MB per hour | descriptors per hour |",
        "|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    lines += [
        f"| {s.kind} | {s.first_mb:.0f} | {s.last_mb:.0f} | {s.step_mb:+.1f} | {s.mb_per_hour:+.1f} |"
        f" {s.descriptors_per_hour:+.1f} |"
        for s in found
    ]
    return "\n".join([*lines, ""])


def _raw(looks: Looks) -> bytes:
    """Every look: seconds, and process to MB and descriptors."""
    rows = [
        {
            "at_s": round(at_s, 1),
            "held": {f"{kind} ({pid})": [round(mb, 2), n] for (pid, kind), (mb, n) in look.items()},
        }
        for at_s, look in looks
    ]
    return b"\n".join([b"[", b",\n".join(orjson.dumps(row) for row in rows), b"]", b""])


if __name__ == "__main__":
    main()
