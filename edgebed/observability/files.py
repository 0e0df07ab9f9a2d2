"""Everything Prometheus and Grafana need to watch a testbed, written to one folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from edgebed.places import standing_file
from edgebed.runs.address import checked_url
from edgebed.runs.layout import fresh_folder
from emulation.recording import write_whole
from serve_apps.observe.discovery import TARGETS_FILE, targets_of

HERE = Path(__file__).parent
ALERTS, DASHBOARD, CONFIG = "alerts.yaml", "dashboard.json", "prometheus.yml"


def export(folder: Path, url: str | None = None, every_s: int = 5) -> list[Path]:
    """Write configuration, alert rules and dashboard; the files written.

    Prometheus is to watch the gateway at `url`, looking every `every_s` wall seconds; None: whatever testbed stands on
    this machine, as they come and go. Raises `ConfigError` for a folder that is not empty, or a URL that is none.
    """
    found = standing_file().resolve().with_name(TARGETS_FILE)
    gateway = None if url is None else checked_url(url)
    folder = fresh_folder(folder).resolve()
    for name in (ALERTS, DASHBOARD):
        write_whole(folder / name, (HERE / name).read_bytes())
    if gateway is not None:
        found = folder / TARGETS_FILE
        write_whole(found, targets_of([gateway]))
    write_whole(folder / CONFIG, yaml.safe_dump(_config(folder, found, every_s), sort_keys=False).encode())
    return sorted(folder.iterdir())


def _config(folder: Path, targets: Path, every_s: int) -> dict[str, object]:
    job = {
        "job_name": "edgebed",
        "file_sd_configs": [{"files": [str(targets)], "refresh_interval": f"{every_s}s"}],
    }
    return {
        "global": {"scrape_interval": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": [str(folder / ALERTS)],
        "scrape_configs": [job],
    }
