"""What a large body leaves is kept for the next one: no page of it is asked of the kernel again."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import resource, sys
from serve_apps.wire.memory import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit("no glibc")

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

body = bytes(1 << 20)
for _ in range(10):
    bytearray(body), bytearray(body)
before = faults()
for _ in range(100):
    bytearray(body), bytearray(body)
print(faults() - before)
"""


def faults(how: str) -> int:
    """Pages that a process of its own asked for over 100 times 2 MB."""
    done = subprocess.run([sys.executable, "-c", LOOK, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_pages_are_asked_for_once() -> None:
    assert faults("kept") < 100
    assert faults("as it is") > 10_000, "otherwise there is nothing to mend"
