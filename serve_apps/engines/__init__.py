"""Models in memory, and how they are kept to the pace of their node. Nothing here knows HTTP, Ray or a replica.

Read first: `Engine` below (what every engine is), then `text.py` with `decoding.py` (token by token) and `pacer.py`
(how real work is slowed). `loading.py` loads, `prompting.py` is what text engines share, `caption.py` and `picture.py`
are the other kinds of model; `vllm.py` computes several attempts in the same steps, which `batching.py` runs.
"""

from __future__ import annotations

from typing import Protocol

from serve_apps.engines.decoding import Emit
from serve_apps.engines.loading import LoadFacts
from serve_apps.engines.pacer import Pacer
from serve_apps.wire.messages import Piece, Work


class Engine(Protocol):
    """A model in memory. Everything blocks; `run` is called by one thread, or by as many as its `width` says."""

    facts: LoadFacts

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""

    def choices(self, work: Work) -> int:
        """Answers this work asks for."""

    def check(self, work: Work) -> None:
        """Raises `BadAsk` if the model cannot do this work."""

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One answer, asking the pacer after every token or step. Raises `Stopped`."""
