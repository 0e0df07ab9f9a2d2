"""Does the law say what the real models did? A live run's own arrivals through the virtual world, compared by request.

Service times come from the profile, faults, dispatches and lengths from the record. What differs is the law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, isfinite
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edgebed.runs.parity import as_landed
from edgebed.runs.replay import replay
from edgebed.runs.virtual import simulate
from emulation.domain.profile import ProfileFile
from emulation.domain.records import RequestRecord
from emulation.domain.request import Request
from emulation.domain.request_id import scenario_id_of
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.files import ConfigError, did_you_mean
from emulation.recording import MemorySink, Run
from serve_apps.replica.choice import real_models
from workloads.generate import Workload, generate
from workloads.lengths import payload_bytes
from workloads.mismatch import world_truth

Decisions = Literal["recorded", "own"]
"""recorded: every request goes where it went, which shows the law alone; own: the scheme's controllers decide again."""
DECISIONS: tuple[Decisions, ...] = get_args(Decisions)
WITHIN = 0.10
"""Largest relative difference of a per-type mean latency that passes."""

Array = NDArray[np.float64]
Items = dict[str, tuple[Request, RequestTruth]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One request that was done in both worlds. Seconds."""

    request_id: str
    live_s: float
    virtual_s: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one type over its pairs. Seconds; relative differences are (virtual - live) / live."""

    n: int
    live_mean_s: float
    virtual_mean_s: float
    mean_error: float | None
    live_p95_s: float
    virtual_p95_s: float
    p95_error: float | None
    live_p99_s: float
    virtual_p99_s: float
    p99_error: float | None
    bias_s: float
    """Mean of virtual - live."""
    mean_absolute_error_s: float
    pearson: float | None
    """None where it is not defined: too few pairs, or all alike."""
    spearman: float | None


@dataclass(frozen=True, slots=True)
class TypeCheck:
    """One model that really ran."""

    model: str
    done_live: int
    """Counted requests that a real replica served."""
    done_virtual: int
    """Those of them that were done in virtual time too."""
    latency: Compared | None
    """From the intended send time; None without pairs."""
    service: Compared | None
    """Time in service, slowdowns included."""
    pairs: tuple[Pair, ...]
    """Of latency, in order of arrival."""
    service_pairs: tuple[Pair, ...]
    ok: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A live run on real models against the virtual world with their laws."""

    run: Run
    virtual: Run
    decisions: Decisions
    within: float
    laws: Mapping[str, str]
    """`model, mode` (and node) to the source of the law in force."""
    types: tuple[TypeCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether the mean latency of every type is close enough."""
        return all(t.ok for t in self.types)


def check(
    run: Run,
    scenario: Scenario,
    decisions: Decisions = "recorded",
    within: float = WITHIN,
    profiles: Sequence[ProfileFile] = (),
) -> Check:
    """Run the record's arrivals again in virtual time, and compare. `profiles` replace the testbed's laws.

    Raises `ConfigError` for a run without real models or a profile of a model that did not run, `RecordError` if the
    record does not fit the scenario.
    """
    real = real_places(run, scenario)
    ruled = with_profiles(scenario, run, profiles)
    virtual = _again(run, ruled, decisions)
    types = tuple(_type_check(run, virtual, real, model, within) for model in _models(run, real))
    return Check(run, virtual, decisions, within, _laws(ruled, run, real), types)


def real_places(run: Run, scenario: Scenario) -> frozenset[str]:
    """The executors whose models really ran. Raises `ConfigError` if there are none, or the run was not live."""
    if run.header.world != "live":
        raise ConfigError(
            f"the run of {run.header.scenario!r} under {run.header.scheme!r} is virtual: nothing in it is measured; "
            "give a run of `edgebed compare --live` on real models"
        )
    testbed = scenario.testbed
    real = {(n.id, m) for n in testbed.nodes for m in real_models(testbed, n.id, "emulated")}
    places = frozenset(e.id for e in testbed.executors() if any((e.node, m) in real for m in e.models))
    if not places:
        raise ConfigError(
            f"no model of {run.header.scenario!r} really ran: its testbed {testbed.name!r} names no real backend "
            "under `backends`"
        )
    return places


def with_profiles(scenario: Scenario, run: Run, profiles: Sequence[ProfileFile]) -> Scenario:
    """The scenario with the laws of these profiles in the place of its own. Raises `ConfigError` if one is of nothing
    that ran."""
    testbed = scenario.testbed
    ran = {(r.model, r.mode) for r in run.requests if r.mode is not None}
    known = [m.id for m in testbed.models]
    for profile in profiles:
        entry = profile.entry()
        if entry.model not in known:
            raise ConfigError(f"the profile is of model {entry.model!r}; {did_you_mean(entry.model, known)}")
        if (entry.model, entry.mode) not in ran:
            modes = sorted({str(mode) for model, mode in ran if model == entry.model}) or ["not at all"]
            raise ConfigError(
                f"the profile is of {entry.model!r} on {entry.mode}; here it ran {', '.join(modes)}"
            )
        want = 2 if testbed.model(entry.model).features == "tokens" else 1
        if len(entry.theta) != want:
            raise ConfigError(
                f"the profile of {entry.model!r} has {len(entry.theta)} coefficient(s), the testbed's law {want}"
            )
        replaced = [
            e
            for e in testbed.profile
            if (e.model, e.mode) == (entry.model, entry.mode) and entry.node in (None, e.node)
        ]
        if profile.batch is None and replaced:  # how it batches is not what a law of single requests says
            entry = entry.model_copy(update={"batch": replaced[0].batch})
        kept = tuple(e for e in testbed.profile if e not in replaced)
        testbed = testbed.model_copy(update={"profile": (entry, *kept)})
    return scenario.model_copy(update={"testbed": testbed})


def _laws(scenario: Scenario, run: Run, real: frozenset[str]) -> dict[str, str]:
    ran = {(r.model, r.mode) for r in run.requests if r.executor in real}
    return {
        f"{e.model}, {e.mode}" + (f", {e.node}" if e.node else ""): e.source
        for e in scenario.testbed.profile
        if (e.model, e.mode) in ran
    }


# -- the run again ---------------------------------------------------------------------------------------------


def _again(run: Run, scenario: Scenario, decisions: Decisions) -> Run:
    drawn = generate(scenario, run.header.seed)
    real = real_places(run, scenario)
    items = _items(run, scenario, drawn, real)
    truth = _hidden(scenario, run.header.seed, real)
    if decisions == "recorded":
        return replay(run, scenario, items, truth)
    sent_s = {r.request_id: r.sent_s for r in run.requests if r.request_id in items}
    order = sorted(items, key=lambda i: (sent_s[i], i))
    sink = MemorySink()
    simulate(
        as_landed(scenario, run),
        run.header.scheme,
        run.header.seed,
        sink,
        [items[i] for i in order],
        sent_s=sent_s,
        truth=truth,
    )
    return sink.run()


def _hidden(scenario: Scenario, seed: int, real: frozenset[str]) -> WorldTruth:
    """What is hidden of emulated models only: of real ones, the profile is all the virtual world has."""
    drawn = world_truth(scenario, seed).mismatch
    place = {(e.node, m): e.id for e in scenario.testbed.executors() for m in e.models}
    return WorldTruth({key: ratios for key, ratios in drawn.items() if place.get(key[:2]) not in real})


def _items(run: Run, scenario: Scenario, drawn: Workload, real: frozenset[str]) -> Items:
    """Every request that reached the gateway, by id, with its truth: as recorded where a model really ran."""
    known = {request.id: (request, truth) for request, truth in drawn.items}
    longest: dict[str, int] = {}
    for r in run.requests:
        longest[r.model] = max(longest.get(r.model, 1), r.output_tokens)
    found: Items = {}
    for r in run.requests:
        if not r.origin:  # it never arrived
            continue
        named = scenario_id_of(r.request_id)
        request, truth = known.get(named, (None, None))
        request = _request(r, scenario) if request is None else replace(request, id=r.request_id)
        if truth is None or r.executor is None or r.executor in real:
            limit = drawn.max_tokens.get(named, longest[r.model])
            truth = _recorded(r, scenario, limit)
        found[r.request_id] = (request, truth)
    return found


def _recorded(record: RequestRecord, scenario: Scenario, limit: int) -> RequestTruth:
    """Truth as it came to light; of an answer that was never finished, the length it would have had at most."""
    by_tokens = scenario.testbed.model(record.model).features == "tokens"
    length = record.output_tokens if record.outcome == "done" else limit
    prompts = 1 if by_tokens else record.prompts
    return RequestTruth.measured(length if by_tokens else 0, prompts, record.input_tokens)


def _request(record: RequestRecord, scenario: Scenario) -> Request:
    """A request that is not of the scenario: sent by hand while the run went on."""
    spec = scenario.testbed.model(record.model)
    up_bytes, down_bytes = payload_bytes(spec, record.prompts, record.prompt_tokens, None)
    deadline_s = inf if scenario.deadline_s is None else record.intended_s + scenario.deadline_s
    return Request(
        record.request_id, record.model, record.origin, record.intended_s, deadline_s, record.prompts,
        record.prompt_tokens, None, up_bytes, down_bytes,
    )  # fmt: skip


# -- the comparison --------------------------------------------------------------------------------------------


def _models(run: Run, real: frozenset[str]) -> list[str]:
    served = {r.model for r in run.requests if r.executor in real}
    return [m for m in run.header.models if m in served]


def _type_check(run: Run, virtual: Run, real: frozenset[str], model: str, within: float) -> TypeCheck:
    again = {r.request_id: r for r in virtual.requests if r.outcome == "done"}
    live = sorted(
        (
            r
            for r in run.requests
            if r.model == model and r.counted and r.outcome == "done" and r.executor in real
        ),
        key=lambda r: (r.intended_s, r.request_id),
    )
    both = [(r, again[r.request_id]) for r in live if r.request_id in again]
    latency = tuple(Pair(a.request_id, a.ended_s - a.intended_s, b.ended_s - a.intended_s) for a, b in both)
    service = tuple(
        Pair(a.request_id, a.service_s, b.service_s)
        for a, b in both
        if a.service_s is not None and b.service_s is not None
    )
    found = compared(latency)
    error = None if found is None else found.mean_error
    return TypeCheck(
        model,
        len(live),
        len(both),
        found,
        compared(service),
        latency,
        service,
        ok=error is not None and abs(error) <= within,
    )


def compared(pairs: Sequence[Pair]) -> Compared | None:
    """Both worlds over the same requests; None without any."""
    if not pairs:
        return None
    live, virtual = np.array([(p.live_s, p.virtual_s) for p in pairs]).T
    figures: dict[str, float | None] = {}
    for name, figure in (
        ("mean", np.mean),
        ("p95", partial(np.percentile, q=95)),
        ("p99", partial(np.percentile, q=99)),
    ):
        a, b = float(figure(live)), float(figure(virtual))
        figures |= {
            f"live_{name}_s": a,
            f"virtual_{name}_s": b,
            f"{name}_error": (b - a) / a if a > 0 else None,
        }
    return Compared(
        len(pairs),
        **figures,  # type: ignore[arg-type]  # only the errors may be None
        bias_s=float(np.mean(virtual - live)),
        mean_absolute_error_s=float(np.mean(np.abs(virtual - live))),
        pearson=_correlation(stats.pearsonr, live, virtual),
        spearman=_correlation(stats.spearmanr, live, virtual),
    )


def _correlation(of: Callable[..., Any], a: Array, b: Array) -> float | None:
    if len(a) < 3 or not np.ptp(a) or not np.ptp(b):
        return None
    value = float(of(a, b).statistic)
    return value if isfinite(value) else None
