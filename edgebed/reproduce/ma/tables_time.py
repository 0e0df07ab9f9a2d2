"""Tables over time: Figure 7, and the adaptation."""

from __future__ import annotations

from edgebed.report.figures import number
from edgebed.report.text_table import TextTable
from edgebed.reproduce.common.paper import percent, percent_text, text
from edgebed.reproduce.ma.epochs import LAST, NEAR, WINDOW
from edgebed.reproduce.ma.recovery import UNSTEADY, Recovery
from edgebed.reproduce.ma.recovery import WINDOW as SLOTS
from edgebed.reproduce.ma.results import AdaptationResults, EpochResults
from edgebed.reproduce.ma.settings import PHASES, REFERENCE_RUN
from emulation.metrics.shares import share_text

NEVER = "never"


def figure_7_table(results: EpochResults) -> TextTable:
    """Epochs needed to be as good as with the truth, with and without case memory."""
    rows = [
        (
            key[0], key[1] + (" (the reference)" if key == REFERENCE_RUN else ""),
            text(results.by_epoch(key)[0], 3), text(reached.objective, 3),
            percent_text(reached.first_epoch), percent_text(reached.last_epochs),
            _epochs(reached.first_near), _epochs(reached.stays_near),
            " ".join(f"{m} {share_text(share, 2)}" for m, share in results.success(key).items()),
        )
        for key in results.keys
        if (reached := results.approach(key)) is not None
    ]  # fmt: skip
    columns = (
        "start", "planner of MA", "J, epoch 1", f"J, last {LAST} epochs", "epoch 1 against the truth",
        f"last {LAST} against the truth", f"epochs to {NEAR:.0%}", "and to stay there", "success in the last epoch",
    )  # fmt: skip
    note = (
        "Poor start: the true laws differ from the profile by a log-normal factor of sigma 0.5, drawn for every "
        "node, model and mode. True profile: the same worlds, their laws as the profile and taken for known. "
        f"Against the truth: J over the J of the reference on the same seeds, less 1, ± 95%. Epochs to {NEAR:.0%}: "
        f"until a mean over {WINDOW} epochs and all seeds was within {NEAR:.0%} of the reference's, first and for "
        "good. J by requests that arrived in the epoch."
    )
    return TextTable("Figure 7: the objective over epochs", note, columns, tuple(rows), keys=2)


def _epochs(count: int | None) -> str:
    return NEVER if count is None else str(count)


def adaptation_table(results: AdaptationResults) -> TextTable:
    """Slots to come back after each change, and what it costs."""
    rows = [
        (scenario, phase, scheme, *_cells(recovery))
        for scenario in PHASES
        if results.labels(scenario)
        for phase, schemes in results.recoveries(scenario).items()
        for scheme, recovery in schemes.items()
    ]
    columns = (
        "scenario", "change", "scheme", "before s", "new steady state s", f"highest {SLOTS}-slot mean s",
        "it swings by", "slots to be back", "95% range", "excess until back, request-hours", "lost until back",
        "excess of the phase, request-hours",
        "lost in the phase",
    )  # fmt: skip
    note = (
        "Latency by slot of arrival, a lost request counted with the whole deadline, over all seeds. New steady "
        f"state: mean over the last 40% of the phase; it swings by: the furthest a mean over {SLOTS} slots strays "
        "from it there. Back: from then on every such mean stays within 10% of it, or within its swing where that "
        f"is more; {NEVER}: it swings by more than {UNSTEADY:.0%}, so there is no steady state. A number near "
        "60% of the phase: it never lay that still before. Range: seeds drawn "
        "again, with replacement. Excess: above the new steady state, and for the whole phase against the 20 "
        "slots before it; per run. A slot is 30 s."
    )
    return TextTable(
        "Adaptation: back within 10% of the new steady state", note, columns, tuple(rows), keys=3
    )


def _cells(recovery: Recovery) -> tuple[str, ...]:
    ends = tuple(NEVER if end is None else str(end) for end in (recovery.low, recovery.high))
    return (
        number(recovery.before_s, 0), number(recovery.steady_s, 0), number(recovery.peak_s, 0),
        percent(recovery.swing, 0, signed=False), _epochs(recovery.slots), f"{ends[0]} to {ends[1]}",
        number(recovery.excess_s / 3600.0, 1), number(recovery.lost, 1), number(recovery.phase_excess_s / 3600.0, 1),
        f"{number(recovery.phase_lost, 1)} of {recovery.phase_requests:.0f}",
    )  # fmt: skip
