"""The program `edgebed`, and `python -m edgebed`: a Ctrl-C ends it in one line, while it still loads too."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Load the command and run it."""
    loading = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if loading:  # not where it is ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _leave)
    from edgebed.commands.main import main as command

    if loading:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
    finally:
        if loading:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done but to leave
            _forget_interrupt()


def _forget_interrupt() -> None:
    """The interpreter remembers an interrupt that passed through an `exec` of a string, as the making of a data class
    is, and would end itself with the signal in the place of our exit code; the next `exec` makes it forget."""
    exec("")


def _leave(*_: object) -> None:
    """There is nothing yet to be put away."""
    os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
