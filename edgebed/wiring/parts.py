"""What is named in schemes and on the command line: what is shipped, and what other packages bring.

A name is looked for among what is shipped, then as `package.module:NAME`, then among the entry points of the part's
group. A name of ours can so never come to mean something else.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controller.deployers import DEPLOYERS
from controller.perf import PERF_MODELS
from controller.planners import PLANNERS
from controller.routers import ROUTERS
from controller.routers.router import Router
from controller.schedulers import SCHEDULERS
from controller.schemes import SCHEMES, Scheme
from emulation import outside_faults
from emulation.domain.mistakes import STRANGE, ConfigError, told_of
from emulation.domain.ports import DeploymentAgent, GlobalPlanner, PerformanceModel, PromptScheduler
from emulation.domain.quantities import SchemeName
from emulation.outside import find_class, is_path, load, offered, what
from workloads import outside as outside_sources


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of what a scheme is put together from."""

    noun: str
    group: str
    """Of the entry points under which other packages offer theirs."""
    shipped: Mapping[str, Any]
    base: type
    """What each of them is a subclass of."""

    def find(self, name: str) -> Any:
        """The class of this name. Raises `ConfigError` for an unknown one, and for one that is something else."""
        return find_class(name, self.noun, self.group, self.base, self.shipped)

    def names(self) -> list[str]:
        """All that is shipped, and what installed packages offer."""
        return [*self.shipped, *(n for n in offered(self.group) if n not in self.shipped)]


ROUTER = Part("router", "edgebed.routers", ROUTERS, Router)
PERF_MODEL = Part("performance model", "edgebed.perf_models", PERF_MODELS, PerformanceModel)
DEPLOYER = Part("deployer", "edgebed.deployers", DEPLOYERS, DeploymentAgent)
SCHEDULER = Part("scheduler", "edgebed.schedulers", SCHEDULERS, PromptScheduler)
PLANNER = Part("planner", "edgebed.planners", PLANNERS, GlobalPlanner)
PARTS = (ROUTER, PERF_MODEL, DEPLOYER, SCHEDULER, PLANNER)

OWN_FAULT = Part(outside_faults.NOUN, outside_faults.GROUP, {}, outside_faults.OwnFault)
REQUEST_SOURCE = Part(outside_sources.NOUN, outside_sources.GROUP, {}, outside_sources.RequestSource)
ALL_PARTS = (*PARTS, OWN_FAULT, REQUEST_SOURCE)
"""What other packages may bring: what a scheme is put together from, and what a scenario names."""

SCHEME_GROUP = "edgebed.schemes"
_SCHEME_NAME: TypeAdapter[str] = TypeAdapter(SchemeName)


def find_scheme(name: str) -> Scheme:
    """The scheme of this name, which is its name in every record too. Raises `ConfigError` for an unknown one, and for
    something that is no scheme."""
    if name in SCHEMES:
        return SCHEMES[name]
    found = load(name, "scheme", SCHEME_GROUP, list(SCHEMES))
    if not isinstance(found, Scheme):
        raise ConfigError(f"scheme {name!r}: is {what(found)}; it must be a controller.schemes.Scheme")
    _check_fields(found, name)
    try:
        _SCHEME_NAME.validate_python(name)
    except ValidationError as error:
        raise ConfigError(f"scheme {name!r}: {error.errors()[0]['msg']}; name it so in records") from error
    return replace(found, name=name)


def _check_fields(scheme: Scheme, name: str) -> None:
    """Raise `ConfigError` for a part that is no name, and for parameters that are no mapping."""
    fields = ("router", "perf", "deployer", "scheduler", "planner")
    for field, value in zip(fields, scheme.part_names(), strict=True):
        given: Any = value
        if not isinstance(given, str) and (given is not None or field in fields[:3]):
            path = (
                f"{given.__module__}:{given.__qualname__}"
                if isinstance(given, type)
                else "package.module:Class"
            )
            raise ConfigError(
                f"scheme {name!r}: {field} is {what(given)}; give a name or a path, as {path!r}"
            )
    for field in ("router_params", "fast_path_params", "planner_params"):
        given = getattr(scheme, field)
        if not isinstance(given, Mapping):
            raise ConfigError(f"scheme {name!r}: {field} is {what(given)}; give a dict of parameters")


def scheme_names() -> list[str]:
    """All schemes that are shipped, and those that installed packages offer."""
    return [*SCHEMES, *(n for n in offered(SCHEME_GROUP) if n not in SCHEMES)]


def found_schemes() -> tuple[list[Scheme], list[str]]:
    """Every scheme there is, and of those that installed packages offer why some are none."""
    found, troubles = [], []
    for name in scheme_names():
        try:
            found.append(find_scheme(name))
        except ConfigError as error:
            troubles.append(f"left out: {error}")
    for name, points in offered(SCHEME_GROUP).items():
        if name in SCHEMES:
            path = points[0].value
            troubles.append(
                f"left out: scheme {name!r} of {path}: the name is ours; name it by its path, {path}"
            )
    return found, troubles


def outsiders(scheme: Scheme) -> list[tuple[Part, str]]:
    """What a scheme is put together from that is not shipped."""
    pairs = zip(PARTS, scheme.part_names(), strict=True)
    return [(part, name) for part, name in pairs if name is not None and name not in part.shipped]


def outside_config(name: str) -> Any:
    """The parameters of a part that is not shipped; None if there is no such part. Raises `ConfigError` as `find`,
    and for a class that is none of them."""
    for part in PARTS:
        if name in offered(part.group):
            return part.find(name).Config
    if not is_path(name):
        return None
    found = load(name, "controller", "", [])
    fits = next((p for p in PARTS if not isinstance(found, type) or issubclass(found, p.base)), None)
    if fits is None:
        kinds = ", ".join(p.noun for p in PARTS)
        raise ConfigError(
            f"controllers names {name!r}: is {what(found)}, none of {kinds}; a request source or a fault has its"
            " settings where it is named"
        )
    return fits.find(name).Config


@contextmanager
def explained(part: Part, name: str) -> Iterator[None]:
    """What the constructor of a part that is not shipped raises becomes a `ConfigError`."""
    if name in part.shipped:
        yield
        return
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of our answer
            yield
    except ConfigError:
        raise
    except STRANGE as error:
        raise ConfigError(f"{part.noun} {name}: {told_of(error)}") from error


def travels(part: Part, name: str, made: object) -> None:
    """See that a part which is not shipped can be sent to the process that it decides in. Raises `ConfigError`."""
    if name in part.shipped:
        return
    done = "pickled"
    try:
        sent = pickle.dumps(made)
        done = "unpickled"
        pickle.loads(sent)
    except STRANGE as error:
        raise ConfigError(
            f"{part.noun} {name}: cannot be {done}, and so not be sent to the process that it decides in:"
            f" {told_of(error)}; keep no lambda, open file, lock or connection in it"
        ) from error
