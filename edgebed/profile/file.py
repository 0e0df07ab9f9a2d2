"""Writing of profile files."""

from __future__ import annotations

from pathlib import Path

import yaml

from emulation.domain.profile import ProfileFile
from emulation.files import ConfigError
from emulation.recording import write_whole


def write_profile(file: Path, found: ProfileFile) -> None:
    """Write it whole or not at all. Raises `ConfigError` if it cannot be written."""
    data = found.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    try:
        write_whole(file, text.encode())
    except OSError as error:
        file.with_name(f".{file.name}.part").unlink(missing_ok=True)
        raise ConfigError(f"{file}: cannot be written: {error}") from error
