"""Which laws a name is held to: a scheme to its own and to those of its parts, a class to those of its port, a fault or
a source of requests to those of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from controller.objective import Objective
from controller.schemes import SCHEMES, Scheme
from edgebed.check import (
    apart,
    deployers,
    faults,
    perf_models,
    planners,
    routers,
    schedulers,
    schemes,
    sources,
)
from edgebed.check.law import Law, Verdict, held_to, require
from edgebed.check.sealed import truth_imports
from edgebed.check.worlds import WORLDS
from edgebed.wiring.parts import (
    ALL_PARTS,
    DEPLOYER,
    OWN_FAULT,
    PERF_MODEL,
    PLANNER,
    REQUEST_SOURCE,
    ROUTER,
    SCHEDULER,
    SCHEME_GROUP,
    Part,
    find_scheme,
    outsiders,
)
from emulation.domain.mistakes import ConfigError
from emulation.files import list_testbeds, load_testbed
from emulation.outside import load, offered


def look(name: str) -> list[Verdict]:
    """Hold a scheme, or a class of some kind, to all its laws.

    A scheme: the laws of those of its parts that are not shipped, then its own. Raises `ConfigError` for a name that is
    neither, or cannot be imported.
    """
    found = find(name)
    if isinstance(found, Scheme):
        scheme = find_scheme(name)
        verdicts = [v for part, own in outsiders(scheme) for v in look_at_part(part, own)]
        broken = any(v.broken for v in verdicts)
        verdicts += () if broken else _look_at_scheme(scheme)
        if any(v.broken for v in verdicts):
            return verdicts
        return [*verdicts, *held_to(f"scheme {scheme.name}", apart.SCHEME_LAWS, [name])]
    for part in ALL_PARTS:
        if isinstance(found, type) and issubclass(found, part.base):
            return look_at_part(part, name)
    bases = ", ".join(part.base.__name__ for part in ALL_PARTS)
    raise ConfigError(f"{name!r}: is neither a Scheme nor a class derived from one of {bases}")


def look_at_part(part: Part, name: str) -> list[Verdict]:
    """Hold one class to the laws of its kind. Raises `ConfigError` if there is none of this name."""
    kind = part.find(name)
    subject = f"{part.noun} {name}"
    of_the_world = part in (OWN_FAULT, REQUEST_SOURCE)  # and no decider, from which its truth is sealed
    verdicts = held_to(subject, PLAIN_LAWS if of_the_world else CLASS_LAWS, [kind])
    if any(v.broken for v in verdicts):
        return verdicts
    for laws, subjects in _world_laws(part, kind, name) if of_the_world else _laws_of(part, kind):
        verdicts += held_to(subject, laws, subjects)
        if verdicts[-1].broken:
            break
    if part is REQUEST_SOURCE and not any(v.broken for v in verdicts):
        verdicts += held_to(subject, apart.SOURCE_LAWS, [name])
    return verdicts


def _look_at_scheme(scheme: Scheme) -> list[Verdict]:
    subjects = [schemes.SchemeSubject(scheme=scheme, scenario=s) for s in schemes.small_scenarios()]
    return held_to(f"scheme {scheme.name}", schemes.LAWS, subjects)


def find(name: str) -> Any:
    """The scheme or class of this name. Raises `ConfigError` for an unknown one."""
    if name in SCHEMES:
        return SCHEMES[name]
    for part in ALL_PARTS:
        if name in offered(part.group):
            return part.find(name)
    return load(name, "scheme or class", SCHEME_GROUP, list(SCHEMES))


def _laws_of(part: Part, kind: Any) -> Iterator[tuple[tuple[Law[Any], ...], list[Any]]]:
    """Laws, and what they are looked at on; the parameters are the defaults of its `Config`."""
    beds = [load_testbed(name) for name in list_testbeds()]
    if part is ROUTER:
        worlds = [routers.RouterSubject(make=lambda seed: kind(kind.Config(), seed), world=w) for w in WORLDS]
        yield (*routers.LAWS, *routers.FREE_LAWS), worlds
    elif part is PERF_MODEL:
        yield perf_models.LAWS, [perf_models.ModelSubject(make=lambda bed: kind(bed, kind.Config()))]
    elif part is DEPLOYER:
        places = [(bed, node.id) for bed in beds for node in bed.nodes]
        yield (
            deployers.LAWS,
            [
                deployers.DeployerSubject(
                    make=lambda bed, node_id, seed: kind(
                        testbed=bed, node_id=node_id, config=kind.Config(), seed=seed
                    ),
                    testbed=bed,
                    node_id=node_id,
                )
                for bed, node_id in places
            ],
        )
    elif part is SCHEDULER:
        terms: dict[str, Any] = {"config": kind.Config(), "objective": Objective()}
        yield (
            schedulers.LAWS,
            [
                schedulers.SchedulerSubject(
                    make=lambda bed, seed: kind(testbed=bed, seed=seed, **terms), testbed=bed
                )
                for bed in beds
            ],
        )
    elif part is PLANNER:
        terms = {"config": kind.Config(), "objective": Objective(), "what_if": None}
        yield (
            planners.LAWS,
            [
                planners.PlannerSubject(
                    make=lambda bed, seed: kind(testbed=bed, seed=seed, **terms), testbed=bed
                )
                for bed in beds
            ],
        )


def _world_laws(part: Part, kind: Any, name: str) -> Iterator[tuple[tuple[Law[Any], ...], list[Any]]]:
    """Those of what a scenario names."""
    beds = [load_testbed(name) for name in list_testbeds()]
    if part is OWN_FAULT:
        yield (
            faults.LAWS,
            [faults.FaultSubject(name=name, testbed=bed, node_id=n.id) for bed in beds for n in bed.nodes],
        )
    else:
        yield (
            sources.LAWS,
            [sources.SourceSubject(make=lambda: kind(kind.Config()), testbed=bed) for bed in beds],
        )


# -- laws of every class ------------------------------------------------------------------------------------


def _refuses_unknown_parameters(kind: Any) -> None:
    try:
        kind.Config(no_such_parameter=1)
    except ValidationError:
        return
    require(False, "Config takes no_such_parameter; derive it from emulation.domain.cluster.Strict")


def _has_defaults(kind: Any) -> None:
    try:
        kind.Config()
    except ValidationError as error:
        names = ", ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors() if each["loc"]))
        require(
            False, f"Config cannot be made without {names or 'arguments'}; give what is missing a default"
        )


def _imports_no_truth(kind: Any) -> None:
    found = truth_imports(kind)
    require(not found, "; ".join(found))


PLAIN_LAWS: tuple[Law[Any], ...] = (
    Law("refuses unknown parameters", _refuses_unknown_parameters),
    Law("has a default for every parameter", _has_defaults, first=True),
)
CLASS_LAWS: tuple[Law[Any], ...] = (
    *PLAIN_LAWS,
    Law("imports nothing from which the truth could be had", _imports_no_truth, first=True),
)
