"""Tables of a reproduction: as text, as CSV, and as plain rows for the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from edgebed.report.figures import NOT_MEASURED
from edgebed.report.text_table import TextTable
from edgebed.reproduce.common.paper import percent, percent_text
from edgebed.reproduce.e3.gaps import Gap
from edgebed.reproduce.e3.results import COURTEOUS, GapResults, GapRow
from edgebed.reproduce.e3.settings import ABLATED, BEST_STATIC, PAPER, paper_gap


def gap_text(gap: Gap | None) -> str:
    """Mean gap with its 95% interval over pools."""
    return percent_text(None if gap is None else gap.mean)


def table_5(results: GapResults) -> TextTable:
    """Paper's Table 5 beside ours: mean latency and gap to the Oracle, four devices, truth equal to the profile."""
    rows = []
    for name, paper in PAPER.items():
        for label, theirs in paper.items():
            row = results.row(name, label)
            if row is None or theirs.mean_s is None:
                continue
            rows.append(
                (
                    row.title, row.label, f"{1000 * theirs.mean_s:.0f}", percent(paper_gap(name, label), 0),
                    f"{1000 * row.mean_s.mean:.0f}" + (f" ± {1000 * row.mean_s.half:.0f}" if row.mean_s.half else ""),
                    gap_text(row.gap), gap_text(row.gap_courteous), gap_text(row.gap_after_warmup),
                    gap_text(row.gap_safe), gap_text(results.gap(name, "e3-prior")), _mark(row),
                )
            )  # fmt: skip
    columns = (
        "setting", "scheme", "paper ms", "paper gap", "ours ms", "our gap", "gap to courteous Oracle", "after warm-up",
        "gap to safe Oracle", "prior-only SECT", "",
    )  # fmt: skip
    note = (
        "Both semantic plans stand beside the paper's one. Easy: a router that never learns comes within 3x of our "
        "gap, as it must where the truth is the profile. ± is a 95% interval over seeds (request lengths)."
    )
    return TextTable("Table 5: mean latency and Oracle gap", note, columns, tuple(rows), keys=2)


def table_6(results: GapResults) -> TextTable:
    """Paper's Table 6 beside ours: stutter, reasoner invocations and tool calls."""
    rows = []
    for name, paper in PAPER.items():
        ours = results.row(name, "e3")
        calls = paper["e3"].calls
        if calls is None or ours is None:
            continue
        static = [r.stutter_rate for n in ("fixed-heuristic", "round-robin") if (r := results.row(name, n))]
        rows.append(
            (
                ours.title, percent(paper["e3"].stutter, 2, False), percent(ours.stutter_rate, 2, False),
                percent(paper[BEST_STATIC].stutter, 2, False), percent(min(static) if static else None, 2, False),
                f"{calls[0]} / {calls[1]}", f"{ours.reasoner_calls:.1f} / {ours.tool_calls:.1f}",
            )
        )  # fmt: skip
    columns = (
        "setting", "paper E3 stutter", "our e3 (rules) stutter", "paper best static", "our best static",
        "paper calls / tools", "our calls / tools",
    )  # fmt: skip
    note = "Means over seeds; our reasoner is `rules`."
    return TextTable("Table 6: stutter and meta-control", note, columns, tuple(rows))


def pools_table(results: GapResults) -> TextTable:
    """Every random pool setting and the bounds."""
    shown = [r for r in results.rows() if r.overloaded is not None and not r.label.startswith("with")]
    rows = tuple(
        (
            r.title, r.label, gap_text(r.gap), gap_text(r.gap_courteous), percent(r.gap.median), percent(r.gap.p90),
            percent(r.gap.share_negative, 0, False), gap_text(r.gap_after_warmup), gap_text(r.gap_safe),
            percent(r.stutter_rate, 2, False), percent(r.overloaded, 0, False),
            percent(r.overloaded_avoiding, 0, False),
            NOT_MEASURED if r.within_80 is None else
            f"{percent(r.within_80, 0, False)} / {percent(r.within_95, 0, False)}",
            _mark(r),
        )
        for r in shown
    )  # fmt: skip
    columns = (
        "setting", "scheme", "gap", "gap to courteous Oracle", "median", "p90", "negative", "after warm-up",
        "gap to safe Oracle", "stutter",
        "overloaded", "… if degraded are avoided", "in 80% / 95%", "",
    )  # fmt: skip
    note = (
        "Gap: mean over pools of the per-pool T / T_oracle - 1, ± its 95% interval. Negative: share of pools that beat "
        "the myopic Oracle. Courteous: the wait counts three times, in our e3 too, as a queue joined delays "
        "those who come after. Overloaded: share of pools in which a type's true load exceeds 1 at some time. Last but "
        "one: share of actual service times inside the stated 80% and 95% intervals."
    )
    return TextTable("Random pools", note, columns, rows, keys=2)


