"""The libraries of real models, imported only where one is used: the base install has none of them."""

from __future__ import annotations

import importlib
from types import ModuleType

from emulation.files import ConfigError

_EXTRA = {"vllm": "vllm", "gguf": "gguf"}


def need(library: str) -> ModuleType:
    """Import a library of an extra. Raises `ConfigError` with the command that installs it."""
    if library == "diffusers":
        need("transformers")  # which diffusers imports, and which must be quiet by then
    try:
        module = importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise
        extra = _EXTRA.get(library, "models")
        raise ConfigError(
            f"{library} is not installed; real models need: pip install 'edgebed[{extra}]'"
        ) from error
    if library in ("transformers", "diffusers"):
        module.utils.logging.set_verbosity_error()
        module.utils.logging.disable_progress_bar()
    return module
