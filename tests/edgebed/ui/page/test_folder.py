"""What a folder of runs says by itself: its scenario's name, and where the testbed of a run that goes on answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebed.runs.layout import SCENARIO_FILE, Layout
from edgebed.runs.virtual import note_of
from edgebed.ui.page.folder import FolderRuns
from emulation.recording import RECORD_FILE, encode
from serve_apps.records.store import RunStore
from tests.build.records import header
from tests.build.small import small_scenario


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A folder with the begin of one run; no testbed stands on this machine."""
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path / "home"))
    made = Layout(tmp_path / "runs")
    made.root.mkdir()
    made.save_scenario(small_scenario())
    folder = made.run_folder("AL", 0)
    folder.mkdir(parents=True)
    (folder / RECORD_FILE).write_bytes(encode(header(scheme="AL")))
    return made


@pytest.mark.parametrize(
    ("noted", "url"),
    [
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123"),
        ("http://localhost:8123/v1", "http://localhost:8123"),
        ("http://192.0.2.7:8123", None),
        ("http://127.0.0.1.evil.example", None),
        ("file:///etc/passwd", None),
        (None, None),
    ],
)
def test_the_testbed_of_a_run_that_goes_on_is_known_if_it_is_on_this_machine(
    layout: Layout, noted: str | None, url: str | None
) -> None:
    folder = layout.run_folder("AL", 0)
    note_of(small_scenario()).model_copy(update={"url": noted}).write(folder)
    runs = FolderRuns(layout.root)
    runs.entries()
    assert runs.url is None, "nobody records there"
    store = RunStore(folder)
    assert runs.url == url
    store.close()
    assert runs.url is None, "nobody records there any more"


def test_what_was_given_goes_before_what_is_noted(layout: Layout) -> None:
    folder = layout.run_folder("AL", 0)
    note_of(small_scenario()).model_copy(update={"url": "http://127.0.0.1:1"}).write(folder)
    store = RunStore(folder)
    runs = FolderRuns(layout.root, url="http://127.0.0.1:2")
    runs.entries()
    assert runs.url == "http://127.0.0.1:2"
    store.close()


def test_it_is_called_as_its_scenario_once_that_can_be_read(layout: Layout) -> None:
    whole = (layout.root / SCENARIO_FILE).read_bytes()
    (layout.root / SCENARIO_FILE).write_bytes(whole[:100])
    runs = FolderRuns(layout.root)
    assert runs.title == "runs"
    (layout.root / SCENARIO_FILE).write_bytes(whole)
    assert runs.title == small_scenario().name
