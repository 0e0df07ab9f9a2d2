"""The lines of a run record: one versioned format, written by both worlds, read by everything else.

Canonical: virtual seconds only, ordered by (t_s, priority, sequence), the byte-identity object. Wall-clock
times, pids and host facts go to a side file, joined by line number.

Version 2: `ended_s` is when the work ended at its node, in every record. In version 1, that of a live run which was not
joined with its client's log was when the gateway had the answer.

Version 3: a request that is still in the system when the run ends has a line too, with the outcome `unfinished`.
Before, it was only counted in the footer, by model. `turn_s` says what of `service_s` is of the executor that finished.
The header says what wrote it, and has digests of scenario and testbed. None of this depends on where or when a virtual
run was made: host, command, commit and date stand beside the record.

Version 4: a request that is held is told of once per reason, until it is sent somewhere. Before, it was told of every
time it was looked at. What schemes with random routing (RR, RF, RL) draw per origin, model and slot comes from a
hash of seed and name, no longer from a generator of its own: the same seed gives other requests to other nodes.

Version 5: a request names its tenant. The field is left out where there is none, and a virtual record in which nobody
can have one is of version 4 still: its bytes are what they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from emulation.domain.request import Fate
from emulation.domain.value import line

RECORD_VERSION = 5
WITHOUT_TENANTS = 4
"""Version of a record whose requests have no tenants."""
READABLE_VERSIONS = (1, 2, 3, 4, 5)
NAMES_UNFINISHED = 3
"""From this version on a record names the requests that were in the system when it closed."""
World = Literal["virtual", "live"]
PERSON = "person"
"""Actor of what somebody did by hand: no decision of a controller's."""
HYPOTHETICAL = "hypothetical"
"""Outcome of a decision that nobody was to carry out: of a shadow, or asked for by a dry route."""
SWITCHED = "another scheme had come in by then"
"""Why a decision is voided that was still out when its scheme was switched from."""
ENDED = "the run had ended by then"
"""Why a decision is voided that was still out at the end."""


@dataclass(frozen=True, slots=True)
class RunHeader:
    """First line: what was run. Everything a table must state beside a figure."""

    scenario: str
    scheme: str
    seed: int
    world: World
    reasoner: str
    lifecycle: str
    speedup: float
    models: tuple[str, ...]
    slot_s: float
    slots: int
    epoch_slots: int
    horizon_s: float
    deadline_s: float | None
    objective_weight: float
    edgebed: str | None = None
    """Version of the program that wrote it; null before format version 3."""
    scenario_digest: str | None = None
    """SHA-256 of the canonical JSON of the validated scenario, its testbed apart and trace files by their content."""
    testbed_digest: str | None = None
    """SHA-256 of the canonical JSON of the validated testbed."""
    gateways: int = 1
    """Gateways that shared the requests."""
    version: int = RECORD_VERSION
    kind: Literal["header"] = "header"


@line
class RequestRecord:
    """One line per request: written once, when it ends, or when the run does. Times in virtual seconds."""

    t_s: float
    """`ended_s`; orders the file."""
    request_id: str
    model: str
    origin: str
    prompts: int
    prompt_tokens: int
    output_tokens: int
    """Measured after the fact; 0 if it never finished."""
    attempt: int
    """1 for the first dispatch; counts re-dispatches after a node left."""
    intended_s: float
    sent_s: float
    dispatched_s: float | None
    enqueued_s: float | None
    started_s: float | None
    ended_s: float
    """When its answer reached its origin, by its node's state machine; of one that never came to a node, when that was
    settled; of one that is unfinished, when the run ended. When the client had it stands in the side file
    (`answered_s`)."""
    service_s: float | None
    """Time in service, slowdown and sharing included."""
    transfer_s: float
    """Uplink plus downlink."""
    predicted_s: float | None
    predicted_sd_s: float | None
    executor: str | None
    mode: str | None
    outcome: Fate
    stutter: bool
    counted: bool
    """Whether it arrived within the horizon; tail arrivals are not counted."""
    reason: str = ""
    input_tokens: int | None = None
    """Tokens a real text model read, by its own tokenizer; None: emulated, or it never finished."""
    turn_s: float | None = None
    """Of `service_s`, what its last time in service took, at `executor` in `mode`, less what it stood still there: what
    may be learned of that executor. All of it where it was served in one go; None: not done, or not known."""
    tenant: str | None = None
    """On whose behalf it was asked; left out where nobody said. From version 5 on."""
    kind: Literal["request"] = "request"


