"""What predictive admission comes to, what bounds it, and what it does where there is nothing to refuse.

    python -m benchmarks.admission [--seeds N] [--only PART ...]

Twelve seeds in virtual time, the same requests for every scheme. Parts: `papers` (both testbeds of the second paper),
`truth` (the same with the truth: the oracle routes by true service times and backlogs, and refuses by them at a limit
that is given to it), `light` (less than the testbeds can serve), `pools` (the first paper's devices, which have no
deadline, `fused` beside `e3`). A run is not made again while `runs/admission/rows.jsonl` has it: remove that after a
change of code. The result is `results/admission.md`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.planners.search import SearchConfig, SearchPlanner
from controller.schemes import SCHEMES, Scheme
from edgebed.places import runs_folder
from edgebed.report.stats import Interval, mean_interval
from edgebed.runs.pool import each_ended
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.actions import Choice, MacroPolicy
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import load_scenario
from emulation.metrics.summary import summarise
from emulation.recording import write_whole
from workloads.pools import PLANS, random_pool
from workloads.scaling import scaled

RESULT = Path(__file__).parent / "results" / "admission.md"
SEEDS = 12
PAPERS = ("bristol-A", "w-star")
LIMITS_S = (120.0, 180.0, 240.0, 300.0)
"""Limits of the slowest model (`sd`) that the truth is tried with; the others never wait for long."""
LIGHT = (("bristol-A", 0.25), ("w-star", 0.25))
"""Scenario and share of its demand."""
E3 = (
    "e3-basic", "e3-semantic-a", "e3-semantic-b", "e3-churn", "e3-drift", "e3-real-drift", "e3-warmup-0",
    "e3-warmup-30", "e3-warmup-100",
)  # fmt: skip
DEVICES = 16


class LimitedConfig(SearchConfig):
    """The search, and limits that are given to it."""

    given_s: Mapping[str, float] = {}
    """Model to admission limit."""


class LimitedPlanner(SearchPlanner):
    """`search` with limits that somebody gives in the place of those it would find."""

    Config = LimitedConfig

    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """Its plan, with the limits that were given."""
        choice, config = super().decide(snapshot), self._config
        assert isinstance(config, LimitedConfig)
        return replace(choice, command=replace(choice.command, admission_limit_s=dict(config.given_s)))


def truth(limit_s: float | None) -> Scheme:
    """`fused` whose router knows true service times and backlogs; refused is what will end later than `limit_s`.

    What the truth does not hold is what comes: who joins a GPU later slows what is there.
    """
    given = {} if limit_s is None else {"given_s": {"sd": limit_s}}
    return replace(
        SCHEMES["fused"],
        name="truth" if limit_s is None else f"truth, limit {limit_s:g} s",
        router="oracle",
        perf="prior",
        meta=None,
        planner="benchmarks.admission:LimitedPlanner",
        router_params={"courtesy": 2.0},
        fast_path_params={"in_time": 0.5},
        planner_params={"shortlist": 0, **given},
    )


TRUTHS = {row.name: row for row in map(truth, (*LIMITS_S, None))}
NO_LIMITS, NO_ADMISSION, NO_META, NO_EXPLORATION = (
    f"benchmarks.ablation:{name}" for name in ("NO_LIMITS", "NO_ADMISSION", "NO_META", "NO_EXPLORATION")
)
PARTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "papers": (PAPERS, ("RF", "MA", "fused", NO_LIMITS)),
    "truth": (PAPERS[:1], tuple(TRUTHS)),
    "light": (tuple(f"{name} at {load:g}" for name, load in LIGHT), ("fused", NO_ADMISSION)),
    "pools": (
        (*E3, *(f"pools, {plan}" for plan in PLANS)), ("e3", "fused", NO_META, NO_EXPLORATION)
    ),
}  # fmt: skip
"""Part to its worlds and schemes."""
Job = tuple[str, str, int]
"""World, scheme and seed."""
Row = Mapping[str, float]
Rows = Mapping[Job, Row]


def world(name: str, seed: int) -> Scenario:
    """The scenario of a world; pools are another one for each seed."""
    if name.startswith("pools, "):
        return random_pool(seed, DEVICES, plan=name.removeprefix("pools, "))  # type: ignore[arg-type]
    scenario, _, load = name.partition(" at ")
    return scaled(load_scenario(scenario), float(load or 1))


def run(job: Job) -> Row:
    """The figures of one run; of a world without deadline no objective."""
    name, scheme, seed = job
    made = simulate_in_memory(world(name, seed), TRUTHS.get(scheme, scheme), seed)
    whole = summarise(made)
    figures: dict[str, float | None] = {
        "mean latency of the served, s": whole.mean_latency_s,
        "success ratio": whole.success_ratio,
        "worst success of a model": min(m.success_ratio or 0.0 for m in whole.per_model.values()),
        "goodput, requests/s": whole.goodput,
        "normalised Jain index": whole.fairness_norm,
        "J": whole.objective,
        "refused": float(sum(r.outcome == "rejected" for r in made.requests)),
    }
    return {name: value for name, value in figures.items() if value is not None}


def ran(jobs: Sequence[Job], kept: Path) -> Rows:
    """Every run's figures; those that are kept are not made again."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    rows: dict[Job, Row] = {(w, s, n): figures for w, s, n, figures in map(json.loads, lines)}
    with kept.open("a", encoding="utf-8") as file:
        for number, ended in enumerate(each_ended(run, [job for job in jobs if job not in rows])):
            if ended.result is None:
                raise SystemExit(f"{ended.item}: {ended.failure.said if ended.failure else 'no result'}")
            rows[ended.item] = ended.result
            file.write(json.dumps([*ended.item, ended.result]) + "\n")
            file.flush()
            print(f"{number + 1}: {ended.item}", flush=True)
    return rows


