"""The seams: what the worlds call, and what a controller may call. Concrete classes meet in `edgebed/wiring`.

Five controller ports on four time scales, the shared performance model, the fast path both worlds drive,
and the sink records go to. A controller sees snapshots and returns decisions; it performs nothing and
reads no clock (time is a field of what it sees).
"""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Protocol

from emulation.domain.actions import (
    Choice,
    CommandT,
    Exchange,
    MacroPolicy,
    NodeConfig,
    RouteGuide,
    RoutingDecision,
)
from emulation.domain.cluster import Mode
from emulation.domain.feedback import Completion as Completion
from emulation.domain.feedback import PerfKey as PerfKey
from emulation.domain.feedback import Prediction as Prediction
from emulation.domain.feedback import ServedWork as ServedWork
from emulation.domain.feedback import Spread as Spread
from emulation.domain.records import DecisionRecord, Record
from emulation.domain.request import Request
from emulation.domain.snapshot import ClusterSnapshot, ExecutorState, NodeView
from emulation.domain.value import value


class RecordSink(Protocol):
    """Where records go. `side` holds what is not canonical (wall clock, pid, node)."""

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None: ...


class PerformanceModel(ABC):
    """Online model of service times: s = theta . x per key. Causal: learns from completed requests only."""

    learns = True
    """Whether its laws change with what it observes; one that never learns is not told."""
    knows_regimes = False
    """Whether `regime` makes it keep the ordinary law of an executor apart from that of an abnormal time."""

    @abstractmethod
    def predict(self, key: PerfKey, x: Sequence[float]) -> Prediction:
        """Service time of features x on this key, from the prior where nothing was observed."""

    @abstractmethod
    def observe(self, key: PerfKey, x: Sequence[float], service_s: float, t_s: float) -> None:
        """One completed request; late, missing and duplicate feedback is tolerated."""

    @abstractmethod
    def theta(self, key: PerfKey) -> tuple[tuple[float, ...], float]:
        """Coefficients (seconds per feature) and relative uncertainty in [0, 1] of this key."""

    def spread(self, key: PerfKey) -> Spread:
        """How sure the law of this key is.

        A model that does not say more has the rank-1 covariance u^2 theta theta': E3's dimensionless uncertainty read
        as one unknown common factor of all coefficients. What `predict` adds to it is noise.
        """
        theta, uncertainty = self.theta(key)
        a, b = (theta[0], theta[1]) if len(theta) == 2 else (theta[0], 0.0)
        square = uncertainty * uncertainty
        expected = self.predict(key, (1.0,) * len(theta))
        relative = expected.sd_s / expected.mean_s if expected.mean_s > 0 else 0.0
        noise = max(relative * relative - square, 0.0) ** 0.5
        return Spread((square * a * a, square * a * b, square * b * b), noise)

    @property
    def ordinary(self) -> PerformanceModel:
        """The model that learns; itself, unless it is one round another."""
        return self

    def over(self, ordinary: PerformanceModel) -> PerformanceModel:
        """This model with that one in the place of the one that learns."""
        return ordinary

    def unlearned(self) -> Callable[[], PerformanceModel]:
        """What makes models such as this one is now. Asked before it learns anything; picklable."""
        return partial(pickle.loads, pickle.dumps(self))

    def regime(self, executor: str, abnormal: bool) -> None:  # noqa: B027 (most models know no regimes)
        """A hint says that an executor enters or leaves an abnormal time."""


class OracleView(Protocol):
    """The present truth, which a yardstick is handed on purpose and no other decider reaches."""

    def service_s(self, executor: str, request_id: str) -> float:
        """True service time of the request being routed, seconds; infinity where it would not be served."""

    def backlog_s(self, executor: str) -> float:
        """True time until the executor is free of its present work, seconds; infinity while it serves nothing."""

    def stutters(self, executor: str, model: str) -> bool:
        """Whether a request dispatched there now would stutter (E3 eq. 3)."""


@value
class Believed:
    """What a fast path believes of one executor now, for whoever watches it."""

    executor: str
    node: str
    wait_s: float
    """Virtual seconds until a request that joined now would start."""
    risky: bool
    """Whether it is under hard avoidance for its risk."""
    masked: bool
    """Whether the scheduler's guide masks it."""


