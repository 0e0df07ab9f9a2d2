"""The token of our Rays: made once, for its owner's eyes only, and never used if others have seen it."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulation.files import ConfigError
from serve_apps.testbed.token_file import own_token


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGEBED_HOME", str(folder))
    return folder


def test_the_token_is_made_once_and_only_its_owner_can_read_it(home: Path) -> None:
    path = own_token()
    token = path.read_text()
    assert path.parent == home
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(home.stat().st_mode)) == (0o600, 0o700)
    assert len(bytes.fromhex(token)) == 32
    assert own_token().read_text() == token
    assert [p.name for p in home.iterdir()] == [path.name]


def test_two_that_start_at_once_use_the_same_token() -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: own_token().read_text(), range(64)))
    assert len(set(tokens)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_can_read_is_not_used(mode: int) -> None:
    own_token().chmod(mode)
    with pytest.raises(
        ConfigError, match=rf"ray_token: others can read it or change it \(mode {mode:o}\).*`chmod 600` it"
    ):
        own_token()


def test_an_empty_token_is_not_used() -> None:
    own_token().write_text(" \n")
    with pytest.raises(ConfigError, match=r"ray_token: the file is empty; delete it"):
        own_token()
