"""A made-up testbed that is steered: it says the time, numbers events and loads, and lists what it was told to."""

from __future__ import annotations

from serve_apps.wire.steer import (
    Approve,
    Choice,
    EventEntry,
    EventList,
    InForce,
    Load,
    LoadEntry,
    LoadState,
    ProposalEntry,
    ProposalList,
    Rate,
    Reject,
    SchemeList,
)
from tests.build.asgi import MadeUpCalls

LEDGER = EventList(
    t_s=14.0,
    events=(
        EventEntry(
            event=0, kind="slowdown", target="d0", state="in_force", by_hand=True, at_s=12.0, until_s=None,
            onset_s=12.25, undone_s=None, spec={"kind": "slowdown", "node": "d0", "factor": 2.0},
        ),
    ),
)  # fmt: skip


PROPOSAL = ProposalEntry(
    proposal=3, actor="deployer:n", cause="slot 4", t_s=12.0, until_s=42.0, reason="sd waits", reasoner="openai",
    present={"node": "n", "modes": {"sd": "off", "gpt2": "cpu"}},
    proposed={"node": "n", "modes": {"sd": "gpu", "gpt2": "cpu"}}, state="waiting",
)  # fmt: skip


class Actors(MadeUpCalls):
    """Behind a gateway. With an exception as `outcome` it refuses everything, or does not answer."""

    sent: LoadEntry | None = None
    scheme: str = "AL"
    held: tuple[ProposalEntry, ...] = ()
    """Decisions that wait for approval, or did."""
    missing: tuple[str, ...] = ()
    """Processes that do not take up a scheme in time."""

    async def call(self, name: str, method: str, *args: object, limit_s: float = 1.0) -> object:
        self.called.append((name, method, *args))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return getattr(self, f"_{method}")(*args)

    def _progress(self) -> object:
        return {"t_s": 12.0}

    def _inject(self, event: object) -> int:
        return 7

    def _undo(self, number: int) -> float:
        return 13.5

    def _ledger(self) -> EventList:
        return LEDGER

    def _schemes(self) -> SchemeList:
        refused = {"AL": "", "MA": "", "oracle": "it knows what a live run does not tell"}
        return SchemeList(
            scheme=self.scheme, schemes=tuple(Choice(scheme=n, refused=why) for n, why in refused.items())
        )

    def _switch(self, to: str) -> InForce:
        before, self.scheme = self.scheme, to
        return InForce(event=3, scheme=to, before=before, in_force_s=12.5, missing=self.missing)

    def _start_load(self, asked: Load) -> LoadEntry:
        self.sent = LoadEntry(
            scenario=asked.scenario or "own", seed=asked.seed, rate=asked.rate, running=True, began_s=12.0,
            ended_s=None, said="", log="runs/x/loads/0.jsonl",
        )  # fmt: skip
        return self.sent

    def _change_load(self, asked: Rate) -> LoadEntry:
        assert self.sent is not None
        going = {"rate": asked.rate} if asked.rate else {"running": False, "ended_s": 14.0, "said": "stopped"}
        self.sent = self.sent.model_copy(update=going)
        return self.sent

    def _load(self) -> LoadState:
        return LoadState(t_s=14.0, load=self.sent)

    @property
    def done(self) -> list[tuple[object, ...]]:
        """What it was told to do, questions left out."""
        return [
            call
            for call in self.called
            if call[1] not in ("progress", "ledger", "load", "schemes", "proposals")
        ]

    def _proposals(self) -> ProposalList:
        return ProposalList(t_s=14.0, proposals=self.held)

    def _approve(self, asked: Approve) -> ProposalEntry:
        return self._settled("approved" if asked.command is None else "edited")

    def _reject(self, asked: Reject) -> ProposalEntry:
        return self._settled("rejected")

    def _settled(self, state: str) -> ProposalEntry:
        (entry,) = self.held
        self.held = (entry.model_copy(update={"state": state}),)
        return self.held[0]
