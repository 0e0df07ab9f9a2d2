"""What a live comparison refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebed.runs.layout import Layout
from edgebed.runs.live import compare_live
from emulation.files import ConfigError, load_scenario


def test_parity_of_real_processes_with_virtual_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--check-parity needs lifecycle warm"):
        compare_live(load_scenario("bristol-A-cold"), ["AL"], [0], Layout(tmp_path), check_parity=True)
    assert list(tmp_path.iterdir()) == []
