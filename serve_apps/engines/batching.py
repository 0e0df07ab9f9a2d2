"""Several attempts computed in the same steps: the one thread that runs an engine with continuous batching.

Whoever wants an answer asks from a thread of its own and waits for tokens; the loop's thread alone touches the
engine. A slowdown belongs to the device, so it stretches the step and with it everything in the batch: after each
step the loop waits (factor - 1) times as long as the step took. All attempts of a replica follow the same node and
model, so they have the same factor; should one not have heard yet, the slowest counts. An attempt's service time is
that of all steps during which it was in the engine, stretched.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Literal, Protocol

from serve_apps.engines.pacer import Pacer, Stopped
from serve_apps.wire.messages import Pace


@dataclass(frozen=True, slots=True)
class StepGain:
    """What one step gave one attempt."""

    ids: tuple[int, ...]
    """New tokens."""
    finish: Literal["stop", "length"] | None = None
    """None: more will come."""
    ended_by: int | str | None = None
    """With finish `stop`: the stop sequence, or the token that ended it; None: the model's own end token."""


class SteppedEngine(Protocol):
    """The part of vLLM's `LLMEngine` that the loop uses."""

    def add_request(self, request_id: str, prompt: Any, params: Any) -> Any: ...

    def abort_request(self, request_ids: list[str]) -> None: ...

    def step(self) -> Sequence[Any]: ...


@dataclass(slots=True, eq=False)
class _Ask:
    """One answer that is wanted."""

    id: str
    prompt: Any
    params: Any
    pacer: BatchPacer
    heard: SimpleQueue[StepGain | Exception | None] = field(default_factory=SimpleQueue)
    """None: look whether the answer is still wanted."""
    begun: bool = False
    """Whether it has a token."""


class BatchPacer(Pacer):
    """Whether one attempt in a batch is wanted, and where its time went. The loop keeps to the pace."""

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        """`told`: called after every news of the node."""
        super().__init__()
        self._told = told
        self.wake: Callable[[], None] = lambda: None

    def set(self, pace: Pace) -> None:
        """The node's word."""
        super().set(pace)
        self._told()
        self.wake()

    def stop(self) -> None:
        """The work has ended."""
        super().stop()
        self.wake()

    def check(self) -> None:
        """Raises `Stopped` if its attempt is not wanted, or not now."""
        with self._changed:
            self._check()

    @property
    def factors(self) -> tuple[float, ...] | None:
        """Times slower, per coefficient of the service law; None: not in service now."""
        return self._factors

    def count(self, coefficient: int, computed_s: float, service_s: float) -> None:
        """One step more."""
        self._computed_s[coefficient] += computed_s
        self._service_s += service_s