@line
class DecisionRecord:
    """One decision of any actor: a route, a guide, a node configuration, a policy, a tool call."""

    t_s: float
    """When it was decided."""
    actor: str
    """`router`, `scheduler`, `deployer:<node>`, `planner`, `meta`; `person`: somebody, by hand; `shadow:<scheme>` and
    `dry`: what would have been decided about a request, and was not done."""
    cause: str
    inputs_age_s: float
    choice: Any
    """What was chosen, as plain data. The router's: an executor, `hold`, `reject` or `no_host`; of a request that is
    held it says so once per reason, however often it looks again."""
    reason: str
    reasoner: str
    request_id: str | None = None
    candidates: tuple[tuple[str, float], ...] = ()
    """(executor, score in seconds), best first, 8 at most."""
    thinking_s: float = 0.0
    landed_s: float | None = None
    """When it took effect; None if it never did."""
    promised: str | None = None
    outcome: str = "applied"
    """applied, voided (with the reason in `violations`), rejected, or hypothetical: nobody was to carry it out."""
    violations: tuple[str, ...] = ()
    changes: int = 0
    """Executors whose mode it changed (reconfigurations)."""
    kind: Literal["decision"] = "decision"


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event of the plan took effect or was undone."""

    t_s: float
    event: int
    """Index in the event plan."""
    type: str
    target: str
    phase: Literal["onset", "step", "undo"]
    visible: bool
    detail: dict[str, Any] = field(default_factory=dict)
    kind: Literal["event"] = "event"


@dataclass(frozen=True, slots=True)
class ExecutorRecord:
    """An executor changed state, mode or effective speed."""

    t_s: float
    executor: str
    state: str
    mode: str
    kind: Literal["executor"] = "executor"


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """How long messages take between a gateway and a node on another machine, measured; written when that has changed.
    In live runs over several machines only: elsewhere the network takes no time of its own."""

    t_s: float
    node: str
    gateway: int
    """Number of the gateway, in order of joining."""
    rtt_s: float
    """The round trip, virtual seconds: part of `transfer_s` of its requests, and no platform overhead."""
    kind: Literal["link"] = "link"


@dataclass(frozen=True, slots=True)
class RunFooter:
    """Last line: conservation per model, and whether the run was cut short."""

    t_s: float
    arrived: dict[str, int]
    ends: dict[str, dict[str, int]]
    """Model to outcome to count."""
    in_system: dict[str, int]
    """Model to requests that had not ended when the record closed; their lines say `unfinished`."""
    interrupted: bool = False
    kind: Literal["footer"] = "footer"

    def unbalanced(self) -> list[str]:
        """For every model of which not arrived = sum of ends + in system: what is wrong."""
        problems = []
        for model in sorted({*self.arrived, *self.ends, *self.in_system}):
            came, inside = self.arrived.get(model, 0), self.in_system.get(model, 0)
            ended = sum(self.ends.get(model, {}).values())
            if came != ended + inside:
                problems.append(f"{model}: {came} arrived, but {ended} ended and {inside} are in the system")
        return problems

    def conserved(self) -> bool:
        """arrived = sum of ends + in system, for every model."""
        return not self.unbalanced()


Record = RunHeader | RequestRecord | DecisionRecord | EventRecord | ExecutorRecord | LinkRecord | RunFooter
