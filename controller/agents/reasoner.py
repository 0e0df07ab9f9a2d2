"""Labels of what thinks. Every decision and every table row carries one."""

from __future__ import annotations

from typing import Literal

ReasonerLabel = Literal["none", "rules"]
"""none: no agent takes part; rules: agents whose reasoning is a deterministic program."""

NONE: ReasonerLabel = "none"
RULES: ReasonerLabel = "rules"