# -- tables -------------------------------------------------------------------------------------------------


def said(scheme: str) -> str:
    """A scheme's name in tables."""
    return scheme.rpartition(":")[2].lower().replace("_", " ") if ":" in scheme else scheme


def over_seeds(rows: Rows, name: str, scheme: str, figure: str) -> dict[int, float]:
    """Seed to one figure of a scheme in a world."""
    found = sorted((seed, row) for (w, s, seed), row in rows.items() if (w, s) == (name, scheme))
    return {seed: row[figure] for seed, row in found if figure in row}


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """In Markdown; all columns but the first to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def shown(found: Interval | None) -> str:
    """A mean and half its 95% interval."""
    if found is None or found.low is None or found.high is None:
        return "–" if found is None else f"{found.mean:.3g}"
    half = (found.high - found.low) / 2
    digits = 0 if abs(found.mean) >= 100 else 1 if abs(found.mean) >= 10 else 3
    return f"{found.mean:.{digits}f} ± {half:.{digits}f}"


def more(own: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """How much more than the base on the same requests, percent, for every seed that both have."""
    return [100 * (own[seed] / base[seed] - 1) for seed in sorted(own.keys() & base.keys())]


def figures_of(rows: Rows, name: str, schemes: Sequence[str], figures: Sequence[str]) -> str:
    """A row for each scheme of one world, with what its latency is below RF's."""
    floor = over_seeds(rows, name, "RF", figures[0])
    lines = []
    for scheme in schemes:
        of = [over_seeds(rows, name, scheme, figure) for figure in figures]
        told = [shown(mean_interval(list(values.values()))) for values in of]
        if not of[0]:
            continue
        lines.append([said(scheme), str(len(of[0])), *told, shown(mean_interval(more(of[0], floor)))])
    return table([name, "seeds", *figures, "latency over RF's, %"], lines)


def pairs_of(rows: Rows, names: Sequence[str], base: str, schemes: Sequence[str]) -> str:
    """How much more latency than `base` each scheme has on the same requests, in percent: mean ± 95%, by world."""
    figure = "mean latency of the served, s"
    lines = []
    for name in names:
        least = over_seeds(rows, name, base, figure)
        if not least:
            continue
        line = [name, str(len(least)), shown(mean_interval(list(least.values())))]
        for scheme in schemes:
            pairs = more(over_seeds(rows, name, scheme, figure), least)
            worse = sum(value > 0.005 for value in pairs)
            line.append(f"{shown(mean_interval(pairs))} (worse in {worse} of {len(pairs)})" if pairs else "–")
        lines.append(line)
    return table(["world", "seeds", f"{said(base)}, s", *(f"{said(scheme)}, %" for scheme in schemes)], lines)


FIGURES = (
    "mean latency of the served, s", "success ratio", "worst success of a model", "goodput, requests/s",
    "normalised Jain index", "J",
)  # fmt: skip


def papers_told(rows: Rows) -> str:
    """Both testbeds of the second paper."""
    return "\n\n".join(figures_of(rows, name, PARTS["papers"][1], FIGURES) for name in PAPERS)


def truth_told(rows: Rows) -> str:
    """With the truth, by limit, where `fused` is furthest from what was aimed at."""
    names, schemes = PARTS["truth"]
    return "\n\n".join(figures_of(rows, name, schemes, FIGURES) for name in names)


def light_told(rows: Rows) -> str:
    """Refused requests of all seeds together, and latencies in pairs."""
    names, (with_it, without) = PARTS["light"]
    lines = []
    for name in names:
        refused, success = (
            over_seeds(rows, name, with_it, "refused"),
            over_seeds(rows, name, without, "success ratio"),
        )
        lines.append(
            [
                name,
                str(len(refused)),
                f"{sum(refused.values()):.0f}",
                shown(mean_interval([*success.values()])),
            ]
        )
    first = table(["world", "seeds", "refused in all of them", "success without admission"], lines)
    return f"{first}\n\n{pairs_of(rows, names, without, [with_it])}"


def pools_told(rows: Rows) -> str:
    """`fused`, and `fused` without parts, beside `e3` in pairs."""
    names, (base, *schemes) = PARTS["pools"]
    return pairs_of(rows, names, base, schemes)


TOLD: Mapping[str, tuple[str, Callable[[Rows], str]]] = {
    "papers": ("On both testbeds of the second paper", papers_told),
    "truth": ("With the truth", truth_told),
    "light": ("Where nothing needs to be refused", light_told),
    "pools": ("On devices, which have no deadline", pools_told),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many; 0: tables of what there is")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    asked: Any = parser.parse_args(arguments)
    seeds = range(asked.seeds)
    jobs = [(w, s, n) for part in asked.only for w in PARTS[part][0] for s in PARTS[part][1] for n in seeds]
    rows = ran(jobs, runs_folder() / "admission" / "rows.jsonl")
    told = "\n\n".join(f"## {title}\n\n{tell(rows)}" for title, tell in TOLD.values())
    head = (
        "# Predictive admission\n\nIn virtual time, the same requests for every scheme; mean ± half its 95% interval "
        "over seeds. Made by `python -m benchmarks.admission`; a row with fewer than twelve seeds is unfinished."
    )
    write_whole(RESULT, f"{head}\n\n{told}\n".encode())
    print(told)


if __name__ == "__main__":
    main()
