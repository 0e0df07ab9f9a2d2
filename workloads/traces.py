"""Replay of measured traces: the rule that maps the rows of a trace file to requests.

A trace is a CSV with the columns TIMESTAMP, ContextTokens and GeneratedTokens (the Azure LLM inference trace
2023), rows in order of time. Two are packaged: `azure-conv` and `azure-code`. Row numbers count from 0 after
the header.

1. Rows. `start_row` is the first. `rows` says how many are read; without it, as many as cover the run: with
   `rate_per_s` the smallest number that fills it at that rate, without it all rows up to its end. A file that
   is shorter ends the demand early.
2. Time. The first row read arrives at 0, later ones at their distance from it. With `rate_per_s`, all gaps
   are multiplied by one factor so that the rows read have that mean rate: clumps and lulls keep their shape. Rows that
   share one timestamp have no gap to multiply, and are refused.
3. Model. Row r takes the model whose cumulative share of `mix` covers the r-th draw of a stream named
   after the source, so a row keeps its model whatever `start_row` and `rows` are.
4. Origin. Likewise, uniform over `origins`.
5. Size. A model with feature `tokens` takes input and output tokens from the row. Above `max_prompt_tokens`
   or `max_output_tokens` they are cut to the limit (`over_limit: clip`) or the row is dropped (`drop`). The
   limit the client states is `max_output_tokens`. A model with feature `prompts` takes K from `prompts`, by
   the r-th draw of its own stream; the row's token counts do not matter to it.
6. Accounting. Rows read = requests emitted + rows dropped, by reason: `over_limit`, `after_end` (arrival
   after the run), `empty` (a zero token count: a failed call in the trace).

A row that cannot be read is never skipped: `TraceError` names file, line, value and fix. Blank lines at the end are no
rows. The text is UTF-8, with or without a byte order mark; a file whose name ends in `.gz` is unpacked.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, TextIO

from emulation.domain.mistakes import Mistake
from emulation.domain.quantities import shown
from emulation.domain.scenario import Scenario, TraceSource
from emulation.files import is_file
from emulation.yaml_text import not_utf8
from workloads.lengths import pick
from workloads.sources import Draft, Drafts, Draws

DATA = Path(__file__).parent / "data"
PACKAGED = {
    "azure-conv": DATA / "azure_llm_2023_conv_busy7800.csv",
    "azure-code": DATA / "azure_llm_2023_code_busy8000.csv",
}
COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOST_ROWS = 1_000_000
"""Of a trace, in one run: they are read before it begins."""
_MOST_TOKENS = 10**9
"""Of a row, before the limits of its source; a larger count is no count."""


class TraceError(Mistake, ValueError):
    """A trace file or row that cannot be read; the message names file, line, value and fix."""


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One measured request. `t_s` counts from an arbitrary origin."""

    number: int
    t_s: float
    context_tokens: int
    generated_tokens: int


def trace_path(name_or_path: str) -> Path:
    """File of a packaged trace or of a path. Raises `TraceError` if there is none."""
    path = PACKAGED.get(name_or_path, Path(name_or_path))
    if not is_file(path):
        known = ", ".join(PACKAGED)
        raise TraceError(f"no trace {name_or_path!r}; packaged: {known}; or give the path of a CSV file")
    return path


def read_rows(path: Path, start_row: int = 0) -> Iterator[TraceRow]:
    """Rows from `start_row` on, lazily; `.gz` too. Raises `TraceError` at the first row it cannot read."""
    lines = _lines(path)
    _, header = next(lines, (1, []))
    if tuple(header) != COLUMNS:
        found = shown(",".join(header))
        raise TraceError(
            f"{path}: line 1: columns {found}; expected {','.join(COLUMNS)!r}, separated by commas"
        )
    previous_s, blank = -math.inf, 0
    for number, (line, cells) in enumerate(lines):
        if not cells:
            blank = blank or line
            continue
        if blank:
            raise TraceError(f"{path}: line {blank}: is blank, and rows follow; remove it")
        if number < start_row:
            continue
        row = _parse(path, line, number, cells)
        if row.t_s < previous_s:
            raise _bad(path, line, "TIMESTAMP", cells[0], "earlier than the row before; sort the file")
        previous_s = row.t_s
        yield row


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number, from 1, and cells of every line, the header's first. Raises `TraceError` if the file cannot be read."""
    line = 0
    try:
        with _open(path) as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                line = reader.line_num
                yield line, cells
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: line {_not_text(path)}: {not_utf8(error)}") from None
    except csv.Error as error:
        raise TraceError(f"{path}: line {line + 1}: {error}; correct or remove the row") from None
    except gzip.BadGzipFile:
        raise TraceError(
            f"{path}: is not compressed by gzip, as its name says; compress or rename it"
        ) from None
    except (EOFError, zlib.error):
        raise TraceError(
            f"{path}: after line {line}: its compressed data is cut or damaged; copy it again"
        ) from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", newline="", encoding="utf-8-sig")
    return path.open(newline="", encoding="utf-8-sig")


