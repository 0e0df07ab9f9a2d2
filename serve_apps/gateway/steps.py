"""What a gateway does when it hears what became of a run."""

from __future__ import annotations

from typing import Literal

from serve_apps.wire.messages import RunState

Step = Literal["begin", "stay", "end", "seal", "idle"]


def step_of(state: RunState, last: str | None, serving: bool) -> Step:
    """What a gateway does when it hears of a run. `last`: the run it took up last; `serving`: it takes its requests.

    A run that it was told to end is never begun again, though a recorder that was killed may have forgotten that.
    """
    if state.run_id is None or state.closed:
        return "idle"
    if state.sealing:
        return "seal"
    if state.ending:
        return "end"
    if state.run_id == last:
        return "stay" if serving else "end"
    return "begin"
