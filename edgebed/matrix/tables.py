"""What a matrix says, as tables: the same for page, Markdown and terminal. All of them follow from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log

import numpy as np

from edgebed.matrix.metrics import METRICS
from edgebed.matrix.ranks import ranks_of
from edgebed.matrix.results import Block, Results
from edgebed.matrix.stability import Analysis, mean_ranks
from edgebed.report.figures import NOT_MEASURED, number
from edgebed.report.text_table import TextTable

ORDER = "Order of the schemes"
MOST_FAILURES = 50
"""Named one by one."""


def tables_of(results: Results, found: Analysis) -> list[TextTable]:
    """All of them, the order of the schemes first."""
    tables = [
        order_table(results, found), by_metric_table(results, found), ranks_table(results, found),
        pairs_table(results, found), leaving_table(found), steady_table(results, found),
        decisions_table(results, found),
    ]  # fmt: skip
    return [table for table in tables if table.rows]


def order_table(results: Results, found: Analysis) -> TextTable:
    """Who is how good, by mean ranks, with the success ratio beside it."""
    metric, first = METRICS[found.metric], found.overall
    success, steady, best = (
        _means(found, "success_ratio"),
        _means(found, "steady_success_ratio"),
        _over_best(found),
    )
    rows = [
        (
            results.labels[s],
            number(first.mean_rank[i], 2),
            _span(first.low[i], first.high[i], 2),
            f"{first.wins[i]} of {len(found.blocks)}",
            number(best[s], 2),
            number(success[s], 3, share=True),
            number(steady[s], 3, share=True),
        )
        for i, s in enumerate(first.schemes)
    ]
    columns = (
        "scheme", "mean rank", "95% over cells", "best in", f"{metric.label} over that of the best", "success",
        f"success after {results.plan.warm_up:.0%}",
    )  # fmt: skip
    note = (
        f"Ranked by {metric.label} ({metric.about}). Ranks from 1, over {len(found.blocks)} cells; the interval is a"
        " bootstrap over cells. Over that of the best: geometric mean over cells. Success is the mean over cells, of"
        f" everything and of what arrived after the first {results.plan.warm_up:.0%} of the horizon."
    )
    return TextTable(ORDER, note, columns, tuple(rows))


def by_metric_table(results: Results, found: Analysis) -> TextTable:
    """Whether another figure gives another order."""
    by = {name: mean_ranks(results, name) for name in METRICS}
    shown = [name for name in METRICS if _measured(found.blocks, name)]
    rows = [(results.labels[s], *(number(by[name][s], 2) for name in shown)) for s in found.overall.schemes]
    note = "Mean rank over the same cells by each figure; a scheme that is first by one only is not the best scheme."
    return TextTable(
        "Mean ranks by other figures", note, ("scheme", *(METRICS[n].label for n in shown)), tuple(rows)
    )


def ranks_table(results: Results, found: Analysis) -> TextTable:
    """The rank of every scheme in every cell, with the interval over seeds."""
    schemes = found.overall.schemes
    place = {s: i for i, s in enumerate(found.blocks[0].schemes)}
    rows = []
    for block, ranks in zip(found.blocks, found.cells, strict=True):
        cells = []
        for i in (place[s] for s in schemes):
            low, high = (
                (None, None) if ranks.low is None or ranks.high is None else (ranks.low[i], ranks.high[i])
            )
            span = "" if low is None or high is None else f"[{_rank(low)}, {_rank(high)}]"
            cells.append(f"{_rank(ranks.rank[i])} {span}".strip())
        settings = ", ".join(f"{key} {value}" for key, value in block.cell.settings)
        rows.append((block.cell.scenario, settings, number(len(block.seeds), 0), *cells))
    note = (
        "Rank by the mean over the seeds of the cell; in brackets where 95% of the ranks lie if seeds are drawn again"
        " with replacement (no interval of fewer than three)."
    )
    columns = ("scenario", "cell", "seeds", *(results.labels[s] for s in schemes))
    return TextTable("Ranks cell by cell", note, columns, tuple(rows), keys=2)


def pairs_table(results: Results, found: Analysis) -> TextTable:
    """In how many cells the order of each pair holds."""
    rows = [
        (
            results.labels[o.first],
            results.labels[o.second],
            number(100 * o.share, 0) + "%",
            f"{o.ahead} / {o.tied} / {o.behind}",
            f"{o.ahead_significantly} / {o.behind_significantly}",
            _p(o.p_holm) + (" behind" if o.tested(found.risk) == o.second else ""),
        )
        for o in found.orders
    ]
    note = (
        "The scheme with the better mean rank first. Holds: share of the cells, ties as halves. Significantly: by a"
        f" paired t test over the seeds of a cell, corrected (Holm) for all {len(found.pairs)} pairs in all cells. p:"
        " Wilcoxon's signed-rank test of the two schemes' own means, cell by cell: of the logarithm of their ratio if"
        " all are above 0, else of their difference. Whoever else is compared changes its correction (Holm, for all"
        " pairs) and nothing else of it. behind: by that test, which weighs how far apart they are, the other is ahead."
    )
    columns = (
        "ahead",
        "behind",
        "holds",
        "ahead / tied / behind, cells",
        "significantly ahead / behind",
        "p",
    )
    return TextTable("How far the order of each pair holds", note, columns, tuple(rows), keys=2)


def leaving_table(found: Analysis) -> TextTable:
    """Cells and scenarios that the overall order hangs on."""
    rows = [
        (
            one.kind, one.what, "yes" if one.best_changes else "no", one.best,
            ", ".join(f"{b} before {a}" for a, b in one.swapped),
        )
        for one in found.leaving
    ]  # fmt: skip
    note = "Without which the order of mean ranks is another one. What is not named here can be left out."
    columns = ("left out", "which", "best scheme changes", "best then", "then")
    return TextTable("Cells and scenarios that decide", note, columns, tuple(rows), keys=2)


def steady_table(results: Results, found: Analysis) -> TextTable:
    """Success over everything against success after the warm-up."""
    raw, steady = _means(found, "success_ratio"), _means(found, "steady_success_ratio")
    latency, then = _over_lowest(found, "mean_latency_s"), _over_lowest(found, "steady_latency_s")
    ranks = {name: _mean_rank(found, name) for name in ("success_ratio", "steady_success_ratio")}
    rows = [
        (
            results.labels[s],
            number(raw[s], 3, share=True),
            number(steady[s], 3, share=True),
            number(ranks["success_ratio"][s], 2),
            number(ranks["steady_success_ratio"][s], 2),
            number(latency[s], 2),
            number(then[s], 2),
        )
        for s in found.overall.schemes
    ]
    note = (
        f"Steady: arrivals after the first {results.plan.warm_up:.0%} of the horizon. Latency of the served over the"
        " lowest in the cell, geometric mean over cells; read it beside success."
    )
    columns = (
        "scheme", "success", "steady success", "mean rank by success", "by steady success", "latency",
        "steady latency",
    )  # fmt: skip
    return TextTable("Raw against steady state", note, columns, tuple(rows))


def decisions_table(results: Results, found: Analysis) -> TextTable:
    """What deciding cost in the world of the emulation; what it cost this machine is a table of its own."""
    rows = []
    for s in found.overall.schemes:
        kept = [k.figures for block in found.blocks for (name, _), k in block.runs.items() if name == s]
        tokens = [k.tokens for k in kept if k.tokens is not None]
        prices = [k.price for k in kept if k.price is not None]
        unpriced = any(k.tokens is not None and k.price is None for k in kept)
        arrived = sum(k.arrived for k in kept)
        rows.append(
            (
                results.labels[s],
                number(sum(k.decisions for k in kept) / arrived, 2) if arrived else NOT_MEASURED,
                number(sum(k.control_calls for k in kept) / len(kept), 1),
                number(sum(k.thinking_s for k in kept) / len(kept), 1),
                number(sum(k.invalid for k in kept), 0),
                number(sum(tokens) / len(kept), 0) if tokens else NOT_MEASURED,
                number(sum(prices) / len(kept), 4) if prices and not unpriced else NOT_MEASURED,
            )
        )
    note = (
        "Means over all runs; replaced: in all of them, decisions that were invalid, in whose place a rule decided. CPU"
        " time is a measurement and stands in costs.md."
    )
    columns = (
        "scheme", "decisions per request", "control calls per run", "thinking per run, virtual s", "replaced",
        "tokens per run", "price per run",
    )  # fmt: skip
    return TextTable("Decisions", note, columns, tuple(rows))


def costs_table(results: Results, found: Analysis) -> TextTable:
    """CPU time beside quality, as it was measured where and when the runs were made."""
    success, rows = _means(found, "success_ratio"), []
    for i, s in enumerate(found.overall.schemes):
        kept = [k for block in found.blocks for (name, _), k in block.runs.items() if name == s]
        routed = [(k.cost.routing_s, k.figures.arrived) for k in kept if k.cost.routing_s is not None]
        routing_s, arrived = sum(s for s, _ in routed), sum(n for _, n in routed)
        control_s = [k.cost.control_s for k in kept if k.cost.control_s is not None]
        rows.append(
            (
                results.labels[s],
                number(found.overall.mean_rank[i], 2),
                number(success[s], 3, share=True),
                number(1e6 * routing_s / arrived, 0) if arrived else NOT_MEASURED,
                number(1e3 * sum(control_s) / len(control_s), 0) if control_s else NOT_MEASURED,
                number(1e3 * sum(k.cost.cpu_s for k in kept) / len(kept), 0),
            )
        )
    note = (
        "CPU time. Routing: the fast path with its bookkeeping. Control: scheduler, deployment agents and planner, its"
        " what-if processes included; both are of the runs in which they were measured: not where the scheme is"
        " switched on the way. Run: all of it and the emulation of the testbed. Another machine or day gives other"
        " figures."
    )
    columns = (
        "scheme",
        "mean rank",
        "success",
        "routing, \u00b5s per request",
        "control, ms per run",
        "run, ms",
    )
    return TextTable("Cost of deciding, measured", note, columns, tuple(rows))


def failures_table(results: Results) -> TextTable:
    """Runs that failed, and why."""
    shown = list(results.failed.items())[:MOST_FAILURES]
    rows = [(str(results.cells[i]), scheme, str(seed), said) for (i, scheme, seed), said in sorted(shown)]
    more = len(results.failed) - len(shown)
    note = f"In no figure. {f'{more} more are in summary.json. ' if more else ''}The same command tries them again."
    return TextTable("Runs that failed", note, ("cell", "scheme", "seed", "why"), tuple(rows), keys=2)


def _means(found: Analysis, name: str) -> dict[str, float | None]:
    """Mean over cells of the mean over seeds, of what was measured."""
    values = np.array(
        [np.ma.masked_invalid(b.values(name)).mean(axis=1).filled(np.nan) for b in found.blocks]
    )
    means = np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)
    return {s: None if np.isnan(m) else float(m) for s, m in zip(found.blocks[0].schemes, means, strict=True)}


def _over_best(found: Analysis) -> dict[str, float | None]:
    """Mean of a cell over that of its best scheme; below 1 where more is better."""
    if METRICS[found.metric].better == "low":
        return _over_lowest(found, found.metric)
    return _geometric(found, found.metric, max)


def _over_lowest(found: Analysis, name: str) -> dict[str, float | None]:
    return _geometric(found, name, min)


def _geometric(found: Analysis, name: str, best: object) -> dict[str, float | None]:
    logs: dict[str, list[float]] = {s: [] for s in found.blocks[0].schemes}
    for block in found.blocks:
        means = block.values(name).mean(axis=1).tolist()
        known = [m for m in means if isfinite(m) and m > 0]
        if known:
            base = best(known)  # type: ignore[operator]
            for s, m in zip(block.schemes, means, strict=True):
                logs[s].append(log(m / base) if isfinite(m) and m > 0 else float("nan"))
    return {s: exp(sum(of) / len(of)) if of and all(map(isfinite, of)) else None for s, of in logs.items()}


def _mean_rank(found: Analysis, name: str) -> dict[str, float]:
    """Mean rank by a figure of which more is better."""
    ranks = [ranks_of(-np.nan_to_num(b.values(name), nan=-np.inf).mean(axis=1)) for b in found.blocks]
    return dict(zip(found.blocks[0].schemes, map(float, np.array(ranks).mean(axis=0)), strict=True))


def _measured(blocks: Sequence[Block], name: str) -> bool:
    return all(np.isfinite(block.values(name)).any() for block in blocks)


def _rank(rank: float) -> str:
    return f"{rank:.0f}" if rank == int(rank) else f"{rank:.1f}"


def _span(low: float | None, high: float | None, decimals: int) -> str:
    return "" if low is None or high is None else f"[{number(low, decimals)}, {number(high, decimals)}]"


def _p(p: float | None) -> str:
    if p is None:
        return NOT_MEASURED
    return "<0.001" if p < 0.001 else number(p, 3)
