"""The testbed of the tests that start Ray: two nodes, four models, six replicas; and a run in progress on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from emulation.domain.records import DecisionRecord, Record, RunFooter
from emulation.domain.scenario import Scenario
from emulation.domain.snapshot import NodeView
from emulation.recording import RECORD_FILE, Run, decode, read_run
from serve_apps.testbed.live import LiveCluster
from serve_apps.wire.names import runtime_name
from tests.build.waiting import LONG_S, eventually

TOKEN = "control-me-9f2b7c"
"""Of the session's cluster."""
CONTROL = {"Authorization": f"Bearer {TOKEN}"}
GPU = {"slices": 2, "sharing": "none"}
TESTBED: dict[str, Any] = {
    "name": "two-nodes",
    "models": [
        {"id": "gpt2", "modality": "text", "features": "tokens", "ram_gb": 1, "vram_gb": 1, "init_s": 1},
        {"id": "blip", "modality": "caption", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["cpu"]},
        {"id": "sd", "modality": "image", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["gpu"]},
        {"id": "big", "modality": "text", "ram_gb": 1, "vram_gb": 1, "init_s": 1, "modes": ["cpu"]},
    ],
    "nodes": [
        {"id": "n1", "cores": 8, "ram_gb": 16, "gpus": [GPU], "models": ["gpt2", "blip", "sd"]},
        {"id": "n2", "cores": 8, "ram_gb": 16, "gpus": [GPU], "models": ["gpt2", "big"]},
    ],
    "profile": [
        {"model": "gpt2", "mode": "gpu", "theta": [0.001, 0.02]},
        {"model": "gpt2", "mode": "cpu", "theta": [0.004, 0.08]},
        {"model": "blip", "mode": "cpu", "theta": [0.5]},
        {"model": "sd", "mode": "gpu", "theta": [2.0]},
        {"model": "big", "mode": "cpu", "theta": [1.0]},
    ],
    "power": [
        {"mode": mode, "watts": watts, "tier": "estimate", "source": "the tests"}
        for mode, watts in (("idle", 10), ("cpu", 40), ("gpu", 60))
    ],
}  # fmt: skip


def scenario(**changes: Any) -> Scenario:
    """A scenario on the session's testbed; its own load is not sent, tests send theirs."""
    given: dict[str, Any] = {
        "name": "live-test",
        "testbed": TESTBED,
        "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"gpt2": 1.0}}],
        "slot_s": 5.0,
        "slots": 10_000,
        "epoch_slots": 2,
        "deadline_s": 600.0,
        "live": {"speedup": 4.0},
    }
    return Scenario.model_validate(given | changes)


@dataclass
class LiveRun:
    """A run in progress on the session's cluster."""

    cluster: LiveCluster
    folder: Path
    http: httpx2.Client

    @property
    def now_s(self) -> float:
        """Virtual seconds into the run."""
        return self.cluster.progress().t_s

    def reaches(self, t_s: float) -> None:
        """Wait until it is so late in the run."""
        eventually(lambda: self.now_s >= t_s, LONG_S + t_s)

    def written(self) -> list[Record]:
        """What stands in the record so far."""
        whole, _, _ = (self.folder / RECORD_FILE).read_bytes().rpartition(b"\n")
        return [decode(line) for line in whole.splitlines()]

    @property
    def decisions(self) -> list[DecisionRecord]:
        """Those that stand in the record so far, as `Run.decisions` has them at the end."""
        return [r for r in self.written() if isinstance(r, DecisionRecord)]

    def undo(self, event: int) -> None:
        """End an event that is in force, by hand; that its undo lands is to be waited for."""
        answer = self.http.post("/control/undo", json={"event": event}, headers=CONTROL)
        assert answer.status_code == 200, answer.text

    def at_nodes(self) -> int:
        """Requests that have reached a node and are not finished there."""
        asked = [(runtime_name(n.id), "telemetry") for n in self.cluster.testbed.nodes]
        views: list[NodeView] = self.cluster.calls.call_all(asked, LONG_S)
        return sum(sum(e.queued.values()) for view in views for e in view.executors)

    def end(self) -> tuple[RunFooter, Run]:
        """Close the books and read the record."""
        self.http.close()
        return self.cluster.end_run(), read_run(self.folder)

    def chat(self, words: int = 3, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
        """One chat completion of gpt2."""
        body = {"model": "gpt2", "messages": [{"role": "user", "content": "word " * words}], **fields}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)
