"""Requests, and what attempts at them took, as rows of the recorder's journal."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from pydantic import BaseModel

from emulation.domain.cluster import Mode
from emulation.domain.measured import Measured
from emulation.domain.native import Native
from emulation.domain.request import Request


def row_of(value: Native) -> dict[str, Any]:
    """The fields of a value, for JSON: which says infinity as null."""
    kind: Any = type(value)
    return {name: getattr(value, name) for name in kind.__dataclass_fields__}


def request_of(row: Mapping[str, Any]) -> Request:
    """The request of a row of the journal. Raises `ValidationError` for any other row."""
    found = dict(_RequestRow.model_validate(row))
    return Request(**{**found, "deadline_s": inf if found["deadline_s"] is None else found["deadline_s"]})


def measured_of(row: Mapping[str, Any]) -> Measured:
    """What was measured, of a row of the journal. Raises `ValidationError` for any other row."""
    return Measured(**dict(_MeasuredRow.model_validate(row)))


class _RequestRow(BaseModel):
    """Fields of `Request`."""

    id: str
    model: str
    origin: str
    arrival_s: float
    deadline_s: float | None
    prompts: int = 1
    prompt_tokens: int = 0
    known_output_tokens: float | None = None
    up_bytes: int = 0
    down_bytes: int = 0
    tenant: str | None = None


class _MeasuredRow(BaseModel):
    """Fields of `Measured`."""

    attempt: int = 1
    executor: str | None = None
    mode: Mode = "off"
    sent_s: float | None = None
    dispatched_s: float | None = None
    enqueued_s: float | None = None
    started_s: float | None = None
    service_s: float = 0.0
    turn_s: float | None = None
    turn_prompts: int = 0
    work_s: float = 0.0
    interrupted: bool = False
    prompts_done: int = 0
    uplink_s: float = 0.0
    downlink_s: float = 0.0
    stutter: bool = False
    output_tokens: int = 0
    input_tokens: int | None = None
