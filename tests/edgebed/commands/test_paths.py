"""Names that no file can have are told as the option they were given for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebed.commands.command import check_path
from emulation.domain.mistakes import ConfigError


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000, f"{'b' * 300}/c"])
def test_a_name_that_is_too_long_is_a_mistake_of_its_option(name: str) -> None:
    with pytest.raises(ConfigError, match="--out .*File name too long; give another name"):
        check_path("--out", Path(name))
