"""The base of every format we own."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Base of every format we own: unknown keys are errors and instances are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
