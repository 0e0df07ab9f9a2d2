"""A measured trace as a source of requests: which file, of which format, and what is taken of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from emulation.domain.quantities import Name, Prompts, Rate, RowNumber, Rows, SomeLine, Tokens
from emulation.domain.source_base import Mix, Source
from emulation.domain.strict import Strict, is_none

TraceFormat = Literal["azure", "burstgpt", "mooncake", "csv"]
TimeUnit = Literal["s", "ms", "us", "ns", "date"]
"""Of the times of a trace; `date`: YYYY-MM-DD HH:MM:SS with any fraction, and an offset from UTC or none (then UTC)."""

BadRows = Literal["drop", "refuse"]


class TraceColumns(Strict):
    """Which column of a CSV file (by its name in the header) holds what. Columns that are not named do not count."""

    time: SomeLine
    time_unit: TimeUnit
    """What the times are in; nothing is guessed from their looks."""
    prompt_tokens: SomeLine
    output_tokens: SomeLine
    model: SomeLine | None = None
    """Column with the trace's own name of a model, for `by_model`."""
    tenant: SomeLine | None = Field(default=None, exclude_if=is_none)
    """Column that says on whose behalf; an empty cell is nobody's."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        given = (self.time, self.prompt_tokens, self.output_tokens, self.model, self.tenant)
        names = [n for n in given if n is not None]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"column {name!r} is named twice; each quantity has a column of its own")
        return self


class TraceSource(Source):
    """Replay of a measured trace. The rule that maps rows to requests is `workloads/traces.py`'s docstring."""

    kind: Literal["trace"] = "trace"
    trace: SomeLine
    """A packaged one (`azure-conv`, `azure-code`, `burstgpt`, `mooncake`), or the path of a file, `.gz` too."""
    format: TraceFormat | None = Field(default=None, exclude_if=is_none)
    """`azure` (the LLM inference traces of 2023 and 2024), `burstgpt`, `mooncake`, or `csv` with `columns`. None: a
    packaged trace has its own, any other file is read as `azure`."""
    columns: TraceColumns | None = Field(default=None, exclude_if=is_none)
    """Of a file of format `csv`, and only there."""
    bad_rows: BadRows = Field(default="drop", exclude_if=lambda found: found == "drop")
    """What becomes of rows that cannot be read or are out of order: left out and counted by reason, or an error."""
    start_row: RowNumber = 0
    rows: Rows | None = None
    """Rows to read; None: until the horizon is covered."""
    rate_per_s: Rate | None = None
    """Rescale time so that the rows read have this mean rate; None: the trace's own time."""
    mix: Mix | None = None
    """Model to share of the rows. A trace has this or `by_model`."""
    by_model: Annotated[dict[SomeLine, Name], Field(min_length=1, max_length=128)] | None = Field(
        default=None, exclude_if=is_none
    )
    """Model of the trace to the model that is asked for; rows of others are dropped. For traces that name models."""
    prompts: tuple[Prompts, ...] = Field(default=(1,), min_length=1, max_length=1_000)
    """K for models with feature `prompts`: drawn per row."""
    max_prompt_tokens: Tokens = 4096
    max_output_tokens: Tokens = 1024
    over_limit: Literal["clip", "drop"] = "clip"
    context_tokens: Tokens | None = Field(default=None, exclude_if=is_none)
    """Rows whose prompt and answer together are longer by their own counts are dropped (`over_context`); None: any
    length."""

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if (self.columns is None) == (self.format == "csv"):
            raise ValueError(
                "format csv needs columns, which say where time and token counts stand"
                if self.columns is None
                else f"columns go with format csv, not with {self.format or 'azure'}; remove one of them"
            )
        if (self.mix is None) == (self.by_model is None):
            said = "neither" if self.mix is None else "both"
            raise ValueError(f"needs one of mix and by_model, has {said}")
        if self.tenants is not None and self.columns is not None and self.columns.tenant is not None:
            raise ValueError("tenants and columns.tenant both say on whose behalf; remove one of them")
        if self.by_model is not None and not self._names_models:
            raise ValueError(
                "by_model needs a trace that names models: format burstgpt, or csv with columns.model"
            )
        return self

    @property
    def _names_models(self) -> bool:
        if self.columns is not None:
            return self.columns.model is not None
        return self.format == "burstgpt" or (self.format is None and self.trace == "burstgpt")
