"""Tables of Figures 5 and 6 beside the paper and the independent reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgebed.report import Comparison
from edgebed.report.figures import NOT_MEASURED
from edgebed.report.plain import Sheet
from edgebed.reproduce.common.paper import PaperRow, text
from edgebed.reproduce.ma.settings import (
    FAIRNESS_BAND,
    MEAN_BAND,
    PAPER,
    REFERENCE,
    STARVED,
    TESTBEDS,
)

Comparisons = Mapping[str, Comparison]


def figure_5_table(comparisons: Comparisons) -> Sheet:
    """Latency against fairness, per testbed and scheme, with the given plan and our own."""
    rows = []
    for given, planned in TESTBEDS.items():
        for name in (n for n in (given, planned) if n in comparisons):
            own = name == planned
            for scheme in comparisons[name].schemes:
                rows.append(_row(comparisons[name], scheme, given, own))
    columns = (
        "testbed", "scheme", "plan", "Tw s", "Tu s", "F_norm", "Jain raw", "success", "goodput /s", "J (Tw)", "J (Tu)",
        "reference Tw / F_norm", "", "paper s / Jain", "paper",
    )  # fmt: skip
    note = (
        "Means over seeds ± 95%. Tw: request-weighted mean over the served; Tu: mean of the per-model means. "
        f"Reference: an independent engine under the same plans; inside is within {MEAN_BAND:.0%} of its Tw and "
        f"{FAIRNESS_BAND} of its F_norm. J rewards refusing work, so read it beside success. Schemes with planner "
        "or agents are run by `rules`."
    )
    return Sheet("Figure 5: latency against fairness", note, columns, tuple(rows))


def _row(comparison: Comparison, scheme: str, testbed: str, own: bool) -> tuple[str, ...]:
    paper = PAPER.get(scheme, PaperRow())
    planned = any(s.reasoner != "none" for s in comparison.summaries(scheme))
    beside = f"{paper.mean or NOT_MEASURED} / {paper.jain or NOT_MEASURED}"

    def mean(name: str, decimals: int) -> str:
        return text(comparison.interval(scheme, name), decimals)

    return (
        testbed, comparison.label(scheme), ("own" if own else "given") if planned else "",
        mean("mean_latency_s", 0), mean("type_mean_latency_s", 0), mean("fairness_norm", 3), mean("jain", 3),
        mean("success_ratio", 3), mean("goodput", 3), mean("objective", 3), mean("objective_type", 3),
        *_reference(comparison, scheme, testbed, own), beside, paper.said,
    )  # fmt: skip


def _reference(comparison: Comparison, scheme: str, testbed: str, own: bool) -> tuple[str, str]:
    """The reference, and whether ours is inside its band; none for our own plans, which differ from its."""
    reference = REFERENCE[testbed].get(scheme)
    if reference is None or own:
        return NOT_MEASURED, ""
    beside = f"{reference.mean_s:.0f} / {reference.fairness_norm:.3f}"
    inside = within_reference(comparison, scheme, testbed)
    return beside, NOT_MEASURED if inside is None else ("inside" if inside else "outside")


def within_reference(comparison: Comparison, scheme: str, testbed: str) -> bool | None:
    """Whether the means lie within ±15% of the reference's Tw and ±0.05 of its F_norm; None without either."""
    reference = REFERENCE[testbed].get(scheme)
    mean, fair = (comparison.interval(scheme, n) for n in ("mean_latency_s", "fairness_norm"))
    if reference is None or mean is None or fair is None:
        return None
    return (
        abs(mean.mean / reference.mean_s - 1.0) <= MEAN_BAND
        and abs(fair.mean - reference.fairness_norm) <= FAIRNESS_BAND
    )


def figure_6_table(comparisons: Comparisons) -> Sheet:
    """Per model: success, latency, and where the time of the served went."""
    rows = []
    for name, comparison in comparisons.items():
        for scheme in comparison.schemes:
            for model in comparison.models:
                rows.append((name, comparison.label(scheme), model, *_model_cells(comparison, scheme, model)))
    columns = (
        "scenario", "scheme", "model", "success", "latency s", "transmission s", "queueing s", "inference s",
    )  # fmt: skip
    note = (
        "Latency is over the served and is the sum of the three to its right. Transmission: up and down (testbeds "
        "without links have none). Queueing: waiting for a decision, for a replica to start, and for its turn. "
        "Inference: from start to end of service, sharing included."
    )
    return Sheet("Figure 6: latency and success of each model", note, columns, tuple(rows))


