"""CPU time of processes and all that they started, by what each of them is."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(root: int, without: Collection[int] = ()) -> Counter[str]:
    """CPU seconds so far of a process and every one below it that still runs, those below `without` left out."""
    parents, spent = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    found: Counter[str] = Counter()
    for pid, seconds in spent.items():
        if _is_below(pid, root, without, parents):
            found[_name(pid)] += seconds  # type: ignore[assignment]
    return found


def _is_below(pid: int, root: int, without: Collection[int], parents: Mapping[int, int]) -> bool:
    while pid in parents and pid not in without:
        if pid == root:
            return True
        pid = parents[pid]
    return False


def _name(pid: int) -> str:
    """What a process is: the class of an actor, the deployment of a replica, else its program or its module."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone"
    first = words[0].decode(errors="replace")
    if first.startswith("ray::"):
        return first.removeprefix("ray::").split(":")[-1].split(".")[0].strip()
    if "-m" in map(bytes.decode, words[:3]):
        return words[words.index(b"-m") + 1].decode().rpartition(".")[2]
    if first.endswith(("python", "python3")) and len(words) > 1:
        script = next((w.decode() for w in words[1:] if w.endswith(b".py")), "python")
        return Path(script).stem
    return Path(first).name
