"""What a scraper reads."""

from __future__ import annotations

from docs.generate.markdown import cell, table
from serve_apps.observe.metrics import GROUPS, METRICS

INTRODUCTION = """# Metrics

`GET /metrics` of the gateway, as Prometheus' text or OpenMetrics, whichever the scraper asks for. `/metrics/gateway` is
what this gateway process counts, `/metrics/testbed` what all other processes say, asked for at the moment of the scrape
(each has a second; one that does not answer has `edgebed_up` 0). `/metrics` is both: with several gateways scrape the
first of each, and the second of one. With Prometheus and Grafana: [watch a testbed](../how-to/watch-a-testbed.md).

Times are virtual seconds unless it says wall; every latency is defined as in [metrics](../explanation/metrics.md). A
name that begins with `vllm:` means what it means in vLLM, with its label `model_name`. No label holds anything that a
client said; a model that is not of the testbed counts as `other`. Counts of requests start again with each run and with
each process; Prometheus' `rate` and `increase` take that into account.
"""


def page() -> str:
    """What a scraper reads."""
    text = INTRODUCTION
    for group in GROUPS:
        rows = [
            [f"`{name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), cell(m.what)]
            for name, m in METRICS.items()
            if m.group == group
        ]
        text += f"\n## {group}\n\n" + table(["metric", "kind", "labels", "what"], rows)
    bounds = {m.bounds: name for name, m in reversed(METRICS.items()) if m.bounds}
    rows = [
        [", ".join(f"{b:g}" for b in m), ", ".join(f"`{n}`" for n, k in METRICS.items() if k.bounds == m)]
        for m in reversed(bounds)
    ]
    return text + "\n## Buckets\n\n" + table(["upper bounds", "of"], rows)
