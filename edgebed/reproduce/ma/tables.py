"""Tables of Figures 5 and 6 beside the paper and the independent reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from edgebed.report import Comparison
from edgebed.report.figures import NOT_MEASURED, SHARES
from edgebed.report.text_table import TextTable
from edgebed.reproduce.common.paper import PaperRow, text
from edgebed.reproduce.ma.settings import (
    DEPLOY_FIRST,
    FAIRNESS_BAND,
    FAIRNESS_BANDS,
    MEAN_BAND,
    PAPER,
    REFERENCE,
    STARVED,
    TESTBEDS,
)

Comparisons = Mapping[str, Comparison]


def figure_5_table(comparisons: Comparisons) -> TextTable:
    """Latency against fairness, per testbed, order within a slot and scheme, with the given plan and our own."""
    rows = [
        _row(comparisons[name], scheme, given, name)
        for given, planned in TESTBEDS.items()
        for name in (given, DEPLOY_FIRST[given], planned)
        if name in comparisons
        for scheme in comparisons[name].schemes
    ]
    columns = (
        "testbed", "order", "scheme", "plan", "Tw s", "Tu s", "F_norm", "Jain raw", "success", "goodput /s", "J (Tw)",
        "J (Tu)", "reference Tw / F_norm", "", "paper s / Jain", "paper",
    )  # fmt: skip
    note = (
        "Means over seeds ± 95%. Tw: request-weighted mean over the served; Tu: mean of the per-model means. "
        "Order within a slot: the paper's (deployment agents look once the slot's requests are dispatched) or the "
        "reference's (before). Reference: an independent engine in its own order under the same plans; inside is "
        f"within {MEAN_BAND:.0%} of its Tw and {FAIRNESS_BAND} of its F_norm (MAL {FAIRNESS_BANDS['MAL']:.2f}). "
        "J rewards refusing work, so read it beside success. Schemes with planner or agents are run by `rules`."
    )
    return TextTable("Figure 5: latency against fairness", note, columns, tuple(rows), keys=4)


def _row(comparison: Comparison, scheme: str, testbed: str, scenario: str) -> tuple[str, ...]:
    paper = PAPER.get(scheme, PaperRow())
    planned = any(s.reasoner != "none" for s in comparison.summaries(scheme))
    own, theirs = scenario == TESTBEDS[testbed], scenario == DEPLOY_FIRST[testbed]
    beside = f"{paper.mean or NOT_MEASURED} / {paper.jain or NOT_MEASURED}"

    def mean(name: str, decimals: int) -> str:
        return text(comparison.interval(scheme, name), decimals, share=name in SHARES)

    return (
        testbed, "reference's" if theirs else "paper's", comparison.label(scheme),
        ("own" if own else "given") if planned else "",
        mean("mean_latency_s", 0), mean("type_mean_latency_s", 0), mean("fairness_norm", 3), mean("jain", 3),
        mean("success_ratio", 3), mean("goodput", 3), mean("objective", 3), mean("objective_type", 3),
        *_reference(comparison, scheme, testbed, theirs), beside, paper.said,
    )  # fmt: skip


def _reference(comparison: Comparison, scheme: str, testbed: str, alike: bool) -> tuple[str, str]:
    """The reference, and whether ours is inside its band; none unless order and plan are its."""
    reference = REFERENCE[testbed].get(scheme)
    if reference is None or not alike:
        return NOT_MEASURED, ""
    beside = f"{reference.mean_s:.0f} / {reference.fairness_norm:.3f}"
    mean, fair = (comparison.interval(scheme, n) for n in ("mean_latency_s", "fairness_norm"))
    if mean is None or fair is None:
        return beside, NOT_MEASURED
    away = f"{100 * (mean.mean / reference.mean_s - 1):+.0f}%, {fair.mean - reference.fairness_norm:+.3f}"
    inside = reference.inside(scheme, mean.mean, fair.mean)
    return beside, f"{'inside' if inside else 'outside'}: {away}"


def figure_6_table(comparisons: Comparisons) -> TextTable:
    """Per model: success, latency, and where the time of the served went."""
    figures = (
        ("success_ratio", 2), ("mean_latency_s", 0), ("transfer_mean_s", 2), ("queue_mean_s", 0), ("service_mean_s", 0),
    )  # fmt: skip
    rows = [
        (
            name,
            of.label(scheme),
            model,
            *(text(of.model_interval(scheme, model, n), d, share=n in SHARES) for n, d in figures),
        )
        for name, of in comparisons.items()
        for scheme in of.schemes
        for model in of.models
    ]
    columns = (
        "scenario", "scheme", "model", "success", "latency s", "transmission s", "queueing s", "inference s",
    )  # fmt: skip
    note = (
        "Latency is over the served and is the sum of the three to its right. Transmission: up and down (testbeds "
        "without links have none). Queueing: waiting for a decision, for a replica to start, and for its turn. "
        "Inference: from start to end of service, sharing included."
    )
    return TextTable("Figure 6: latency and success of each model", note, columns, tuple(rows), keys=3)


class NotMeasured(LookupError):
    """A claim is about a figure that was not measured."""


def claims_table(comparisons: Comparisons) -> TextTable:
    """What the paper's text says of its Figures 5 and 6, and whether it holds here."""
    given = [n for pair in DEPLOY_FIRST.items() for n in pair if n in comparisons]
    rows = [
        (said, *(cell for name in given for cell in _found(check, comparisons[name])))
        for said, check in _CLAIMS
    ]
    columns = ("the paper", *(c for name in given for c in (name, "")))
    note = (
        "Means over seeds, given plans; deploy-first: the reference's order within a slot. RF's 0.62 is compared with "
        "raw Jain: see the notes below."
    )
    return TextTable("What the paper says", note, columns, tuple(rows))


