"""What is shipped for Prometheus and Grafana asks for what there is, and is written ready to use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from edgebed.observability.files import ALERTS, CONFIG, DASHBOARD, HERE
from serve_apps.observe.discovery import TARGETS_FILE, targets_of
from serve_apps.observe.metrics import METRICS
from tests.build.command_line import edgebed
from tests.build.promql import metrics_in, panels, queries, rules, value_of

LABELS = {label for metric in METRICS.values() for label in metric.labels} | {"le", "job", "instance", "part"}


def test_a_query_asks_for_metrics_and_labels_that_there_are() -> None:
    for query in [*queries().values(), *(rule["expr"] for rule in rules())]:
        assert metrics_in(query) <= set(METRICS), query
        assert metrics_in(query) or query.startswith("up{"), query
        for group in re.findall(r"\bby \(([^)]*)\)", query):
            assert {label.strip() for label in group.split(",")} <= LABELS, query
        assert set(re.findall(r"(\w+)=~?\"", query)) <= LABELS, query


def test_the_dashboard_shows_every_metric_there_is() -> None:
    shown = {name for query in queries().values() for name in metrics_in(query)}
    behind_a_rule = {name for rule in rules() for name in metrics_in(rule["expr"])}
    about_the_run = {"edgebed_virtual_seconds", "process_virtual_memory_bytes"}
    assert set(METRICS) - shown - behind_a_rule == about_the_run


def test_panels_lie_beside_each_other_and_have_names_of_their_own() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels()]
    titles = [p["title"] for p in panels()]
    ids = [p["id"] for p in json.loads((HERE / DASHBOARD).read_text())["panels"]]
    for one_by_one in (places, titles, ids):
        assert len(set(one_by_one)) == len(one_by_one)


def test_every_rule_compares_a_value_and_says_what_is_wrong() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert value_of(rule)
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]


def test_export_writes_a_configuration_that_finds_the_testbed_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path / "home"))
    said = edgebed("metrics", "export", "--out", str(tmp_path / "watch"), "--json")
    assert [Path(f).name for f in json.loads(said.stdout)["files"]] == sorted((ALERTS, DASHBOARD, CONFIG))
    config = yaml.safe_load((tmp_path / "watch" / CONFIG).read_text())
    (job,) = config["scrape_configs"]
    assert job["file_sd_configs"][0]["files"] == [str(tmp_path / "home" / TARGETS_FILE)]


def test_export_for_a_testbed_elsewhere_brings_its_own_targets(tmp_path: Path) -> None:
    edgebed("metrics", "export", "--out", str(tmp_path / "w"), "--url", "https://edge.example:8443/base/v1")
    found = json.loads((tmp_path / "w" / TARGETS_FILE).read_bytes())
    assert [target["targets"] for target in found] == [["edge.example:8443"]] * 2
    assert [target["labels"] for target in found] == [
        {"__scheme__": "https", "__metrics_path__": f"/base/metrics/{part}", "part": part}
        for part in ("gateway", "testbed")
    ]


def test_every_gateway_is_scraped_and_the_testbed_once() -> None:
    found = json.loads(targets_of([f"http://127.0.0.1:{port}" for port in (8001, 8002, 8003)]))
    assert [target["labels"]["part"] for target in found] == ["gateway"] * 3 + ["testbed"]


def test_export_refuses_what_it_cannot_use_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for words in (("--out", str(tmp_path)), ("--out", str(tmp_path / "w"), "--url", "nonsense")):
        said = edgebed("metrics", "export", *words, code=2)
        assert len(said.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "w").exists()


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (make test-prometheus)"
)
def test_promtool_takes_configuration_and_rules(tmp_path: Path) -> None:
    edgebed("metrics", "export", "--out", str(tmp_path / "w"), "--url", "http://127.0.0.1:1")
    checked = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "w" / CONFIG)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
