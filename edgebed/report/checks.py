"""What must hold for the figures of a comparison to mean anything, each as a line with its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from controller.loop import INVALID
from controller.whatif import NO_WHAT_IF
from edgebed.report.cells import TableCell
from edgebed.report.client_row import client_check, recorder_remarks
from edgebed.report.model import Comparison, FaultEntry
from edgebed.report.shadowed import shadow_remarks
from edgebed.report.switched import switch_remarks
from emulation.domain.records import DecisionRecord

COUNTED_SOURCES = ("trace", "sessions")
"""Kinds of sources that leave something out by rules; of the others a drop says nothing."""


def checks(comparison: Comparison) -> list[TableCell]:
    """What must hold for the figures to mean anything; `aside` is ok, FAILED or a remark."""
    results = comparison.results
    broken = [r.summary for r in results if not r.summary.conservation.ok]
    sound = len(results) - len(broken)
    lines = [_check(not broken, f"every request accounted for in {sound} of {len(results)} runs")]
    lines += [
        TableCell(f"{s.scheme}, seed {s.seed}: {'; '.join(s.conservation.problems[:3])}", "FAILED", "bad")
        for s in broken[:5]
    ]
    if (client := client_check(results)) is not None:
        lines.append(_check(*client))
    cut = sum(r.summary.interrupted for r in results)
    if cut:
        text = f"{cut} of {len(results)} runs were cut short: their figures cover what was recorded"
        lines.append(TableCell(text, "CUT", "bad"))
    lines += _sources_read(comparison)
    lines += _left_out(comparison)
    remarks = (*_few(comparison), *_uneven_faults(comparison), *switch_remarks(results))
    remarks += (*shadow_remarks(results), *recorder_remarks(results), *comparison.remarks)
    lines += [TableCell(text, "note", "muted") for text in remarks]
    unnamed = sum(r.summary.unnamed for r in results)
    if unnamed:
        text = (
            f"{unnamed} requests were in the system when records of version 2 or older closed; these do not name them,"
            " so they are in no figure"
        )
        lines.append(TableCell(text, "note", "muted"))
    lines += _invalid_answers(comparison)
    lines += _without_forecast(comparison)
    if comparison.faults:
        lines.append(_faults_check(comparison.faults, bool(comparison.faults_valid)))
    if (parity := comparison.parity) is not None:
        lines.append(
            TableCell(parity.said, "note", "muted") if parity.ok is None else _check(parity.ok, parity.said)
        )
    return lines


def _faults_check(rows: Sequence[FaultEntry], valid: bool) -> TableCell:
    known = [r for r in rows if r.landed is not None]
    back = [r for r in rows if r.recovered is not None]
    if not known and not back:
        return TableCell(f"no run can tell whether any of {len(rows)} faults landed", "note", "muted")
    text = f"{sum(bool(r.landed) for r in known)} of {len(known)} faults landed on their target"
    text += f", {sum(bool(r.recovered) for r in back)} of {len(back)} were seen to end"
    if len(known) < len(rows):
        text += f" ({len(rows) - len(known)} not exercised, or too little to tell)"
    return _check(valid, text)


def _left_out(comparison: Comparison) -> list[TableCell]:
    """Every run that counts in no mean, each failure by itself; that the columns rest on different seeds."""
    lines = [
        TableCell(f"{o.scheme}, seed {o.seed}: {o.why}", "FAILED", "bad")
        for o in comparison.left_out
        if o.how in ("failed", "unreadable")
    ]
    for how, text in (("cut", "cut short"), ("missing", "not run")):
        of = [o for o in comparison.left_out if o.how == how]
        if of:
            named = ", ".join(f"{o.scheme} seed {o.seed}" for o in of[:4])
            more = f" and {len(of) - 4} more" if len(of) > 4 else ""
            lines.append(
                TableCell(f"{len(of)} runs were {text} and are in no mean: {named}{more}", "CUT", "bad")
            )
    return lines


def _sources_read(comparison: Comparison) -> list[TableCell]:
    """Of every source that leaves rows or turns out: how many it read, sent and dropped for which reason."""
    return [
        _check(
            account.adds_up,
            f"{account.source} ({account.kind}), over {len(comparison.seeds)} seeds: {account.said}",
        )
        for account in comparison.workload
        if account.kind in COUNTED_SOURCES
    ]


def _few(comparison: Comparison) -> list[str]:
    """What must be said of the number of seeds."""
    counts = {name: len(results) for name, results in comparison.schemes.items()}
    said = []
    if len(set(counts.values())) > 1:
        named = ", ".join(f"{name} {n}" for name, n in counts.items())
        said.append(
            f"columns rest on different numbers of runs: {named}; differences are over the seeds both have"
        )
    if min(counts.values()) == 2:
        said.append(
            "no interval under three seeds: of two, the 95% interval is 12.7 standard errors wide to either side"
            " (Student's t with one degree of freedom), which says nothing"
        )
    return said


def _uneven_faults(comparison: Comparison) -> list[str]:
    """What must be said where a fault was injected into some of the runs by hand."""
    runs = Counter((row.event, row.type, row.target) for row in comparison.faults or ())
    named = [f"{type} {target}" for (_, type, target), n in runs.items() if n < len(comparison.results)]
    said = ", ".join(dict.fromkeys(named))
    return [f"not every run went through all of the faults: {said}, injected by hand"] if named else []


def _invalid_answers(comparison: Comparison) -> list[TableCell]:
    """One line per scheme whose deciders gave answers that had to be replaced; nothing where all were valid."""
    lines: list[TableCell] = []
    for name, results in comparison.schemes.items():
        bad = [d for r in results for d in r.run.decisions if d.reason.startswith(INVALID)]
        if bad:
            actors = ", ".join(sorted({d.actor for d in bad}))
            text = f"{comparison.label(name)}: {len(bad)} invalid answers of {actors}; first: {_said(bad[0])}"
            lines.append(TableCell(text, "FAILED", "bad"))
    return lines


def _without_forecast(comparison: Comparison) -> list[TableCell]:
    """One line per scheme whose planner was to know what its plans would come to, and was not told."""
    lines: list[TableCell] = []
    for name, results in comparison.schemes.items():
        plans = [d for r in results for d in r.run.decisions if d.actor == "planner"]
        blind = [d for d in plans if NO_WHAT_IF in d.reason]
        if blind:
            text = f"{len(blind)} of {len(plans)} plans made without the forecast they rest on"
            text = f"{comparison.label(name)}: {text}; first: {blind[0].reason}"
            lines.append(TableCell(text, "FAILED", "bad"))
    return lines


def _said(decision: DecisionRecord) -> str:
    """What was wrong; a router says it in its reason."""
    return decision.violations[0] if decision.violations else decision.reason.removeprefix(f"{INVALID}: ")


def _check(ok: bool, text: str) -> TableCell:
    return TableCell(text, "ok" if ok else "FAILED", "good" if ok else "bad")
