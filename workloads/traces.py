"""Replay of measured traces: the rule that maps the rows of a trace file to requests.

Formats are declared (`format`), never guessed: `azure` (CSV of the Azure LLM inference traces 2023 and 2024: TIMESTAMP,
ContextTokens, GeneratedTokens; dates), `burstgpt` (CSV by column names; seconds), `mooncake` (JSON lines; milliseconds)
and `csv` with `columns`. Four are packaged. Row numbers count from 0 after the header; blank lines are no rows.

1. Rows. `start_row` is the first. `rows` says how many are read; without it, as many as cover the run: with
   `rate_per_s` the smallest number that fills it at that rate, those that cannot be taken read besides; without it
   all rows up to its end. A file that is shorter ends the demand early.
2. Time. The first row read arrives at 0, later ones at their distance from it. With `rate_per_s`, all gaps
   are multiplied by one factor so that the rows read have that mean rate: clumps and lulls keep their shape. Rows that
   share one timestamp have no gap to multiply, and are refused.
3. Model. Row r takes the model whose cumulative share of `mix` covers the r-th draw of a stream named
   after the source, so a row keeps its model whatever `start_row` and `rows` are; with `by_model`, the one that stands
   for what the trace itself names.
4. Origin. Likewise, uniform over `origins`.
5. Size. A model with feature `tokens` takes input and output tokens from the row. Above `max_prompt_tokens`
   or `max_output_tokens` they are cut to the limit (`over_limit: clip`) or the row is dropped (`drop`). The
   limit the client states is `max_output_tokens`. A model with feature `prompts` takes K from `prompts`, by
   the r-th draw of its own stream; the row's token counts do not matter to it.
6. Accounting. Rows read = requests emitted + rows dropped, each for the first of these reasons that holds:
   `unreadable` (too few or too many cells, no JSON object, a field is missing), `not_a_time`, `not_a_number`,
   `negative`, `bad_tenant`, `out_of_order` (earlier than a row before it that was taken), `after_end`
   (arrival after the run), `empty` (a zero token count: a failed call in the trace), `other_model` (not in
   `by_model`), `over_context`, `over_limit`.

With `bad_rows: refuse` the first six are errors that name file, line, value and fix. A file that is damaged (not
UTF-8, broken quotes, a wrong header, cut compressed data) always is one. Files are read as a run goes on, never whole;
with `rate_per_s` twice, as the factor follows from their span. The text is UTF-8, with or without a byte order mark; a
file whose name ends in `.gz` is unpacked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from numpy.random import Generator

from emulation.domain.request_kind import Drawn
from emulation.domain.scenario import Scenario, TraceSource
from workloads.lengths import pick
from workloads.sources import Drafts, Draws
from workloads.trace_files import TraceError as TraceError
from workloads.trace_files import trace_path
from workloads.trace_rows import BadRow, TraceRow, format_of, rows_of

MOST_ROWS = 10_000_000
"""Of a trace, in one run."""
_BLOCK = 4_096
"""Draws that are made at once."""


def trace(source: TraceSource, draws: Draws) -> Drafts:
    """Requests of a trace source by the rule above; rows that are dropped are counted by reason."""
    end_s = draws.scenario.end_s
    found = _scan(source, end_s, whole=source.rate_per_s is not None)
    return _drafts(source, draws, rows_read(source, end_s), found)


def check_traces(scenario: Scenario) -> None:
    """Read every row that a run of the scenario would. Raises `TraceError`."""
    for source in scenario.workload:
        if isinstance(source, TraceSource):
            _scan(source, scenario.end_s, whole=True)


def rows_read(source: TraceSource, end_s: float) -> Iterator[TraceRow | BadRow]:
    """Rows that a run of this length reads, in order. Raises `TraceError`."""
    rows = rows_of(source)
    if source.rows is not None:
        chosen: Iterator[TraceRow | BadRow] = islice(rows, source.rows)
    elif source.rate_per_s is not None:
        chosen = _taken(rows, math.ceil(source.rate_per_s * end_s))
    else:
        chosen = _until(rows, end_s)
    return _few_enough(source, chosen)


def _taken(rows: Iterator[TraceRow | BadRow], count: int) -> Iterator[TraceRow | BadRow]:
    """Rows up to the one that is the `count`-th which can be taken; bad ones between them leave no gap."""
    for row in rows:
        yield row
        count -= isinstance(row, TraceRow)
        if count <= 0:
            return


def _until(rows: Iterator[TraceRow | BadRow], end_s: float) -> Iterator[TraceRow | BadRow]:
    """Rows up to the first one that arrives at the end or later."""
    first_s: float | None = None
    for row in rows:
        if isinstance(row, TraceRow):
            first_s = row.t_s if first_s is None else first_s
            if row.t_s - first_s >= end_s:
                return
        yield row


def _few_enough(source: TraceSource, rows: Iterator[TraceRow | BadRow]) -> Iterator[TraceRow | BadRow]:
    for number, row in enumerate(rows):
        if number >= MOST_ROWS:
            raise TraceError(
                f"{trace_path(source.trace)}: more than {MOST_ROWS} rows fall into the run; give rows, or lower slots"
            )
        yield row


@dataclass(slots=True)
class _Scan:
    """What the rows of a run say together."""

    read: int = 0
    taken: int = 0
    """Rows that have a time, in order."""
    first_s: float = 0.0
    last_s: float = 0.0
    bad: Counter[str] = field(default_factory=Counter)
    told: str = ""
    """What is wrong with the first bad row."""

    def add(self, row: TraceRow | BadRow) -> None:
        """One more row."""
        self.read += 1
        if isinstance(row, BadRow):
            self.bad[row.reason] += 1
            self.told = self.told or row.told
            return
        self.first_s = self.first_s if self.taken else row.t_s
        self.taken, self.last_s = self.taken + 1, row.t_s

    def scale(self, rate_per_s: float | None) -> float:
        """Factor of every gap."""
        if rate_per_s is None or self.taken == 1:
            return 1.0
        return (self.taken - 1) / (rate_per_s * (self.last_s - self.first_s))


def _scan(source: TraceSource, end_s: float, whole: bool) -> _Scan:
    """The rows of a run looked through, or only up to the first that can be taken. Raises `TraceError`."""
    found, path = _Scan(), trace_path(source.trace)
    for row in rows_read(source, end_s):
        found.add(row)
        if found.taken and not whole:
            break
    if not found.read and source.start_row == 0:
        raise TraceError(f"{path}: holds no row below its header")
    if not found.read:
        raise TraceError(f"{path}: no row at start_row {source.start_row}; choose a smaller start_row")
    if not found.taken:
        named = ", ".join(f"{n} {reason}" for reason, n in found.bad.most_common())
        raise TraceError(
            f"{path}: none of {found.read} rows can be taken as format {format_of(source)}: {named}; first {found.told}"
        )
    if source.rate_per_s is not None and whole and found.taken > 1 and found.last_s == found.first_s:
        raise TraceError(
            f"{path}: its {found.taken} rows from start_row {source.start_row} share one timestamp, so no factor gives"
            " them a rate; choose other rows, or leave out rate_per_s"
        )
    return found


def _drafts(
    source: TraceSource, draws: Draws, rows: Iterator[TraceRow | BadRow], found: _Scan
) -> Iterator[Drawn]:
    scale = found.scale(source.rate_per_s)
    drawn = [_per_row(draws.stream(q), source.start_row) for q in ("model", "origin", "prompts")]
    draws.read = 0
    for row, *u in zip(rows, *drawn, strict=False):
        draws.read += 1
        made = _draft(source, draws, row, found.first_s, scale, u)
        if isinstance(made, Drawn):
            yield made
        else:
            draws.dropped[made] += 1


def _per_row(rng: Generator, first: int) -> Iterator[float]:
    """Draws in [0, 1) of the rows from number `first` on: row r has the r-th draw, wherever reading starts."""
    for begin in range(0, first, _BLOCK):
        rng.random(min(_BLOCK, first - begin))
    while True:
        yield from rng.random(_BLOCK).tolist()


def _draft(
    source: TraceSource,
    draws: Draws,
    row: TraceRow | BadRow,
    first_s: float,
    scale: float,
    u: Sequence[float],
) -> Drawn | str:
    """The request of a row, or the reason it is dropped. `u`: draws in [0, 1) of model, origin and prompts."""
    if isinstance(row, BadRow):
        return row.reason
    arrival_s = (row.t_s - first_s) * scale
    if arrival_s >= draws.scenario.end_s:
        return "after_end"
    if row.context_tokens == 0 or row.generated_tokens == 0:
        return "empty"
    model = source.by_model.get(row.model) if source.by_model is not None else pick(source.mix or {}, u[0])
    if model is None:
        return "other_model"
    origin = draws.origins[int(u[1] * len(draws.origins))]
    if draws.scenario.testbed.model(model).features == "prompts":
        prompts = source.prompts[int(u[2] * len(source.prompts))]
        return Drawn(arrival_s, model, origin, prompts=prompts, tenant=row.tenant)
    whole = row.context_tokens + row.generated_tokens
    if source.context_tokens is not None and whole > source.context_tokens:
        return "over_context"
    n_in = min(row.context_tokens, source.max_prompt_tokens)
    n_out = min(row.generated_tokens, source.max_output_tokens)
    if source.over_limit == "drop" and (n_in, n_out) != (row.context_tokens, row.generated_tokens):
        return "over_limit"
    limit, context = source.max_output_tokens, draws.scenario.testbed.model(model).context_tokens
    if (
        context is not None
    ):  # of the model itself: a gateway would refuse a limit that does not fit beside the prompt
        if n_in + n_out > context:
            return "over_context"
        limit = min(limit, context - n_in)
    return Drawn(arrival_s, model, origin, 1, n_in, n_out, limit, row.tenant)
