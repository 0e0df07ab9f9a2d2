"""Another process that a check asks: it has loaded everything, and forks for every question.

To load is most of what a question costs where each has a process of its own (`edgebed.check.apart`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edgebed.check.law import Broken

LOOP = """
import json, os, sys, traceback
from edgebed.check.apart import main
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(asked["folder"])
            sys.path[:], sys.argv[1:] = asked["places"], asked["words"]
            main()
            code = 0
        except BaseException as error:
            print(*traceback.format_exception_only(error))
        sys.stdout.flush()
        os._exit(code)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Elsewhere:
    """It begins with the first question; whoever made this closes it."""

    def __init__(self, hash_seed: str) -> None:
        """`hash_seed`: by which it orders sets."""
        self._hash_seed = hash_seed
        self._process: subprocess.Popen[str] | None = None

    def ask(self, kind: str, name: str, _: str) -> str:
        """The digest as it has it, in the place of `apart._elsewhere`. Raises `Broken` where it has none."""
        process = self._process = self._process or self._begun()
        assert process.stdin is not None
        assert process.stdout is not None
        places = [place for place in sys.path if place]
        asked = {"folder": str(Path.cwd()), "places": places, "words": [kind, name]}
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        said: list[str] = []
        while not (line := process.stdout.readline()).startswith("ended "):
            assert line, "it died"
            said += line.split("\n")[:-1]
        if line != "ended 0\n" or not said:
            raise Broken(f"another process cannot run it: {(said or ['no word'])[-1]}")
        return said[-1].split()[-1]

    def close(self) -> None:
        """Let it end."""
        if self._process is not None:
            self._process.communicate(timeout=60)

    def _begun(self) -> subprocess.Popen[str]:
        places = os.pathsep.join(place for place in sys.path if place)
        return subprocess.Popen(
            [sys.executable, "-c", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONHASHSEED": self._hash_seed, "PYTHONPATH": places},
        )  # fmt: skip
