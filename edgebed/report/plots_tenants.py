"""A picture of tenants: what each received of what it demanded, and how long it waited."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure

from edgebed.report.columns import Columns, of_rows
from edgebed.report.model import Comparison
from edgebed.report.palette import scheme_looks
from edgebed.report.plots import points, ticks
from edgebed.report.stats import Interval
from edgebed.report.tenants_table import tenant_interval, tenants_shown
from edgebed.report.theme import Drawing, ink, legend, quiet_x, series_handle

PANELS = (("received_ratio", "service received / demanded"), ("wait_mean_s", "mean wait, s"))


def tenants_served(comparison: Comparison) -> Drawing | None:
    """Two panels, schemes side by side for every tenant; None where no request names one."""
    if not tenants_shown(comparison):
        return None
    return Drawing(
        "tenants-served",
        "Tenants",
        "Per tenant and scheme: service received as a share of service demanded (left), and mean wait of all its "
        "requests in seconds, whatever became of them (right), with 95% intervals over seeds.",
        (8.6, 3.1),
        partial(_draw, comparison=comparison),
        partial(_data, comparison),
    )


def _data(comparison: Comparison) -> Columns:
    rows = [
        (tenant, scheme, *(None if i is None else i.mean for i in _both(comparison, scheme, tenant)))
        for tenant in tenants_shown(comparison)
        for scheme in comparison.schemes
    ]
    return of_rows(("tenant", "scheme", *(name for name, _ in PANELS)), rows)


def _both(comparison: Comparison, scheme: str, tenant: str) -> list[Interval | None]:
    return [tenant_interval(comparison, scheme, tenant, name) for name, _ in PANELS]


def _draw(figure: Figure, comparison: Comparison) -> None:
    tenants, schemes = tenants_shown(comparison), list(comparison.schemes)
    looks, width = scheme_looks(schemes), 0.8 / len(schemes)
    panels = figure.subplots(1, 2)
    for axes, (name, title) in zip(panels, PANELS, strict=True):
        for i, scheme in enumerate(schemes):
            found = [tenant_interval(comparison, scheme, t, name) for t in tenants]
            at = [k + (i - (len(schemes) - 1) / 2) * width for k in range(len(tenants))]
            points(axes, at, found, looks[scheme])
        for k in range(1, len(tenants)):
            axes.axvline(k - 0.5, color=ink("grid"), linewidth=0.7)
        axes.set_xlim(-0.5, len(tenants) - 0.5)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(title)
        axes.set_xticks(range(len(tenants)), ticks(tenants))
        quiet_x(axes)
    panels[0].set_ylim(0, 1.05)
    legend(figure, [series_handle(looks[s], comparison.label(s)) for s in schemes])
