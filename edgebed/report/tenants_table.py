"""Tenants by scheme: what each demanded and received, and how long it waited."""

from __future__ import annotations

from typing import Any

from edgebed.report.cells import TableCell
from edgebed.report.figures import decimals_for, with_interval
from edgebed.report.model import Comparison
from edgebed.report.stats import Interval, mean_interval
from emulation.metrics.tenants import Tenant

TENANT_COLUMNS = (
    ("arrived", "arrived", "requests"), ("success_ratio", "success", ""), ("demand_share", "of demand", ""),
    ("received_share", "of service", ""), ("received_ratio", "received / demanded", ""), ("service_s", "service", "s"),
    ("weighted_tokens", "weighted tokens", ""), ("mean_latency_s", "mean latency", "s"),
    ("wait_mean_s", "mean wait", "s"), ("wait_max_s", "worst wait", "s"),
)  # fmt: skip
"""(figure of `Tenant`, heading, unit)."""
MOST_SHOWN = 12
"""Tenants with rows of their own in tables, those with most requests; JSON and the table `tenants` have all."""
_SHARES = ("success_ratio", "demand_share", "received_share", "received_ratio")


def tenants_shown(comparison: Comparison) -> list[str]:
    """Tenants in tables and pictures, in order of their names; none where no request names one."""
    arrived: dict[str, int] = {}
    for result in comparison.results:
        figures = result.summary.tenants
        for name, tenant in {} if figures is None else figures.tenants.items():
            arrived[name] = arrived.get(name, 0) + tenant.arrived
    most = sorted(arrived, key=lambda name: (-arrived[name], name))[:MOST_SHOWN]
    return sorted(most)


def tenant_interval(comparison: Comparison, scheme: str, tenant: str, name: str) -> Interval | None:
    """Mean and 95% interval over seeds of a figure of `Tenant`; None for a tenant that never asked."""
    figures = (s.tenants for s in comparison.summaries(scheme) if s.tenants is not None)
    found: list[Tenant] = [f.tenants[tenant] for f in figures if tenant in f.tenants]
    return mean_interval([getattr(t, name) for t in found])


def tenant_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """A row per tenant and scheme: `scheme`, `model` (the tenant, under which rows are grouped) and cells."""
    shown = tenants_shown(comparison)
    decimals = {name: _decimals(comparison, shown, name) for name, _, _ in TENANT_COLUMNS}
    return [
        {
            "scheme": scheme,
            "model": tenant,
            "cells": [
                _cell(tenant_interval(comparison, scheme, tenant, name), name, decimals[name])
                for name, _, _ in TENANT_COLUMNS
            ],
        }
        for tenant in shown
        for scheme in comparison.schemes
    ]


def tenants_json(comparison: Comparison, scheme: str) -> dict[str, Any] | None:
    """Every figure of every tenant, means over seeds; None where no request names one."""
    figures = [s.tenants for s in comparison.summaries(scheme) if s.tenants is not None]
    if not figures:
        return None
    names = sorted({name for f in figures for name in f.tenants})
    return {
        name: {of: _mean(comparison, scheme, name, of) for of in Tenant.__dataclass_fields__}
        for name in names
    }


def _mean(comparison: Comparison, scheme: str, tenant: str, name: str) -> float | None:
    found = tenant_interval(comparison, scheme, tenant, name)
    return None if found is None else found.mean


def _decimals(comparison: Comparison, tenants: list[str], name: str) -> int:
    if name in _SHARES:
        return 3
    means = [_mean(comparison, scheme, tenant, name) for tenant in tenants for scheme in comparison.schemes]
    return decimals_for(means, count=name == "arrived")


def _cell(found: Interval | None, name: str, decimals: int) -> TableCell:
    return TableCell(with_interval(found, decimals, share=name in _SHARES)[0])
