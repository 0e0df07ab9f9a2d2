"""One scheme, one seed, in virtual time; and many of them side by side on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from controller.agents.account import Accounts
from controller.agents.llm import ReasonerError
from controller.schemes import Scheme
from edgebed.runs.failure import Failure
from edgebed.runs.layout import clear_run
from edgebed.runs.manifest import RunNote
from edgebed.runs.pool import Ended, each_ended, stopping, tell
from edgebed.runs.provenance import origin
from edgebed.wiring.controllers import (
    Controllers,
    OracleTruth,
    build_controllers,
    in_virtual_gateways,
    run_header,
)
from edgebed.wiring.identity import plain_scenario
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.reasoners import asks_model
from edgebed.wiring.switching import VirtualSchemes
from emulation.domain.ports import RecordSink
from emulation.domain.records import RunFooter
from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth, WorldTruth
from emulation.engine.collector import rarely_collected
from emulation.engine.run import Crossing, Simulation, SimulationProgress
from emulation.recording import JsonlSink, MemorySink, Run
from workloads.generate import Arrivals as DrawnArrivals
from workloads.mismatch import world_truth

Arrivals = Iterable[tuple[Request, RequestTruth]]


@rarely_collected()
def simulate(
    scenario: Scenario,
    scheme: str | Scheme,
    seed: int,
    sink: RecordSink | None = None,
    arrivals: Arrivals | None = None,
    delay_s: Callable[[str, float], float] | None = None,
    on_slot: Callable[[SimulationProgress], None] | None = None,
    sent_s: Mapping[str, float] | None = None,
    truth: WorldTruth | None = None,
    gateway_of: Mapping[str, int] | None = None,
    crossings: Iterable[Crossing] = (),
    watched: Callable[[Controllers], Controllers] | None = None,
) -> RunFooter:
    """Run one scheme (a name of the table, or a row of its own) on one seed to the end; returns the conserved books.

    For jittered runs, `arrivals` replaces the scenario's own, in the order of `sent_s` (request id to when it is
    really sent), and `delay_s` adds to the time each actor's decisions take. `truth` replaces the hidden constants
    drawn from the seed. `gateway_of`: request id to the gateway it comes to, where there are several. `crossings`: the
    network of the live run that is computed again. `watched`: puts somebody before the controllers who looks at them.
    Raises `ConfigError` for an unknown scheme or parameter, `ConservationError` if requests got lost.
    """
    row = scheme if isinstance(scheme, Scheme) else find_scheme(scheme)
    oracle, accounts = OracleTruth(), Accounts()
    controllers = in_virtual_gateways(
        build_controllers(row, scenario, seed, oracle, accounts=accounts), scenario, seed, oracle, accounts,
        gateway_of,
    )  # fmt: skip
    if watched is not None:
        controllers = watched(controllers)
    plane = controllers.plane(delay_s)
    plane.schemes = VirtualSchemes(row.name, scenario, seed, oracle, accounts, gateway_of)
    simulation = Simulation(
        scenario,
        run_header(scenario, row, seed, "virtual", identify=sink is not None),
        DrawnArrivals(scenario, seed) if arrivals is None else arrivals,
        world_truth(scenario, seed) if truth is None else truth,
        controllers.fast_path,
        plane,
        sink,
        on_slot,
        sent_s,
        crossings,
    )
    oracle.bind(simulation)
    return simulation.run()


def simulate_in_memory(scenario: Scenario, scheme: str | Scheme, seed: int) -> Run:
    """Run one scheme on one seed and keep its records."""
    sink = MemorySink()
    simulate(scenario, scheme, seed, sink)
    return sink.run()


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a comparison, and the folder its record goes to."""

    scheme: str
    seed: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.scheme}, seed {self.seed}"


def _run_task(scenario: Scenario, note: RunNote, task: Task) -> Failure | None:
    """One run, with its record; why that ends where a reasoner would never answer again, or None."""
    clear_run(task.folder)
    note.write(task.folder)
    sink = JsonlSink(task.folder)
    drawn = DrawnArrivals(scenario, task.seed)
    try:
        footer = simulate(scenario, task.scheme, task.seed, sink, drawn, on_slot=end_if_asked)
        sink.close()
        note.model_copy(update={"workload": drawn.accounting()}).write(task.folder)
    except ReasonerError as error:
        sink.close()
        note.model_copy(update={"cut": str(error)}).write(task.folder)
        return Failure(str(error), refused=True)
    except BaseException:
        sink.discard()
        raise
    if footer.interrupted and not stopping():  # by a Ctrl-C that no pool has heard
        raise KeyboardInterrupt
    return None


def end_if_asked(progress: SimulationProgress) -> None:
    """In a worker of a pool: say how far it is; where the pool is being stopped, end as Ctrl-C would, books closed."""
    tell(progress.t_s / progress.end_s)
    if stopping():
        raise KeyboardInterrupt


def run_tasks(
    scenario: Scenario,
    tasks: Sequence[Task],
    workers: int | None = None,
    on_look: Callable[[float], None] = lambda done: None,
) -> Iterator[tuple[Task, Failure | None]]:
    """Run every task, yielding each as it ends, with why it failed.

    They run `workers` at a time, by default one per core; those that ask a language model run after the others and by
    default one at a time, since what else a server is asked meanwhile would count as thinking. Of a run that failed no
    record stays, but the note beside it says why. Where a reasoner will never answer again, the record is kept as cut,
    and of those that ask a language model no further one is begun. Ctrl-C cuts the runs in progress short, their
    books closed; they are yielded before it is raised. `on_look` hears now and then how many runs are done, parts of
    runs too.
    """
    note = note_of(scenario)
    work = partial(_run_task, scenario, note)
    asking = [task for task in tasks if asks_model(scenario, task.scheme)]
    others = [task for task in tasks if task not in asking]
    ended: Ended[Task, Failure | None]
    for ended in each_ended(work, others, workers, on_look):
        yield ended.item, _failure_of(ended, note)
    for ended in each_ended(work, asking, workers or 1, lambda done: on_look(len(others) + done)):
        failure = _failure_of(ended, note)
        yield ended.item, failure
        if failure is not None and failure.refused:
            return


def _failure_of(ended: Ended[Task, Failure | None], note: RunNote) -> Failure | None:
    """Why a run failed or was refused; of one that failed nothing else is left."""
    if ended.failure is not None:
        note_failure(ended.item.folder, note, ended.failure)
    return ended.failure or ended.result


def note_of(scenario: Scenario) -> RunNote:
    """What stands beside every record that this command writes."""
    return RunNote(origin=origin(), experiment=plain_scenario(scenario))


def note_failure(folder: Path, note: RunNote, failure: Failure, keep_record: bool = False) -> None:
    """Leave why a run failed, in the place of its record or beside it; where there is no room for that, nothing."""
    if not keep_record:
        clear_run(folder)
    with suppress(OSError):
        note.model_copy(update={"failed": failure.said, "trace": failure.trace}).write(folder)
