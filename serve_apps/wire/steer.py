"""What a run is told by hand over `/control`, and what it answers: the same types at the gateway and at its clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from emulation.domain.cluster import Strict
from emulation.domain.events import SchemeName
from emulation.domain.quantities import Line, Name, Range, Seed, Words

Digest = Annotated[str, Words("a SHA-256 in hexadecimal", 64, r"[0-9a-f]{64}")]
EventNumber = Annotated[int, Range(0, 1_000_000)]
State = Literal["waiting", "in_force", "ending", "over", "missed"]
"""Of an event: before its onset; between onset and undo; its undo is under way; undone; its onset landed nowhere."""


class Undo(Strict):
    """End an event before its time."""

    event: EventNumber


class EventEntry(Strict):
    """One event of a run, of its plan or by hand. Times in virtual seconds of the run."""

    event: int
    """Its number: index in the plan, and on from there for those by hand, in their order."""
    kind: str
    target: str
    state: State
    by_hand: bool
    """Whether somebody injected it; it may be of the plan."""
    at_s: float
    until_s: float | None
    """When it is to be undone; null: never."""
    onset_s: float | None
    """When it landed."""
    undone_s: float | None
    """When it was undone."""
    spec: dict[str, Any]
    """All its fields, as a scenario file has them."""


class EventList(Strict):
    """The ledger of a run so far."""

    t_s: float
    """Now."""
    events: tuple[EventEntry, ...]


class Load(Strict):
    """Have the testbed send itself the requests of a scenario, from now on."""

    scenario: Name | None = None
    """A packaged one, or that of the testbed by its name; null: that of the testbed."""
    seed: Seed = 0
    rate: Annotated[float, Range(0.001, 100, "times as dense as the scenario says")] = 1.0
    demand: Digest | None = None
    """What whoever asks knows by this name, as `workloads.demand_digest` says it; null: whatever stands here so."""


class Rate(Strict):
    """Send what is left of the load at another rate; 0: send no more."""

    rate: Annotated[float, Range(0, 100, "times as dense as the scenario says; 0 stops it")]


class LoadEntry(Strict):
    """The load that is sent, or was. Times in virtual seconds of the run."""

    scenario: str
    seed: int
    rate: float
    running: bool
    began_s: float
    ended_s: float | None
    """When no more was sent; null: it goes on."""
    said: str
    """Why it ended; empty: it goes on."""
    log: str
    """The client's log: a file on the machine of the gateway, one line per request."""


class LoadState(Strict):
    """Whether the testbed sends itself a load."""

    t_s: float
    """Now."""
    load: LoadEntry | None
    """The last one of this run."""


class SwitchTo(Strict):
    """Have another scheme decide from now on."""

    to: SchemeName


class InForce(Strict):
    """A scheme has come into force by hand."""

    event: int
    """Number of the event that it was; undoing it brings the scheme before back."""
    scheme: str
    before: str
    """The one that went out."""
    in_force_s: float
    """Virtual second from which on every process decides by it."""
    missing: tuple[str, ...] = ()
    """Processes that had not taken it up when they were waited for; they do as soon as they are back."""


class Choice(Strict):
    """A scheme that there is."""

    scheme: str
    refused: str
    """Why this run cannot be switched to it; empty: it can."""


class SchemeList(Strict):
    """The scheme in force, and all that there are."""

    scheme: str
    schemes: tuple[Choice, ...]


ProposalNumber = Annotated[int, Range(1, 1_000_000_000)]


class ProposalEntry(Strict):
    """A decision of an agent that is held for approval, or was. Times in virtual seconds of the run."""

    proposal: int
    """Its number, from 1."""
    actor: str
    """planner, scheduler or deployer:<node>."""
    cause: str
    t_s: float
    """When it was decided."""
    until_s: float
    """When the rules of the role decide instead, if nobody has said anything by then."""
    reason: str
    """The agent's own."""
    reasoner: str
    present: dict[str, Any] | None
    """The command in force; null: there is none yet."""
    proposed: dict[str, Any]
    state: Literal["waiting", "approved", "edited", "rejected", "timed_out", "gone"]
    """gone: whoever proposed it no longer waits, as its scheme went out or its process ended."""


class ProposalList(Strict):
    """The latest proposals of the run, oldest first."""

    t_s: float
    """Now."""
    proposals: tuple[ProposalEntry, ...]


class Approve(Strict):
    """Carry a proposal out, or what is written here in its place."""

    proposal: ProposalNumber
    command: dict[str, Any] | None = None
    """As `proposed` has it, changed; null: as it is."""
    why: Line = ""


class Reject(Strict):
    """Have the rules of the role decide instead."""

    proposal: ProposalNumber
    why: Line = ""
