"""The runs of a folder, as they come to be: of a comparison, of one run with its mates, or of a testbed that stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edgebed.places import runs_folder, standing_file
from edgebed.runs.address import checked_url, is_loopback
from edgebed.runs.found import run_folders
from edgebed.runs.layout import Layout, layout_of, seed_of
from edgebed.runs.manifest import MANIFEST_FILE, read_manifest, read_note
from edgebed.ui.page.run_catalog import Entry
from edgebed.ui.sources import is_growing, open_run
from edgebed.ui.sources.files import is_held
from edgebed.ui.views import Source
from emulation.domain.mistakes import ConfigError
from emulation.recording import RECORD_FILE
from serve_apps.testbed.state import read_standing


class FolderRuns:
    """A `RunCatalog` of what a folder holds; runs that are begun later appear."""

    def __init__(self, root: Path, first: Path | None = None, url: str | None = None) -> None:
        """`first`: the folder of the run that is to be shown first; None: the newest."""
        self.root: Path | None = root
        self._scenario: str | None = None
        self._layout, self._first, self._url = Layout(root), first, url
        self._folders: dict[str, Path] = {}

    @property
    def title(self) -> str:
        """The name of the scenario, once that lies there; until then the folder's."""
        if self._scenario is None:
            try:
                self._scenario = self._layout.scenario().name
            except ConfigError:
                return self._layout.root.resolve().name
        return self._scenario

    @property
    def url(self) -> str | None:
        """Of the gateway these are the runs of: as it was given, of the testbed that stands, or of a run that grows."""
        try:
            standing = read_standing(standing_file())
        except ConfigError:  # whose runs these are, it cannot say; they can be looked at all the same
            standing = None
        ours = standing is not None and Path(standing.folder).resolve() == self._layout.root.resolve()
        known = standing.url if standing is not None and ours else None
        noted = (noted_url(folder) for folder in self._folders.values())
        return self._url or known or next((url for url in noted if url is not None), None)

    def entries(self) -> Sequence[Entry]:
        """The runs there are a record of, in the order of the comparison: their schemes' colours follow it."""
        self._folders = {
            f"{folder.parent.name}/{seed_of(folder)}": folder for folder in run_folders(self._layout)
        }
        return [_entry(k, f, f.resolve() == self._first) for k, f in self._folders.items()]

    def open(self, key: str) -> Source:
        """One of them."""
        folder = self._folders[key]
        return open_run(folder, url=self.url or noted_url(folder))


def noted_url(folder: Path) -> str | None:
    """Where the gateways of a run answer by what lies beside its record, while a recorder holds that; else None.

    On this machine only: a folder may come from anybody, and opening it calls nobody else.
    """
    try:
        note = read_note(folder) if is_held(folder) else None
        url = None if note is None or note.url is None else checked_url(note.url)
    except ConfigError:
        return None
    host = None if url is None else urlsplit(url).hostname
    return url if host is not None and is_loopback(host) else None


def _entry(key: str, folder: Path, first: bool) -> Entry:
    scheme, seed = folder.parent.name, seed_of(folder) or 0
    return Entry(key, f"{scheme} · seed {seed}", scheme, seed, is_growing(folder), first)


def runs_of(folder: Path | None, url: str | None = None) -> FolderRuns:
    """The runs of a folder; without one, of the testbed that stands, else the newest in the folder of results.

    Raises `ConfigError` if there is nothing of the kind.
    """
    if folder is None:
        standing = read_standing(standing_file())
        return FolderRuns(_newest() if standing is None else Path(standing.folder), url=url)
    root = layout_of(folder).root
    if read_manifest(root) is None and not Layout(root).records():
        raise ConfigError(f"{folder}: holds no run; give the folder of a run or of a comparison")
    first = (
        folder.resolve() if (folder / RECORD_FILE).exists() and folder.resolve() != root.resolve() else None
    )
    return FolderRuns(root, first, url)


def _newest() -> Path:
    """The results that were begun last."""
    found = list(runs_folder().glob(f"*/{MANIFEST_FILE}"))
    if not found:
        raise ConfigError(
            f"no testbed stands here and {runs_folder()} holds no runs; give a folder, or make some with "
            "`edgebed compare demo`"
        )
    return max(found, key=lambda file: file.stat().st_mtime).parent
