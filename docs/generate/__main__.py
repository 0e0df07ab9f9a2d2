"""`python -m docs.generate`: writes the pages that changed; with `--check` it only names them and exits with 1."""

from __future__ import annotations

import sys

from docs.generate.pages import ROOT, stale


def main() -> int:
    """Write the pages that changed, or with `--check` only name them; the exit code."""
    found = stale()
    if "--check" in sys.argv[1:]:
        print("\n".join(found) or "up to date")
        return int(bool(found))
    for name, text in found.items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