def courtesy_table(results: GapResults) -> TextTable:
    """How much of E3's gap is learning, and how much is that it joins queues less often than the paper's Oracle."""
    rows = tuple(
        (
            of.title, gap_text(of.gap), gap_text(of.gap_courteous), gap_text(results.gap(of.setting, COURTEOUS)),
            percent(of.gap.share_negative, 0, False),
            percent(of.gap_courteous.share_negative, 0, False),
        )
        for of in results.rows()
        if of.label == "e3" and of.gap_courteous is not None
    )  # fmt: skip
    columns = (
        "setting", "e3 to the paper's Oracle", "e3 to an Oracle as courteous", "that Oracle to the paper's",
        "e3 below the first", "e3 below the second",
    )  # fmt: skip
    note = (
        "Gaps in mean latency, ± 95% over pools or seeds. The paper's Oracle knows every service time and serves each "
        "request as soon as it can, so it joins queues more often than is good for those who come after. E3 here "
        "counts the wait three times, as the second Oracle does: the third gap is what this courtesy alone is worth, "
        "and the second what E3 loses to whoever is as courteous and has nothing to learn. Where the first gap is "
        "negative, that is courtesy, not learning. The last two: share of pools in which e3 was below each of them."
    )
    return TextTable("How much of E3's gap is courtesy", note, columns, rows)


def _mark(row: GapRow) -> str:
    return "easy" if row.easy and row.label == "e3" else ""


def ablation_table(results: GapResults) -> TextTable:
    """What each part of E3 is worth on the hard pools: gap with and without, and the stutter it leaves."""
    rows = []
    labels = [label for label in results.labels(ABLATED[0]) if label.startswith("with") or label == "e3"]
    for label in labels:
        cells = [label]
        for setting in ABLATED:
            row = results.row(setting, label)
            reference = None if row is None else (row.gap_safe or row.gap)
            cells += [gap_text(reference), percent(row.stutter_rate, 2, False) if row else NOT_MEASURED]
        rows.append(tuple(cells))
    columns = ("e3",) + tuple(c for s in ABLATED for c in (f"{s.removeprefix('pool16-')}: gap", "stutter"))
    note = "Sixteen devices, sigma 0.5, cv 0.1, load 0.6. Semantic: gap to the Oracle that avoids stutter."
    return TextTable("Ablations", note, columns, tuple(rows))


def csv_text(rows: Sequence[GapRow]) -> str:
    """Every row with every figure, for other tools."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            "setting", "scheme", "n", "mean_latency_ms", "mean_latency_low_ms", "mean_latency_high_ms", "oracle_gap",
            "oracle_gap_low", "oracle_gap_high", "gap_median", "gap_p90", "share_negative", "gap_after_warmup",
            "gap_to_safe_oracle", "gap_to_courteous_oracle",
            "stutter_rate", "overloaded", "overloaded_avoiding", "easy", "reasoner_calls",
            "tool_calls", "within_80", "within_95",
        )
    )  # fmt: skip
    for r in rows:
        writer.writerow(
            (
                r.setting, r.label, r.gap.n, _ms(r.mean_s.mean), _ms(r.mean_s.low), _ms(r.mean_s.high), r.gap.mean.mean,
                r.gap.mean.low, r.gap.mean.high, r.gap.median, r.gap.p90, r.gap.share_negative,
                _mean(r.gap_after_warmup), _mean(r.gap_safe), _mean(r.gap_courteous), r.stutter_rate, r.overloaded,
                r.overloaded_avoiding, r.easy, r.reasoner_calls, r.tool_calls, r.within_80, r.within_95,
            )
        )  # fmt: skip
    return out.getvalue()


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else 1000.0 * value_s


def _mean(found: Gap | None) -> float | None:
    return None if found is None else found.mean.mean
