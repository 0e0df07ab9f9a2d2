"""Locust as a program that starts quicker: `python -m workloads.locust_program` in the place of `python -m locust`.

For every one of its 25 patches gevent asks which installed packages have something to say to it, and each time all of
them are read anew: a quarter of what a load costs to start. Here they are read once.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import Any


def main() -> None:
    """Run it with the arguments of this process."""
    installed = cache(metadata.entry_points)
    metadata.entry_points = lambda **wanted: installed().select(**wanted)  # type: ignore[assignment]

    from locust.main import main as locust

    command: Any = locust
    command()


if __name__ == "__main__":
    main()
