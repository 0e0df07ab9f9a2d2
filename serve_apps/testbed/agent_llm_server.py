"""The process of the agents' model: vLLM's own OpenAI server, gone as soon as whoever started it is.

Its standard input is a pipe from the replica that started it. However that replica ends, the pipe closes, and this
process ends itself and whatever vLLM started.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 5.0
SERVER = "vllm.entrypoints.openai.api_server"


def end_with_parent() -> None:
    """Wait until standard input closes; then end this process group, first with a word, then without."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Serve, with the arguments of vLLM's server."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    runpy.run_module(SERVER, run_name="__main__")


if __name__ == "__main__":
    main()