def _model_cells(comparison: Comparison, scheme: str, model: str) -> tuple[str, ...]:
    names = ("success_ratio", "mean_latency_s", "transfer_mean_s", "queue_mean_s", "service_mean_s")
    return tuple(
        text(
            comparison.model_interval(scheme, model, n), 2 if n in ("success_ratio", "transfer_mean_s") else 0
        )
        for n in names
    )


Claim = tuple[str, Callable[[Comparison], tuple[str, bool] | None]]


def claims_table(comparisons: Comparisons) -> Sheet:
    """What the paper's text says of its Figures 5 and 6, and whether it holds here."""
    given = [name for name in TESTBEDS if name in comparisons]
    rows = []
    for statement, check in _CLAIMS:
        cells: list[str] = [statement]
        for name in given:
            found = check(comparisons[name])
            cells += (
                [NOT_MEASURED, ""] if found is None else [found[0], "holds" if found[1] else "does not hold"]
            )
        rows.append(tuple(cells))
    columns = ("the paper", *(c for name in given for c in (name, "")))
    note = "Means over seeds, given plans. RF's 0.62 is compared with raw Jain: see the notes below."
    return Sheet("What the paper says", note, columns, tuple(rows))


def _mean(comparison: Comparison, scheme: str, name: str = "mean_latency_s") -> float | None:
    found = comparison.interval(scheme, name) if scheme in comparison.schemes else None
    return None if found is None else found.mean


def _starved(comparison: Comparison, scheme: str) -> tuple[float | None, float | None]:
    if scheme not in comparison.schemes:
        return None, None
    success, latency = (
        comparison.model_interval(scheme, STARVED, n) for n in ("success_ratio", "mean_latency_s")
    )
    return (None if success is None else success.mean), (None if latency is None else latency.mean)


def _worst(comparison: Comparison) -> tuple[str, bool] | None:
    means = {s: m for s in comparison.schemes if (m := _mean(comparison, s)) is not None}
    if "RF" not in means or len(means) < 2:
        return None
    worst = max(means, key=lambda s: means[s])
    return f"{worst} {means[worst]:.0f} s, RF {means['RF']:.0f} s", worst == "RF"


def _faster(scheme: str, other: str, least_s: float) -> Callable[[Comparison], tuple[str, bool] | None]:
    def check(comparison: Comparison) -> tuple[str, bool] | None:
        a, b = _mean(comparison, scheme), _mean(comparison, other)
        return None if a is None or b is None else (f"{b - a:+.0f} s", b - a >= least_s)

    return check


def _fair(comparison: Comparison) -> tuple[str, bool] | None:
    raw, norm = (_mean(comparison, "RL", n) for n in ("jain", "fairness_norm"))
    return None if raw is None or norm is None else (f"raw {raw:.3f}, norm. {norm:.3f}", raw >= 0.98)


def _less_fair(comparison: Comparison) -> tuple[str, bool] | None:
    a, b = (_mean(comparison, s, "fairness_norm") for s in ("MAL", "RL"))
    return None if a is None or b is None else (f"{a:.3f} against {b:.3f}", a < b)


def _saves(comparison: Comparison) -> tuple[str, bool] | None:
    a, b = _mean(comparison, "MA"), _mean(comparison, "RF")
    return None if a is None or b is None else (f"{100 * (a / b - 1):+.0f}%", a <= 0.2 * b)


def _serves(comparison: Comparison) -> tuple[str, bool] | None:
    if "MA" not in comparison.schemes:
        return None
    found = [comparison.model_interval("MA", m, "success_ratio") for m in comparison.models]
    means = [i.mean for i in found if i is not None]
    return (f"least {min(means):.2f}", min(means) > 0.4) if means else None


def _starves(scheme: str) -> Callable[[Comparison], tuple[str, bool] | None]:
    def check(comparison: Comparison) -> tuple[str, bool] | None:
        success, latency = _starved(comparison, scheme)
        if success is None:
            return None
        slow = latency is not None and latency > 600
        shown = NOT_MEASURED if latency is None else f"{latency:.0f} s"
        return f"{success:.2f}, {shown}", success < 0.3 and slow

    return check


_CLAIMS: Sequence[Claim] = (
    ("RF is the slowest", _worst),
    ("RL is at least 50 s faster than RR", _faster("RL", "RR", 50.0)),
    ("RL's Jain index is close to 1.0 (raw ≥ 0.98)", _fair),
    ("MAL is less fair than RL", _less_fair),
    ("MA is 80% faster than RF", _saves),
    ("MA serves more than 0.4 of every model", _serves),
    *((f"{s} serves less than 0.3 of {STARVED}, later than 600 s", _starves(s)) for s in ("RR", "MAL", "AL")),
)
