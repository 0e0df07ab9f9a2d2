"""Where files go when nobody says so: results under the current folder, everything that outlives a command at home.

`runs/` in the current folder, or EDGEBED_RUNS: what commands leave as results. `~/.edgebed`, or EDGEBED_HOME: which
testbed stands on this machine (`testbed.json`), the token of Ray (`ray_token`), and what is made once and used again
(`tiny-...`).
"""

from __future__ import annotations

import os
from pathlib import Path

from serve_apps.testbed.state import home


def runs_folder() -> Path:
    """Folder under which results go."""
    return Path(os.environ.get("EDGEBED_RUNS") or "runs")


def standing_file() -> Path:
    """Says which testbed stands, while one does."""
    return home() / "testbed.json"
