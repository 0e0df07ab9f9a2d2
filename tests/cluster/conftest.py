"""Where these tests were asked for (`make test-cluster`), what a machine lacks for them is a failure and no skip."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

ASKED_FOR = "EDGEBED_TEST_CLUSTER"
"""Environment variable that the target sets."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(ASKED_FOR) and not hasattr(report, "wasxfail"):
        said: Any = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{said[2] if isinstance(said, tuple) else said}; `make test-cluster` needs it"
    return report
