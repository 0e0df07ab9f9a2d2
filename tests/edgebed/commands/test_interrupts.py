"""Ctrl-C at any moment, while the command still loads too: exit code 130, a line, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STRUCK = """
import os, runpy, signal, sys

class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == struck:
            os.kill(os.getpid(), signal.SIGINT)

struck = sys.argv.pop(1)
sys.meta_path.insert(0, Strike())
runpy.run_module("edgebed", run_name="__main__", alter_sys=True)
"""
IN_EXEC = """
import sys
import edgebed.commands.main as command

def main():
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        sys.exit(130)

command.main = main
"""
SCENARIO = """
name: small
testbed: demo
workload: [{kind: poisson, rate_per_s: 1.0, mix: {gpt2: 1.0}}]
slots: 2
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "edgebed.commands.main",
        "typer",
        "edgebed.runs.comparison",
        "numpy",
        "edgebed.report.plots",
        "matplotlib.figure",
    ],
)
def test_an_interrupt_while_a_module_is_loaded_is_one_line(tmp_path: Path, module: str) -> None:
    (tmp_path / "small.yaml").write_text(SCENARIO)
    done = subprocess.run(
        [sys.executable, "-c", STRUCK, module, "compare", "small.yaml", "--schemes", "AL", "--out", "out"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 130, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stderr
    assert not list(tmp_path.rglob(".*.part"))
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_an_interrupt_that_passed_an_exec_is_an_exit_code_and_no_signal(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(IN_EXEC)
    done = subprocess.run(
        [sys.executable, "-m", "edgebed"], capture_output=True, text=True, timeout=60,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
