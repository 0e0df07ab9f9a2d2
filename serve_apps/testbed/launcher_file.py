"""Ray's own check of a launcher file, offline."""

from __future__ import annotations

import logging
from typing import Any

import click
from jsonschema import ValidationError  # type: ignore[import-untyped]
from ray.autoscaler._private.util import prepare_config, validate_config

from emulation.files import ConfigError


def check_launcher_file(config: dict[str, Any]) -> dict[str, Any]:
    """What Ray makes of a launcher file as `ray up` reads it. Raises `ConfigError` with Ray's words if it refuses."""
    logger = logging.getLogger("ray.autoscaler._private.util")
    before, logger.disabled = logger.disabled, True
    try:
        prepared: dict[str, Any] = prepare_config(config)
        validate_config(prepared)
    except ValidationError as error:
        where = ".".join(map(str, error.absolute_path))
        raise ConfigError(f"Ray refuses the launcher file: {where}: {error.message}") from error
    except (ValueError, RuntimeError, click.ClickException) as error:
        raise ConfigError(f"Ray refuses the launcher file: {error}") from error
    finally:
        logger.disabled = before
    return prepared
