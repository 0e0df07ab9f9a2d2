"""A comparison's own file may come from elsewhere: what it names as schemes are names of folders."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from edgebed.runs.manifest import MANIFEST_FILE, manifest_of, read_manifest
from emulation.files import ConfigError, load_scenario


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc", "", "a b", "\x1b[2J", "x" * 200])
def test_a_scheme_is_no_way_out_of_its_folder(tmp_path: Path, name: str) -> None:
    made = manifest_of(load_scenario("e3-basic"), ["sect", "MA+sect"], [0], "virtual", None)
    made.write(tmp_path)
    assert read_manifest(tmp_path) == made
    path = tmp_path / MANIFEST_FILE
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"plan": {name: [0]}}))
    with pytest.raises(ConfigError, match=r"comparison\.json: .*plan.*must be a scheme's name"):
        read_manifest(tmp_path)
