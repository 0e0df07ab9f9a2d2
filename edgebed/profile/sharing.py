"""The sharing laws of the world that fit measured curves: of co-located processes, and of requests in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, sqrt
from statistics import median
from typing import Any, Literal

from emulation.domain.contention import BatchCurve, Colocated, Contention, InBatch
from emulation.domain.sharing import Batching, CpuLaw, GpuSpec


def fit_sharing(
    services_s: Mapping[int, Sequence[float]],
    x: tuple[float, ...],
    device: Literal["cpu", "gpu"],
    fraction: float | None = None,
) -> Contention:
    """The curve of processes to service times, seconds, and its law. `services_s` must have 1 process and more.

    GPU: overhead by least squares of t_n / (n t_1) - 1 = overhead (n - 1), at least 0; or no contention at all where
    that is nearer to the measured speeds. CPU: exponent by least squares of log(t_n / t_1) = exponent log n, at least
    0. Both pass through the median alone, t_1, by construction.
    """
    medians, slower = _medians(services_s)
    points = tuple(
        Colocated(
            processes=n, services_s=tuple(services_s[n]), median_s=medians[n], speed=medians[1] / medians[n]
        )
        for n in medians
    )
    laws: list[tuple[dict[str, Any], dict[int, float]]]
    """What each law says of itself, and the speeds it gives; of equals, the first."""
    if device == "cpu":
        exponent = _slope([log(n) for n in slower], [log(s) for s in slower.values()])
        cpu = CpuLaw(reference_cores=1.0, exponent=exponent)
        laws = [({"sharing": "cores", "exponent": exponent}, {n: cpu.share(1, n) for n in slower})]
    else:
        overhead = _slope([n - 1.0 for n in slower], [s / n - 1.0 for n, s in slower.items()])
        gpu = GpuSpec(sharing="processor", overhead=overhead)
        laws = [
            ({"sharing": "processor", "overhead": overhead}, {n: gpu.share(n) for n in slower}),
            ({"sharing": "none"}, dict.fromkeys(slower, 1.0)),
        ]
    (sd, worst), law = min(((_errors(speeds, slower), law) for law, speeds in laws), key=lambda f: f[0][0])
    return Contention(x=x, fraction=fraction, points=points, residual=sd, worst_error=worst, **law)


def fit_batch(services_s: Mapping[int, Sequence[float]], x: tuple[float, ...]) -> BatchCurve:
    """The curve of batch sizes to service times, and its law. `services_s` must have 1 and more.

    Cost by least squares of t_n / t_1 - 1 = cost (n - 1), at least 0; through the median alone, t_1, by construction.
    """
    medians, slower = _medians(services_s)
    cost = _slope([n - 1.0 for n in slower], [s - 1.0 for s in slower.values()])
    law = Batching(width=max(medians), cost=cost)
    sd, worst = _errors({n: law.speed(n) for n in slower}, slower)
    points = tuple(
        InBatch(requests=n, services_s=tuple(services_s[n]), median_s=m, speed=medians[1] / m)
        for n, m in medians.items()
    )
    return BatchCurve(x=x, points=points, width=law.width, cost=cost, residual=sd, worst_error=worst)


def how_to_use(found: Contention, cores: int) -> str:
    """The line of a testbed file that gives both worlds this law. `cores`: of the measured machine."""
    if found.sharing == "cores":
        return f"cpu: {{reference_cores: {cores}, exponent: {found.exponent:.3g}}}"
    most = found.points[-1].processes
    law = "sharing: none" if found.overhead is None else f"sharing: processor, overhead: {found.overhead:.3g}"
    return f"gpus: [{{slices: {most}, {law}}}]"


def _medians(services_s: Mapping[int, Sequence[float]]) -> tuple[dict[int, float], dict[int, float]]:
    """(median seconds by number, how many times longer than alone by number above 1)."""
    medians = {n: median(s) for n, s in sorted(services_s.items())}
    return medians, {n: m / medians[1] for n, m in medians.items() if n > 1}


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Slope of the line through the origin that fits best, at least 0."""
    return max(sum(a * b for a, b in zip(xs, ys, strict=True)) / sum(a * a for a in xs), 0.0)


def _errors(speeds: Mapping[int, float], slower: Mapping[int, float]) -> tuple[float, float]:
    """(root mean square, largest) relative error of a law's speeds."""
    errors = [speeds[n] * slower[n] - 1.0 for n in slower]
    return sqrt(sum(e * e for e in errors) / len(errors)), max(abs(e) for e in errors)