class Loop:
    """The thread that makes an engine and runs it, for as long as the process lives or until `close`."""

    def __init__(
        self,
        make: Callable[[], SteppedEngine],
        finish_queued: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Returns when the engine is made; raises what `make` raises. `finish_queued`: see `Pacer`."""
        self._make = make
        self._pacer = Pacer(clock, finish_queued)
        self._changed = threading.Condition()
        self._new: list[_Ask] = []
        self._gone: list[_Ask] = []
        self._live: dict[str, _Ask] = {}
        self._closed = False
        self._numbers = itertools.count()
        self._made: SimpleQueue[SteppedEngine | BaseException] = SimpleQueue()
        threading.Thread(target=self._main, name="steps", daemon=True).start()
        made = self._made.get()
        if isinstance(made, BaseException):
            raise made
        self.engine = made

    def pacer(self) -> BatchPacer:
        """A pacer for one attempt."""
        return BatchPacer(self._repace)

    @contextmanager
    def answer(self, prompt: Any, params: Any, pacer: BatchPacer) -> Iterator[Iterator[StepGain]]:
        """An answer, step by step; left early, the engine drops it before its next step.

        The steps raise `Stopped` as soon as the pacer says so, and whatever the engine raised over this answer or over
        its whole batch.
        """
        ask = _Ask(str(next(self._numbers)), prompt, params, pacer)
        pacer.wake = lambda: ask.heard.put(None)
        try:
            pacer.check()
            with self._changed:
                self._new.append(ask)
                self._changed.notify()
            self._repace()
            yield self._steps(ask)
        finally:
            pacer.wake = lambda: None
            with self._changed:
                self._gone.append(ask)
                self._changed.notify()
            self._repace()

    def close(self) -> None:
        """End the thread after its present step; whoever still waits hears that nothing comes."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._pacer.stop()

    # -- in the asking thread -------------------------------------------------------------------------------

    def _steps(self, ask: _Ask) -> Iterator[StepGain]:
        while True:
            heard = ask.heard.get()
            ask.pacer.check()
            if isinstance(heard, Exception):
                raise heard
            if heard is not None:
                yield heard
                if heard.finish is not None:
                    return

    def _repace(self) -> None:
        """Take the pace of whoever is in the engine; without anybody the last one stays."""
        with self._changed:
            wanted = [a for a in (*self._live.values(), *self._new) if a not in self._gone]
            known = [a.pacer.factors for a in wanted if a.pacer.factors is not None]
            if known:
                self._pacer.set(Pace(mode="off", factors=max(known)))

    # -- in the loop's own thread ---------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            engine = self._make()
        except BaseException as error:  # whoever waits for the engine raises it
            self._made.put(error)
            return
        self._made.put(engine)
        try:
            while self._wait():
                self._change(engine)
                if self._live:
                    self._step(engine)
        except Stopped:
            pass
        self._fail(RuntimeError("the engine was closed"))

    def _wait(self) -> bool:
        """Wait until there is something to do; whether there is."""
        with self._changed:
            if self._live:
                return not self._closed
            while not (self._new or self._gone or self._closed):
                self._changed.wait()
            self._pacer.begin()
            return not self._closed

    def _change(self, engine: SteppedEngine) -> None:
        """Hand the engine who is new, and take away who is gone."""
        with self._changed:
            gone = {a.id for a in self._gone}
            new = [a for a in self._new if a.id not in gone]
            left = [self._live.pop(a.id).id for a in self._gone if a.id in self._live]
            self._new.clear()
            self._gone.clear()
        if left:
            engine.abort_request(left)
        for ask in new:
            try:
                engine.add_request(ask.id, ask.prompt, ask.params)
            except Exception as error:  # what one answer asks must not break the others
                ask.heard.put(error)
            else:
                with self._changed:
                    self._live[ask.id] = ask
        self._repace()

    def _step(self, engine: SteppedEngine) -> None:
        """One step of the engine, stretched; then everybody hears what it gave."""
        present = list(self._live.values())
        before = self._pacer.timing()
        try:
            outputs = engine.step()
        except Exception as error:  # the whole batch is lost, the next one may do better
            self._fail(error)
            engine.abort_request([a.id for a in present])
            return
        self._pacer.lap(int(any(a.begun for a in present)))
        if any(output.finished for output in outputs):
            self._pacer.settle()
        after = self._pacer.timing()
        computed_s = after.prefill_s + after.decode_s - before.prefill_s - before.decode_s
        for ask in present:
            ask.pacer.count(int(ask.begun), computed_s, after.service_s - before.service_s)
        for output in outputs:
            self._tell(output)

    def _tell(self, output: Any) -> None:
        """Pass on what one answer got."""
        ask = self._live.get(output.request_id)
        if ask is None:
            return
        said = output.outputs[0]
        if output.finished:
            with self._changed:
                del self._live[ask.id]
        ask.begun = ask.begun or bool(said.token_ids)
        if said.finish_reason not in (None, "stop", "length"):
            ask.heard.put(RuntimeError(f"the engine ended an answer: {said.finish_reason}"))
        else:
            ask.heard.put(StepGain(tuple(said.token_ids), said.finish_reason, said.stop_reason))

    def _fail(self, error: Exception) -> None:
        with self._changed:
            lost = [*self._live.values(), *(self._new if self._closed else ())]
            self._live.clear()
        for ask in lost:
            ask.heard.put(error)