def _not_text(path: Path) -> int:
    """The first line that is not UTF-8."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return next((n for n, line in enumerate(file, start=1) if not _is_text(line)), 1)


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _bad(path: Path, line: int, column: str, value: str, why: str) -> TraceError:
    return TraceError(f"{path}: line {line}: {column} {shown(value)}: {why}")


def _parse(path: Path, line: int, number: int, cells: list[str]) -> TraceRow:
    if len(cells) != len(COLUMNS):
        text = ",".join(cells)
        why = f"has {len(cells)} of {len(COLUMNS)} columns; complete or remove the row"
        raise _bad(path, line, "row", text, why)
    try:
        t_s = _seconds(cells[0])
    except ValueError:
        why = "not a time; write YYYY-MM-DD HH:MM:SS.ffffff"
        raise _bad(path, line, "TIMESTAMP", cells[0], why) from None
    for column, cell in zip(COLUMNS[1:], cells[1:], strict=True):
        if not (cell.isascii() and cell.isdigit() and len(cell) < 20 and int(cell) <= _MOST_TOKENS):
            why = f"not a whole number from 0 to {_MOST_TOKENS}; correct or remove the row"
            raise _bad(path, line, column, cell, why)
    return TraceRow(number, t_s, int(cells[1]), int(cells[2]))


def _seconds(timestamp: str) -> float:
    """Seconds since 1970 of `YYYY-MM-DD HH:MM:SS.fffffff` (seven digits; datetime takes six)."""
    whole, _, fraction = timestamp.partition(".")
    moment = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")
    if fraction and not fraction.isdigit():
        raise ValueError(timestamp)
    since = moment - datetime(1970, 1, 1)
    return since.days * 86_400 + since.seconds + (float(f"0.{fraction}") if fraction else 0.0)


def trace(source: TraceSource, draws: Draws) -> Drafts:
    """Requests of a trace source by the rule above; rows that are dropped are counted by reason."""
    path = trace_path(source.trace)
    rows = _rows_read(path, source, draws.scenario.end_s)
    first, last = rows[0].number, rows[-1].number
    drawn = [draws.stream(q).random(last + 1)[first:].tolist() for q in ("model", "origin", "prompts")]
    return _drafts(source, draws, zip(rows, _arrivals(rows, source.rate_per_s), *drawn, strict=True))


def _drafts(source: TraceSource, draws: Draws, rows: Iterable[tuple[Any, ...]]) -> Drafts:
    for row, arrival_s, *u in rows:
        made = _draft(source, draws, row, arrival_s, u)
        if isinstance(made, Draft):
            yield made
        else:
            draws.dropped[made] += 1


def check_traces(scenario: Scenario) -> None:
    """Read every row that a run of the scenario would. Raises `TraceError`."""
    for source in scenario.workload:
        if isinstance(source, TraceSource):
            _rows_read(trace_path(source.trace), source, scenario.end_s)


def _rows_read(path: Path, source: TraceSource, end_s: float) -> list[TraceRow]:
    rows = read_rows(path, source.start_row)
    count = source.rows
    if count is None and source.rate_per_s is not None:
        count = math.ceil(source.rate_per_s * end_s)
    most = MOST_ROWS + 1
    found = list(islice(rows, 1 if count is None else min(count, most)))
    if found and count is None:
        found += islice(takewhile(lambda row: row.t_s - found[0].t_s < end_s, rows), most)
    if not found and source.start_row == 0:
        raise TraceError(f"{path}: holds no row below its header")
    if not found:
        raise TraceError(f"{path}: no row at start_row {source.start_row}; choose a smaller start_row")
    if len(found) > MOST_ROWS:
        raise TraceError(f"{path}: more than {MOST_ROWS} rows fall into the run; give rows, or lower slots")
    if source.rate_per_s is not None and len(found) > 1 and found[-1].t_s == found[0].t_s:
        raise TraceError(
            f"{path}: its {len(found)} rows from start_row {source.start_row} share one timestamp, so no factor gives"
            " them a rate; choose other rows, or leave out rate_per_s"
        )
    return found


def _arrivals(rows: Sequence[TraceRow], rate_per_s: float | None) -> list[float]:
    first_s, span_s = rows[0].t_s, rows[-1].t_s - rows[0].t_s
    scale = 1.0 if rate_per_s is None or len(rows) == 1 else (len(rows) - 1) / (rate_per_s * span_s)
    return [(row.t_s - first_s) * scale for row in rows]


def _draft(
    source: TraceSource, draws: Draws, row: TraceRow, arrival_s: float, u: Sequence[float]
) -> Draft | str:
    """The request of a row, or the reason it is dropped. `u`: draws in [0, 1) of model, origin and prompts."""
    if arrival_s >= draws.scenario.end_s:
        return "after_end"
    if row.context_tokens == 0 or row.generated_tokens == 0:
        return "empty"
    model = pick(source.mix, u[0])
    origin = draws.origins[int(u[1] * len(draws.origins))]
    if draws.scenario.testbed.model(model).features == "prompts":
        return Draft(arrival_s, model, origin, prompts=source.prompts[int(u[2] * len(source.prompts))])
    n_in = min(row.context_tokens, source.max_prompt_tokens)
    n_out = min(row.generated_tokens, source.max_output_tokens)
    if source.over_limit == "drop" and (n_in, n_out) != (row.context_tokens, row.generated_tokens):
        return "over_limit"
    return Draft(arrival_s, model, origin, 1, n_in, n_out, source.max_output_tokens)
