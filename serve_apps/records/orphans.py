"""What gateways that are no more had answered and not handed over is entered into the books of their run.

The recorder does it as long as there is one. Where the owner of a testbed was killed, and with it the recorder, this
file does it as a command: the guardian runs it once nothing of the testbed is left. The record stays open then, for
`edgebed recover` to close.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from serve_apps.observe.logs import write_logs
from serve_apps.records import open_run
from serve_apps.records.books import Books, unpacked
from serve_apps.records.spool import orphans
from serve_apps.records.store import Unwritten

log = logging.getLogger("edgebed")


def adopted(books: Books, own: Path | None, run_id: str | None) -> bool:
    """Enter what processes that are no more left on this machine; whether there was room for all of it.

    `own`: the recorder's folder; None, as without a run: there is nothing.
    """
    try:
        for orphan in () if own is None or run_id is None else orphans(own.parent, run_id):
            books.post(orphan.source, orphan.first, unpacked(orphan.entries))
    except Unwritten as error:
        log.error("what a gateway left waits: %s", error)
        return False
    return True


def adopt_for(own: Path) -> bool:
    """Adopt what is left, in the place of a recorder that is gone for good; False if there was no room for all of it.

    `own`: its folder. Of a run that is closed there is nothing to adopt. Raises what reading the books raises.
    """
    found = open_run.find(own / open_run.POINTER)
    if found is None or found.run is None:
        return True
    books = Books(found.folder, found.run.header, found.run.testbed)
    try:
        return adopted(books, own, found.run_id)
    finally:
        books.abandon()


def main() -> int:
    """`python -m serve_apps.records.orphans FOLDER`; exit code 1 if there was no room."""
    write_logs("guardian")
    return 0 if adopt_for(Path(sys.argv[1])) else 1


if __name__ == "__main__":
    sys.exit(main())
