"""What was asked of language models, and of what stands in for one, role by role: validity, cost and judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from controller.agents.llm import UNANSWERED
from controller.agents.reasoner import NONE, RULES
from controller.loop import INVALID
from edgebed.report.figures import NOT_MEASURED, number
from edgebed.report.model import Comparison, RunResult
from emulation.domain.records import DecisionRecord
from emulation.metrics.shares import share_percent
from emulation.metrics.summary import served_of
from emulation.metrics.view import is_exchange, overtaken

ROLES = ("planner", "scheduler", "deployer", "meta")
REASONING_COLUMNS = (
    "scheme", "role", "decisions", "asked", "valid answers", "repaired", "fell back", "thinking per question",
    "tokens per question", "best by estimate", "by chance", "first shown",
)  # fmt: skip


@dataclass(slots=True)
class RoleAccount:
    """What one role's reasoner was asked, and what came of it."""

    role: str
    decisions: int = 0
    """Made in this role; of a meta-controller, its invocations."""
    asked: int = 0
    """Of these, with a question."""
    questions: int = 0
    """Put to the reasoner: those it answered, those after which it looked something up, and those put again because an
    answer was wrong. One decision may take several."""
    answers: int = 0
    """Replies that were to be one: not those that call tools on the way, unless a call was wrong."""
    valid: int = 0
    """Answers that were syntactically right and could be carried out."""
    failed: int = 0
    """Questions without an answer: timeouts, refusals, answers cut by their length."""
    repaired: int = 0
    """Decisions that took more than one answer, and were made by the last."""
    fell_back: int = 0
    """Decisions that something else made: the rules, what was in force, a person."""
    thinking_s: float = 0.0
    tokens: int = 0
    choices: int = 0
    """Valid answers that were choices among options."""
    best: int = 0
    """Of these, which took the option with the least estimated J (of a meta-controller: what its rules would do)."""
    by_chance: float = 0.0
    """How many of them a blind pick would be expected to take."""
    first: int = 0
    """Of these, which took the first line shown."""

    def to_json(self) -> dict[str, Any]:
        """The counts, and the shares that follow from them; a share of nothing is null."""
        shares = {
            "valid_share": _share(self.valid, self.answers),
            "best_share": _share(self.best, self.choices),
        }
        chance = {
            "by_chance_share": _share(self.by_chance, self.choices),
            "first_share": _share(self.first, self.choices),
        }
        return {**asdict(self), **shares, **chance}


def accounts_of(results: Iterable[RunResult]) -> list[RoleAccount]:
    """One account per role in which a reasoner that is not the rules was asked, over all these runs."""
    found: dict[str, RoleAccount] = {}
    for result in results:
        asked = {_role(d) for d in result.run.decisions if is_exchange(d) and d.reasoner not in (NONE, RULES)}
        for role in asked:
            lines = [d for d in result.run.decisions if _role(d) == role]
            account = found.setdefault(role, RoleAccount(role))
            if role == "meta":
                _count_meta(account, lines)
            else:
                _count(account, lines)
    return [found[role] for role in ROLES if role in found]


def _count(account: RoleAccount, lines: Sequence[DecisionRecord]) -> None:
    """Questions stand before the decision they are of, with the same actor and moment."""
    tries: dict[tuple[str, float], int] = {}
    asked_of: dict[tuple[str, float], str] = {}
    for line in lines:
        key = (line.actor, line.t_s)
        if is_exchange(line):
            if line.choice["exchange"]["failure"] == UNANSWERED:
                continue
            tries[key] = tries.get(key, 0) + is_answer(line)
            asked_of[key] = line.reasoner
            _count_answer(account, line, not line.violations)
            continue
        account.decisions += 1
        if key in tries:
            by_another = line.reasoner in (NONE, RULES) and line.reasoner != asked_of[key]
            replaced = by_another or line.reason.startswith(INVALID)
            account.asked += 1
            account.fell_back += replaced
            account.repaired += tries[key] > 1 and not replaced


def _count_meta(account: RoleAccount, lines: Sequence[DecisionRecord]) -> None:
    judged = [d for d in lines if d.violations and not overtaken(d)]
    wrong = {c["invocation"] for d in judged if "invocation" in (c := _choice(d))}
    exchanges = [d for d in lines if is_exchange(d)]
    account.decisions += len({d.choice["invocation"] for d in exchanges})
    put = [d for d in exchanges if _asked_of_it(d) and d.choice["exchange"]["failure"] != UNANSWERED]
    account.asked += len({d.choice["invocation"] for d in put})
    account.fell_back += len({d.choice["invocation"] for d in put if d.choice["exchange"]["failure"]})
    for line in put:
        ok = line.choice["invocation"] not in wrong and line.choice["exchange"]["failure"] is None
        _count_answer(account, line, ok)


def is_answer(line: DecisionRecord) -> bool:
    """Whether a reply to a reasoner's question was to be an answer: a meta-controller answers by calls of tools, others
    look something up by them."""
    return _role(line) == "meta" or bool(line.violations) or not line.choice["exchange"].get("calls")


def _asked_of_it(line: DecisionRecord) -> bool:
    """Whether a round of a meta-controller was put to its reasoner: with menus, looking is done by rule, and all of it
    is once its budget is spent."""
    exchange = line.choice["exchange"]
    return line.reasoner != RULES and (exchange.get("form") != "choice" or "menu" in exchange)


def _count_answer(account: RoleAccount, line: DecisionRecord, ok: bool) -> None:
    exchange, served = line.choice["exchange"], served_of(line)
    account.questions += 1
    account.thinking_s += exchange["thinking_s"]
    account.tokens += 0 if served is None else exchange["tokens"]
    if not is_answer(line):
        return
    failed = exchange["failure"] is not None
    account.answers += 1
    account.failed += failed
    account.valid += ok and not failed
    menu = exchange.get("menu")
    if menu is not None and menu.get("chosen") is not None:
        account.choices += 1
        account.best += menu["chosen"] == menu["best"]
        account.by_chance += 1.0 / menu["options"]
        account.first += menu["chosen"] == 1


@dataclass(frozen=True, slots=True)
class ReasoningRow:
    """One role of one scheme as the table shows it."""

    scheme: str
    role: str
    cells: tuple[str, ...]


def reasoning_rows(comparison: Comparison) -> list[ReasoningRow]:
    """A row per scheme and role that asked somebody."""
    return [
        ReasoningRow(name, account.role, cells(account))
        for name, results in comparison.schemes.items()
        for account in accounts_of(results)
    ]


def cells(account: RoleAccount) -> tuple[str, ...]:
    """The figures of a role as text, in the order of `REASONING_COLUMNS` after the first two."""
    per = max(account.questions, 1)
    return (
        number(account.decisions, 0), number(account.asked, 0), _told(account.valid, account.answers),
        number(account.repaired, 0), number(account.fell_back, 0), f"{number(account.thinking_s / per, 1)} s",
        number(account.tokens / per, 0) if account.tokens else NOT_MEASURED, _told(account.best, account.choices),
        _told(account.by_chance, account.choices), _told(account.first, account.choices),
    )  # fmt: skip


def _told(part: float, whole: float) -> str:
    return NOT_MEASURED if whole == 0 else f"{share_percent(part / whole, 0)} of {whole:.0f}"


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _role(decision: DecisionRecord) -> str:
    return decision.actor.partition(":")[0]


def _choice(decision: DecisionRecord) -> Mapping[str, Any]:
    return decision.choice if isinstance(decision.choice, Mapping) else {}
