"""Two testbeds on one Ray that neither has started: each goes its way, and what ends is its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.build.waiting import eventually

LIMIT_S = 240.0


def scenario(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "testbed": {
            "name": name,
            "models": [{"id": "m", "modality": "text", "ram_gb": 1, "modes": ["cpu"]}],
            "nodes": [{"id": f"{name}-1", "cores": 4, "ram_gb": 8}],
            "profile": [{"model": "m", "mode": "cpu", "theta": [0.2]}],
        },
        "workload": [{"kind": "poisson", "rate_per_s": 1.0, "mix": {"m": 1.0}}],
        "slot_s": 5.0, "slots": 2, "deadline_s": 20.0, "live": {"speedup": 1.0},
    }  # fmt: skip


def free_ports() -> list[int]:
    """Two ports that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], other.getsockname()[1]]


class Foreign:
    """A Ray that somebody has started by hand, with an edge node for each of two testbeds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        token = folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        self.port, client = free_ports()
        edges = json.dumps({"control": 1, "edge:left-1": 1, "edge:right-1": 1})
        words = [
            "start", "--head", "--block", f"--port={self.port}", "--num-cpus=2", "--include-dashboard=false",
            f"--temp-dir={folder}", f"--resources={edges}", "--min-worker-port=0", "--max-worker-port=0",
            "--dashboard-agent-listen-port=0", f"--ray-client-server-port={client}",
        ]  # fmt: skip
        self.log = (folder / "ray.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words], env=self.environment, stdout=self.log,
            stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "ray.log").read_text()
        return "Ray runtime started" in (self.folder / "ray.log").read_text()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def compare(self, name: str, folder: str) -> subprocess.Popen[str]:
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(scenario(name)))
        words = ["compare", str(file), "--live", "--address", f"127.0.0.1:{self.port}", "--schemes", "sect"]
        return subprocess.Popen(
            [sys.executable, "-m", "edgebed", *words, "--json", "--out", str(self.folder / folder)],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def named(self) -> list[str]:
        """Namespaces and names of the actors that live."""
        program = (
            "import ray; ray.init('auto', log_to_driver=False, logging_level='ERROR')\n"
            "for a in ray.util.list_named_actors(all_namespaces=True): print(a['namespace'], a['name'])"
        )
        program = program.replace("'auto'", f"'127.0.0.1:{self.port}'")
        done = subprocess.run(
            [sys.executable, "-c", program], env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()


@pytest.fixture
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    found = Foreign(tmp_path_factory.mktemp("r"))
    try:
        eventually(found.up, LIMIT_S)
        yield found
    finally:
        found.stop()


def test_two_testbeds_stand_on_one_ray_and_leave_nothing_but_serve(foreign: Foreign) -> None:
    both = [foreign.compare("left", "left"), foreign.compare("right", "right")]
    for run in both:
        said, errors = run.communicate(timeout=LIMIT_S)
        assert run.returncode == 0, errors
        assert json.loads(said)["schemes"]["sect"]["success_ratio"] == 1.0
    assert foreign.named() == ["serve SERVE_CONTROLLER_ACTOR"], "Serve is not ours to shut down"