def _found(check: Check, comparison: Comparison) -> tuple[str, str]:
    try:
        found, holds = check(comparison)
    except NotMeasured:
        return NOT_MEASURED, ""
    return found, "holds" if holds else "does not hold"


def _mean(of: Comparison, scheme: str, name: str = "mean_latency_s", model: str | None = None) -> float:
    """Mean over seeds, of one model or of all. Raises `NotMeasured`."""
    found = None
    if scheme in of.schemes:
        found = of.interval(scheme, name) if model is None else of.model_interval(scheme, model, name)
    if found is None:
        raise NotMeasured(scheme, name)
    return found.mean


def _worst(of: Comparison) -> tuple[str, bool]:
    rf_s = _mean(of, "RF")
    if len(of.schemes) < 2:
        raise NotMeasured("another scheme")
    worst_s, worst = max((_mean(of, scheme), scheme) for scheme in of.schemes)
    return f"{worst} {worst_s:.0f} s, RF {rf_s:.0f} s", worst == "RF"


def _faster(of: Comparison) -> tuple[str, bool]:
    gain_s = _mean(of, "RR") - _mean(of, "RL")
    return f"{gain_s:+.0f} s", gain_s >= 50.0


def _fair(of: Comparison) -> tuple[str, bool]:
    raw, norm = _mean(of, "RL", "jain"), _mean(of, "RL", "fairness_norm")
    return f"raw {raw:.3f}, norm. {norm:.3f}", raw >= 0.98


def _less_fair(of: Comparison) -> tuple[str, bool]:
    mal, rl = _mean(of, "MAL", "fairness_norm"), _mean(of, "RL", "fairness_norm")
    return f"{mal:.3f} against {rl:.3f}", mal < rl


def _saves(of: Comparison) -> tuple[str, bool]:
    ma, rf = _mean(of, "MA"), _mean(of, "RF")
    return f"{100 * (ma / rf - 1):+.0f}%", ma <= 0.2 * rf


def _serves(of: Comparison) -> tuple[str, bool]:
    least = min(_mean(of, "MA", "success_ratio", model) for model in of.models)
    return f"least {least:.2f}", least > 0.4


def _starves(scheme: str, of: Comparison) -> tuple[str, bool]:
    success = _mean(of, scheme, "success_ratio", STARVED)
    try:
        late_s = _mean(of, scheme, "mean_latency_s", STARVED)
    except NotMeasured:
        return f"{success:.2f}, {NOT_MEASURED}", False
    return f"{success:.2f}, {late_s:.0f} s", success < 0.3 and late_s > 600


Check = Callable[[Comparison], tuple[str, bool]]
"""What was found, and whether the claim holds. Raises `NotMeasured`."""
_CLAIMS: Sequence[tuple[str, Check]] = (
    ("RF is the slowest", _worst),
    ("RL is at least 50 s faster than RR", _faster),
    ("RL's Jain index is close to 1.0 (raw ≥ 0.98)", _fair),
    ("MAL is less fair than RL", _less_fair),
    ("MA is 80% faster than RF", _saves),
    ("MA serves more than 0.4 of every model", _serves),
    *(
        (f"{s} serves less than 0.3 of {STARVED}, later than 600 s", partial(_starves, s))
        for s in ("RR", "MAL", "AL")
    ),
)
