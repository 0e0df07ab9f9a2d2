"""A testbed that stands under load, by the commands that a user has; for the tests that look at its page."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.build.browser import ROOT
from tests.build.live import scenario

START_S = 400.0
"""Wall seconds a testbed has to stand, or to be gone."""


class Bed:
    """A small testbed under a steady load of one scheme, `edgebed up` with these options."""

    def __init__(self, folder: Path, scheme: str, *options: str, **changes: Any) -> None:
        self.folder = folder / "run"
        self.environment = {"EDGEBED_HOME": str(folder / "home")}
        source = {"kind": "poisson", "rate_per_s": 1.5, "mix": {"gpt2": 1.0}}
        given = scenario(workload=[source], live={"speedup": 4.0}, **changes)
        self._scenario = folder / "bed.yaml"
        self._scenario.write_text(yaml.safe_dump(given.model_dump(mode="json", exclude_none=True)))
        words = ["--scheme", scheme, "--port", "0", "--json", "--out", str(self.folder), *options]
        self.url = str(orjson.loads(self.command("up", str(self._scenario), *words))["url"])
        self.stands = True

    def command(self, *arguments: str) -> str:
        """What a command says; fails with its words."""
        done = subprocess.run(
            [sys.executable, "-m", "edgebed", *arguments], capture_output=True, text=True, timeout=START_S, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Under its scenario's load for as long as it takes."""
        load = subprocess.Popen(
            [sys.executable, "-m", "edgebed", "load", str(self._scenario)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment,
        )  # fmt: skip
        try:
            yield
        finally:
            load.terminate()
            load.wait(START_S)

    def down(self) -> None:
        """Take it down, unless it is gone."""
        if self.stands:
            self.stands = False
            self.command("down")