class FastPath(Protocol):
    """Per-request decisions and their bookkeeping; the same object runs in the engine and in the gateway."""

    @property
    def meta(self) -> MetaController | None:
        """The meta-controller round it, if there is one: a world has to carry its records and questions."""

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """Choose an executor, hold or refuse. Does not change any state."""

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """The request was sent to `decision.executor`."""

    def completed(self, completion: Completion) -> None:
        """The request ended there, in whatever way."""

    def executor_changed(
        self, executor: str, state: ExecutorState, mode: Mode, ready_at_s: float, now_s: float
    ) -> None:
        """Telemetry: lifecycle of one executor, heard at `now_s`."""

    def guide(self, guide: RouteGuide) -> None:
        """The prompt scheduler's guide for the slot."""

    def policy(self, policy: MacroPolicy) -> None:
        """The planner's policy for the epoch."""

    def take_over(self, before: Any) -> None:
        """Go on in the place of `before`, the fast path of the scheme that goes out, which nobody uses any more.

        What is in flight and what is known of the world goes over; what was decided does not.
        """

    def believed(self, now_s: float) -> Sequence[Believed]:
        """What it believes of every executor, for whoever watches it."""

    def limits_s(self) -> Mapping[str, float]:
        """Model to the admission limit in force, predicted virtual seconds; a model without one is absent."""


class Thought(Protocol):
    """What came of a question to a reasoner."""

    @property
    def thinking_s(self) -> float:
        """Virtual seconds it took; it lands that much later."""


class MetaController(Protocol):
    """Handles exceptions beside the fast path it acts on, and so senses dispatches and ends by itself.

    A world tells it of hints and outages, writes its records, and carries its questions to the reasoner and the answers
    back.
    """

    def attach(self, notify: Callable[[], None], recorded: bool = True) -> None:
        """Call `notify` whenever there are records or a question to take; `recorded`: whether anybody takes records."""

    def hinted(self, device: str, hints: tuple[str, ...], now_s: float) -> None:
        """Every hint now exposed of a device; the magnitude of what it stands for is never told."""

    def outage(self, failure: str | None, now_s: float) -> None:
        """The reasoner fails in this way (an event of the plan); None: it works again."""

    def take_records(self) -> Sequence[DecisionRecord]:
        """Audit records since the last call."""

    def take_question(self) -> Any:
        """What to ask the reasoner now; None if there is nothing, or an answer is still out."""

    def think(self, question: Any) -> Thought:
        """Ask the reasoner. May block; changes nothing, so any thread may call it."""

    def answered(self, question: Any, thought: Any, now_s: float) -> None:
        """The thinking is over: its tools run now."""

    def voided(self, question: Any, thought: Any, why: str, now_s: float) -> None:
        """Nothing comes of a question that was taken: it stands in the records with why, and no tool runs.

        `thought`: what was thought of it in vain; None where nobody knows.
        """


class Decider(Generic[CommandT]):
    """What a control loop tells every decider besides asking it to decide. By default a decider needs none of it."""

    asks_reasoner = False
    """Whether it asks a reasoner, which an outage can break."""
    repeats = False
    """Whether it chooses alike, for the same reason, whenever it sees the same but for the time: it remembers and draws
    nothing. Then nobody need ask again while nothing has changed."""

    blind = False
    """Whether it chooses alike whatever it sees, too: then nobody need look for it again, once all it wants is in
    force."""

    def begin(self, cause: str) -> None:
        """It is asked to decide next, for this cause."""

    def adopted(self, command: CommandT) -> None:
        """This command is in force: instead of the one it chose, or, told to rules that stand in, whoever chose it."""

    def outage(self, failure: str | None) -> None:
        """Its reasoner fails in this way from now on; None: it works again."""

    def unanswered(self, waited_s: float) -> tuple[Exchange, ...]:
        """What its reasoner was asked for the decision that is being made, where it has yet to answer: nobody waits for
        it any more, after `waited_s` virtual seconds. May be called while another thread has it decide."""
        return ()


class PromptScheduler(Decider[RouteGuide], ABC):
    """Once per slot: a route guide from the end of the previous slot's snapshot and the macro policy."""

    @abstractmethod
    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """The guide for the slot that begins; `policy` is the one in force, if there is one."""


class DeploymentAgent(Decider[NodeConfig], ABC):
    """Once per slot and node: an activation pattern from the node's own state and role only."""

    @abstractmethod
    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The node's pattern for the slot that begins."""


class GlobalPlanner(Decider[MacroPolicy], ABC):
    """Once per epoch: a macro policy from per-type outcomes (`snapshot.stats`) and what it knows of the testbed."""

    @abstractmethod
    def decide(self, snapshot: ClusterSnapshot) -> Choice[MacroPolicy]:
        """The policy for the epoch that begins."""
