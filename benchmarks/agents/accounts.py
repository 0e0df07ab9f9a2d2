"""What a model was asked in a run, what its answers were worth, and what each of them did: figures, rows and laws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.agents.answers import parse
from controller.agents.menu import ChoiceAnswer
from controller.agents.reasoner import OPENAI
from edgebed.report.decisions import compact
from edgebed.report.figures import number
from edgebed.report.model import compare_runs
from edgebed.report.reasoning import REASONING_COLUMNS, RoleAccount, accounts_of, cells, is_answer
from emulation.domain.records import DecisionRecord
from emulation.metrics.summary import Summary, summarise
from emulation.metrics.view import is_exchange
from emulation.recording import Run

ROLES = {"MA": ("planner", "scheduler", "deployer"), "e3": ("meta",)}
"""Scheme to the roles in which it asks its reasoner."""
LEAST_ACCEPTED = 0.95
"""Share of a model's answers that must be carried out as they are."""
OUTCOME_COLUMNS = (
    "scheme", "reasoner", "J", "success", "worst model", "mean s", "p95 s", "changes of mode", "thinking s", "tokens",
)  # fmt: skip
ASKED_COLUMNS = ("scheme, reasoner", *REASONING_COLUMNS[1:])
DID_COLUMNS = ("t", "who", "chose", "best by estimate", "what", "result")
DID_CHARS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a model answered in one role."""

    role: str
    given: int
    well_formed: int
    """Of these, syntactically right: cut by nothing, and of the type that was asked for."""
    accepted: int
    """Of these, carried out as they were."""


def outcome_row(run: Run) -> tuple[str, ...]:
    """What came of a run, in the order of `OUTCOME_COLUMNS`."""
    found: Summary = summarise(run)
    ratios = (model.success_ratio for model in found.per_model.values())
    worst = min((ratio for ratio in ratios if ratio is not None), default=None)
    return (
        found.scheme, found.reasoner, number(found.objective, 3), number(found.success_ratio, 3), number(worst, 3),
        number(found.mean_latency_s, 1), number(found.p95_s, 1), number(found.reconfigurations, 0),
        number(found.thinking_s, 0), number(found.tokens, 0),
    )  # fmt: skip


def asked_rows(run: Run) -> list[tuple[str, ...]]:
    """What its reasoner was asked, a row per role, in the order of `ASKED_COLUMNS`."""
    named = f"{run.header.scheme}, {run.header.reasoner}"
    return [(named, account.role, *cells(account)) for account in _accounts(run)]


def answers_of(run: Run) -> list[Answers]:
    """What the language model of a run answered, role by role."""
    formed: dict[str, int] = defaultdict(int)
    for line in _put(run):
        formed[_role(line)] += _well_formed(line)
    return [
        Answers(role=a.role, given=a.answers, well_formed=formed[a.role], accepted=a.valid)
        for a in _accounts(run)
    ]


def did_rows(run: Run) -> list[tuple[str, ...]]:
    """Every choice of a run's reasoner and what it did, in the order of `DID_COLUMNS`."""
    return [_did(line, decision) for line, decision in _with_decision(run)]


def broken_laws(run: Run) -> list[str]:
    """What is not as it must be of a run whose agents a language model is; nothing, if all is."""
    name, found = run.header.scheme, {answers.role: answers for answers in answers_of(run)}
    wrong = [f"{name}: its {role} was asked nothing" for role in ROLES[name] if role not in found]
    for role, answers in found.items():
        if answers.well_formed < answers.given:
            wrong.append(f"{name}, {role}: {answers.well_formed} of {answers.given} answers are well formed")
        if answers.accepted < LEAST_ACCEPTED * answers.given:
            wrong.append(f"{name}, {role}: {answers.accepted} of {answers.given} answers were accepted")
    if not (books := summarise(run).conservation).ok:
        wrong.append(f"{name}: {'; '.join(books.problems[:3])}")
    return wrong


def differing(run: Run, again: Run) -> int:
    """Decisions of agents and meta-controller in which a replay differs from what it replays; 0: it is the same."""
    one, other = list(_decided(run)), list(_decided(again))
    return abs(len(one) - len(other)) + sum(a != b for a, b in zip(one, other, strict=False))


def _accounts(run: Run) -> list[RoleAccount]:
    return accounts_of(compare_runs([run]).results)


def _put(run: Run) -> Iterator[DecisionRecord]:
    """The questions that were put to a model: what has one good option, and what a menu looks up by rule, is not, nor
    what a model looks up itself."""
    for line in run.decisions:
        if is_exchange(line) and line.reasoner == OPENAI and is_answer(line):
            exchange = line.choice["exchange"]
            if exchange.get("form") != "choice" or "menu" in exchange:
                yield line


def _well_formed(line: DecisionRecord) -> bool:
    exchange = line.choice["exchange"]
    if exchange["failure"] is not None:
        return False
    if _role(line) == "meta":  # an answer that names no option is a failure there already
        return True
    try:
        parse(exchange["text"], ChoiceAnswer)
    except ValueError:
        return False
    return True


def _with_decision(run: Run) -> Iterator[tuple[DecisionRecord, DecisionRecord]]:
    """A question with a menu, and the decision it was put for: of a meta-controller itself, else what follows it."""
    waiting: dict[tuple[str, float], DecisionRecord] = {}
    for line in run.decisions:
        key = (line.actor, line.t_s)
        if is_exchange(line):
            if "menu" not in line.choice["exchange"]:
                continue
            if _role(line) == "meta":
                yield line, line
            else:
                waiting[key] = line
        elif key in waiting:
            yield waiting.pop(key), line


def _did(line: DecisionRecord, decision: DecisionRecord) -> tuple[str, ...]:
    exchange = line.choice["exchange"]
    menu = exchange["menu"]
    what = exchange["text"] if decision is line else decision.reason.partition(": ")[2] or decision.reason
    result = exchange["failure"] or decision.outcome
    if decision.changes:
        result += f", {decision.changes} changed"
    return (
        number(line.t_s, 0), line.actor, f"{menu['chosen'] or 'none'} of {menu['options']}", str(menu["best"]),
        compact(what, DID_CHARS), result,
    )  # fmt: skip


def _decided(run: Run) -> Iterator[tuple[Any, ...]]:
    """What every decision but the router's was, without who made it and what was said on the way."""
    for d in run.decisions:
        if d.actor != "router" and not is_exchange(d):
            yield (
                d.t_s,
                d.actor,
                d.cause,
                d.choice,
                d.outcome,
                d.violations,
                d.thinking_s,
                d.landed_s,
                d.changes,
            )


def _role(line: DecisionRecord) -> str:
    return line.actor.partition(":")[0]
