"""What the processes of the live world say to each other. Plain frozen data; pickled by Ray.

Nothing here that a gateway or controller reads before a request ended carries its truth: a `Served` comes
back when it is over, and a request that is given back (`returned`) carries only its progress record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.measured import Measured
from emulation.domain.ports import FastPath
from emulation.domain.records import RunHeader
from emulation.domain.request import Outcome, Request
from emulation.domain.scenario import LengthKnowledge, Scenario
from emulation.domain.truth import WorldTruth
from emulation.faults import Step
from serve_apps.wire.ask import Ask, Fault
from serve_apps.wire.switching import Schemes, news_id

ANY_RUN = ""
"""What followers of runs give as the run's id."""
Finish = Literal["stop", "length"]
"""Why an answer ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One finished choice of an answer by a real model."""

    text: str = ""
    image: bytes = b""
    tokens: int = 0
    """Generated, by the model's own tokenizer."""
    prompt_tokens: int = 0
    said: tuple[tuple[str, int], ...] = ()
    """How it was streamed: (text, tokens). Said again by another attempt, so that a client's stream goes on."""
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Where the time of real work went, wall seconds."""

    prefill_s: float = 0.0
    """Computing until the first token (text, captions), or all of it (images)."""
    decode_s: float = 0.0
    """Computing every further token."""
    service_s: float = 0.0
    """Computing, slowdown and pauses together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Prompts of a request that one attempt finished: a line of the progress record. Times in virtual seconds."""

    request_id: str
    attempt: int
    executor: str = ""
    after: int = 0
    """Prompts finished before these."""
    done: int = 0
    """Prompts finished with these, over all attempts: those with index `after` to `done` - 1 are new."""
    t_s: float = 0.0
    """When the last of them was finished."""
    service_s: float = 0.0
    """Time in service up to then, over all attempts."""
    started_s: float | None = None
    """When the request was in service for the first time."""
    stutter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One attempt at a request, as the gateway hands it to a replica. Times in virtual seconds."""

    request: Request
    ask: Ask
    """Without what only a real model reads, where none is to read it."""
    executor: str
    attempt: int = 1
    sent_s: float
    """When it reached the gateway."""
    dispatched_s: float
    earlier: Measured = Measured()
    """What the attempts before this one finished: it stays finished."""
    kept: tuple[Piece, ...] = ()
    """Choices that earlier attempts finished."""
    gateway: int = 0
    """Number of the gateway process that sends it."""

    def slim(self) -> Work:
        """Without what only a model reads."""
        return replace(self, ask=self.ask.slim(), kept=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What happened to one attempt, after the fact."""

    outcome: Outcome | Literal["returned", "detached"]
    """returned: its node gave it back; it must be dispatched again. detached (lifecycle cold): its executor stops
    with the request still queued; it must be attached to again."""
    ended_s: float
    """When the answer reached its origin, by the state machine; virtual seconds."""
    reason: str = ""
    measured: Measured = Measured()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished attempt with its content."""

    served: Served
    texts: tuple[str, ...] = ()
    """One per prompt (choice)."""
    images: tuple[bytes, ...] = ()
    """PNG files, one per prompt."""
    completion_tokens: int = 0
    prompt_tokens: int | None = None
    """By the tokenizer of a real model; None: what the gateway counted."""
    finish: tuple[Finish, ...] = ()
    """Why each choice ended; empty: it is known from its length."""
    fault: Fault | None = None
    kept: tuple[Piece, ...] = ()
    """Of an attempt that must go on elsewhere: the choices it finished."""
    timing: Timing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """New text of one choice of a streamed answer."""

    choice: int
    text: str
    tokens: int


Items = Sequence[Delta | Answer]
"""What of a streamed answer came together, at least one; the `Answer` is the very last of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a node tells the replica that computes an attempt: whether it is its turn, and how slow to be."""

    mode: Mode
    factors: tuple[float, ...] | None
    """Times slower, per coefficient of the service law; None: not in service now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """An attempt at a request reached its node."""

    request: Request
    executor: str
    gateway: int
    """Number of the gateway process that sent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An attempt at a request is over at its node, in whatever way."""

    request_id: str
    gateway: int
    served: Served


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """News of a node: all hints now exposed there. How strong what they stand for is, nobody is told."""

    t_s: float
    node: str
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessChange:
    """What became of starting or stopping a replica (lifecycle cold)."""

    ok: bool = False
    status: str
    """Serve's own, of the application: RUNNING, DEPLOYING, DEPLOY_FAILED, UNHEALTHY, DELETING; NOT_STARTED: it has
    none of this name."""
    reason: str = ""
    wall_s: float = 0.0
    """From when it was the application's turn until it was done."""
    given_up: bool = False
    """A start that was withdrawn before it was up: it neither succeeded nor failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What became of a node configuration."""

    landed_s: float | None
    """None: it did not, as far as anybody knows."""
    violations: tuple[str, ...]
    """Why it did not land whole; empty if it did."""
    changes: int
    """Modes that are others now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRun:
    """Begin of a run for one node runtime: the only message that carries truth."""

    run_id: str
    scenario: Scenario
    seed: int
    truth: WorldTruth
    speedup: float
    cold: bool = False
    backend: str = "emulated"
    """Of models the testbed names none for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCheckpoint:
    """What a node runtime leaves with the recorder for the process that takes its place."""

    run_id: str
    config: NodeConfig | None = None
    """What the node was last configured to."""
    steps: tuple[Step, ...] = ()
    """Steps of the event plan applied so far, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRun:
    """Begin of a run for the gateway. No events, no seed: nothing the truth could be drawn from."""

    run_id: str
    scheme: str
    testbed: TestbedConfig
    speedup: float
    slot_s: float
    """When a slot begins, the recorder is told all that was seen before."""
    deadline_s: float | None
    length_knowledge: LengthKnowledge
    fast_path: bytes
    """Pickled: arrays that come straight out of a Ray message are read-only, and this one learns."""
    cold: bool = False
    backend: str = "emulated"
    planned: bool = False
    """Whether this run has a planner whose policies are to be followed."""
    scheduled: bool = False
    news_s: float = 0.1
    """Several gateways: wall seconds between two questions to a node what others have there."""
    switch: int = 0
    """Number of the switch that brought this scheme in; 0: the run began with it."""

    @property
    def news_id(self) -> str:
        """Under which name planner and scheduler of this scheme publish."""
        return news_id(self.run_id, self.switch)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """All of a run, as the composition root hands it to `LiveCluster.begin_run`."""

    run_id: str
    scenario: Scenario
    seed: int
    header: RunHeader
    truth: WorldTruth
    fast_path: FastPath
    folder: str
    """Where the record is written."""
    planner: Any = None
    """Control loops of `controller/loop.py`; None where the scheme has none."""
    scheduler: Any = None
    deployers: Mapping[str, Any] = field(default_factory=dict)
    endless: bool = False
    """Whether controllers go on after the scenario's end (a testbed that stays)."""
    keep_bytes: int | None = None
    """How much of the record is kept, in segments; None: all of it, in one."""
    schemes: Schemes | None = None
    """What it may be switched to; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What the recorder says about the present run."""

    run_id: str | None
    t0_wall: float | None
    ending: bool = False
    """No further request is taken; those in flight go on to their end."""
    sealing: bool = False
    """Nobody is answered any more: what is still in flight is refused, and gateways say their last word."""
    closed: bool = False
    switch: int = 0
    """Number of the last switch of its scheme: whose part has a lower one is to ask for it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a live run is, for whoever shows it."""

    t_s: float
    arrived: int
    ended: int
    in_system: int
    counted_open: int
