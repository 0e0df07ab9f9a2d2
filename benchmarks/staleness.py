"""What several gateways cost that hear of each other late, against one: in virtual time, the same requests for all.

Mean latency of what was done and success ratio by number of gateways and by how late one hears of the others, each as
the mean over seeds and as the paired difference to one gateway with its 95% interval. Run as a script: a table.
"""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean
from typing import Any

from edgebed.report.stats import Interval, paired_difference
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import LiveConfig
from emulation.files import load_scenario

CASES = (("e3-basic", "e3"), ("e3-basic", "sect"), ("demo", "sect"))
"""(scenario, scheme)"""
CHANCE = {"service_cv": 0.3, "mismatch_sigma": 0.2}
"""What differs from seed to seed: noise of service times, and how wrong the profile is."""
GATEWAYS = (2, 4)
NEWS_S = (0.1, 1.0, 10.0, 1e6)
"""Virtual seconds until one gateway hears of the others; the last: never."""


def measure(name: str, scheme: str, gateways: int, news_s: float, seed: int) -> tuple[float, float]:
    """Mean latency of what was done, virtual seconds, and success ratio of one run."""
    live = LiveConfig(gateways=gateways).model_copy(update={"gateway_news_s": news_s})
    scenario = load_scenario(name).model_copy(update={"live": live, **CHANCE})
    counted = [r for r in simulate_in_memory(scenario, scheme, seed).requests if r.counted]
    done = [r for r in counted if r.outcome == "done"]
    return fmean(r.ended_s - r.intended_s for r in done), len(done) / len(counted)


def run(quick: bool = False) -> dict[str, Any]:
    """Figures of every case; 24 seeds, quick: 3."""
    seeds = range(3 if quick else 24)
    rows: list[dict[str, Any]] = []
    for name, scheme in CASES:
        alone = {seed: measure(name, scheme, 1, NEWS_S[0], seed) for seed in seeds}
        rows.append(_row(name, scheme, 1, None, alone, alone))
        for gateways in GATEWAYS:
            for news_s in NEWS_S:
                found = {seed: measure(name, scheme, gateways, news_s, seed) for seed in seeds}
                rows.append(_row(name, scheme, gateways, news_s, found, alone))
    return {"rows": rows}


def _row(
    name: str,
    scheme: str,
    gateways: int,
    news_s: float | None,
    found: dict[int, tuple[float, float]],
    alone: dict[int, tuple[float, float]],
) -> dict[str, Any]:
    def against(part: int) -> Interval | None:
        return paired_difference(
            {s: v[part] for s, v in found.items()}, {s: v[part] for s, v in alone.items()}
        )

    latency, success = against(0), against(1)
    return {
        "scenario": name, "scheme": scheme, "gateways": gateways, "news_s": news_s,
        "mean_latency_s": fmean(v[0] for v in found.values()), "success_ratio": fmean(v[1] for v in found.values()),
        "latency_against_one": latency and asdict(latency), "success_against_one": success and asdict(success),
    }  # fmt: skip


def _show(figures: dict[str, Any]) -> None:
    print("| scenario, scheme | gateways | heard after | mean latency | against one | success |")
    print("|---|---|---|---|---|---|")
    for row in figures["rows"]:
        news_s, difference = row["news_s"], row["latency_against_one"]
        heard = "–" if news_s is None else "never" if news_s >= 1e6 else f"{news_s:g} s"
        mean, half_s = difference["mean"], (difference["high"] - difference["low"]) / 2
        against = "–" if news_s is None else f"{mean:+.2f} ± {half_s:.2f} s"
        print(
            f"| `{row['scenario']}`, `{row['scheme']}` | {row['gateways']} | {heard} | {row['mean_latency_s']:.2f} s"
            f" | {against} | {row['success_ratio']:.4f} |"
        )


if __name__ == "__main__":
    _show(run())
