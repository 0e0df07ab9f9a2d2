"""Conversations of several turns: each prompt holds everything that was said before it. Open loop."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from emulation.domain.request_kind import Drawn
from emulation.domain.sources import SessionSource
from workloads.lengths import choose, pick
from workloads.sources import Drafts, Draws, poisson_times


def sessions(source: SessionSource, draws: Draws) -> Drafts:
    """Requests of all sessions that begin in the run, in order of arrival.

    What one session draws does not depend on the others before it being over: each has model, origin, turns, lengths
    and think times drawn when it begins. Turns that are not sent are counted: `after_end`, or `over_context` from the
    first on whose prompt and answer together exceed `context_tokens`.
    """
    waiting: list[tuple[float, int, int, Drawn]] = []
    begins = poisson_times(source.sessions_per_s, draws.scenario.end_s, draws.stream("arrivals"))
    draw = _Sessions(source, draws)
    draws.read = 0
    for number, begin_s in enumerate(begins):
        while waiting and waiting[0][0] < begin_s:
            yield heappop(waiting)[3]
        for turn, draft in enumerate(draw.turns(begin_s)):
            heappush(waiting, (draft.arrival_s, number, turn, draft))
    while waiting:
        yield heappop(waiting)[3]


class _Sessions:
    """Draws one session after the other; every quantity from a stream of its own."""

    def __init__(self, source: SessionSource, draws: Draws) -> None:
        self._source, self._draws = source, draws
        self._model, self._turns, self._think, self._lengths, self._origin, self._tenant = (
            draws.stream(q) for q in ("model", "turns", "think", "lengths", "origin", "session tenant")
        )

    def turns(self, begin_s: float) -> Iterator[Drawn]:
        """The turns of a session that begins then, as far as they are sent."""
        source, draws = self._source, self._draws
        model, origin = pick(source.mix, float(self._model.random())), choose(draws.origins, self._origin)
        tenant = None if source.tenants is None else pick(source.tenants, float(self._tenant.random()))
        context = self._draws.scenario.testbed.model(model).context_tokens
        context = source.context_tokens if context is None else min(context, source.context_tokens)
        turns = choose(source.turns, self._turns)
        asked = [choose(source.lengths.prompt_tokens, self._lengths) for _ in range(turns)]
        limit = source.lengths.max_tokens or max(source.lengths.output_tokens)
        said = [min(choose(source.lengths.output_tokens, self._lengths), limit) for _ in range(turns)]
        pauses = [self._pause_s() for _ in range(turns - 1)]
        assert draws.read is not None
        draws.read += turns
        t_s, before = begin_s, source.system_tokens
        for turn in range(turns):
            t_s += pauses[turn - 1] if turn else 0.0
            prompt = before + asked[turn]
            if prompt + said[turn] > context:
                draws.dropped["over_context"] += turns - turn
                return
            if t_s >= draws.scenario.end_s:
                draws.dropped["after_end"] += turns - turn
                return
            stated = min(limit, context - prompt)
            yield Drawn(t_s, model, origin, 1, prompt, said[turn], stated, tenant)
            before = prompt + said[turn]

    def _pause_s(self) -> float:
        if self._source.think == "fixed":
            return self._source.think_s
        return float(self._think.exponential(self._source.think_s))
