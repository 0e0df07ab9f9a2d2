"""What sources of requests have in common: where requests enter, shares of models, lists of lengths."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from emulation.domain.quantities import MOST_NODES, Name, NodeName, TenantName, Tokens, Weight
from emulation.domain.strict import Strict, is_none

_LEAST_SHARE = 1e-6


def _somebody(mix: dict[str, float]) -> dict[str, float]:
    if not sum(mix.values()) >= _LEAST_SHARE:
        raise ValueError(f"has no positive share: {mix}; give at least one a share > 0")
    return mix


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ValueError(f"{name!r} is there twice; remove one")
    return names


Origins = Annotated[
    tuple[NodeName, ...], Field(min_length=1, max_length=MOST_NODES), AfterValidator(_each_once)
]
Models = Annotated[tuple[Name, ...], Field(min_length=1, max_length=128), AfterValidator(_each_once)]
Mix = Annotated[dict[Name, Weight], Field(min_length=1, max_length=128), AfterValidator(_somebody)]
"""Model to share; shares need not sum to 1."""


Tenants = Annotated[dict[TenantName, Weight], Field(min_length=1, max_length=128), AfterValidator(_somebody)]
"""Tenant to share; shares need not sum to 1."""


class TokenLengths(Strict):
    """Token counts drawn uniformly from lists (feature `tokens`)."""

    prompt_tokens: tuple[Tokens, ...] = Field(default=(128, 512, 1024), min_length=1, max_length=1_000)
    output_tokens: tuple[Tokens, ...] = Field(default=(16, 32, 64), min_length=1, max_length=1_000)
    max_tokens: Tokens | None = None
    """Limit the client states; None: the largest of output_tokens."""


class Source(Strict):
    """What every source of requests has. `origins`: nodes at which requests enter; None: all of the testbed."""

    origins: Origins | None = None
    tenants: Tenants | None = Field(default=None, exclude_if=is_none)
    """On whose behalf requests are sent: each (of sessions: each session) draws one by these shares; None: nobody's."""

    def asked(self) -> tuple[str, ...]:
        """Models that the source names."""
        named = getattr(self, "mix", None) or getattr(self, "models", None) or ()
        by_model = getattr(self, "by_model", None) or {}
        return (*named, *by_model.values())

    @property
    def names_tenants(self) -> bool:
        """Whether its requests are on somebody's behalf."""
        return self.tenants is not None or getattr(getattr(self, "columns", None), "tenant", None) is not None
