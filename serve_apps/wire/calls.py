"""The one way to call an actor of the testbed: by name, within a limit of wall time, failing in one way.

There is no call without a limit: what waits for another process would wait for ever if that stood still.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from serve_apps.wire.testbed import namespace

log = logging.getLogger("edgebed")

CALL_LIMIT_S = 10.0
"""Wall seconds after which silence counts as a failure, unless a caller knows better."""
LONGEST_S = 3600.0
"""Wall seconds after which silence is a failure even where waiting is what the caller came for: a request's service."""

Item = TypeVar("Item")


class Unreached(ConnectionError):
    """A call that brought nothing back: nobody has the name, it is gone, silent for too long, or broke."""

    broke = False
    """Whether its process lives and answered with an error of its own."""
    silent = False
    """Whether it said nothing in time: it may live."""


class Calls(Protocol):
    """Calls to named actors. What an actor refuses with a `ValueError` is raised as one; all else as `Unreached`."""

    async def call(self, name: str, method: str, *args: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        """The result of a method. Raises `Unreached`, and `ValueError` with the actor's own words."""

    def stream(self, name: str, method: str, *args: Any, limit_s: float = LONGEST_S) -> AsyncIterator[Any]:
        """What a method yields, as it comes, no two items more than `limit_s` apart. Raises like `call`."""

    def tell(self, name: str, method: str, *args: Any) -> None:
        """Call without waiting; whether it arrived nobody hears."""


class RayCalls:
    """Calls through Ray. Handles are looked up once (a look-up blocks for a round trip) and outlive restarts."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    def handle(self, name: str) -> Any:
        """Handle of a named actor. Raises `Unreached` if nobody has that name."""
        if name not in self._handles:
            try:
                self._handles[name] = ray.get_actor(name, namespace=namespace())
            except ValueError as error:
                raise Unreached(f"no actor {name!r} in namespace {namespace()!r}") from error
        return self._handles[name]

    async def call(self, name: str, method: str, *args: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        """See `Calls`."""
        reference = getattr(self.handle(name), method).remote(*args)
        try:
            async with asyncio.timeout(limit_s):  # `wait_for` loses a cancellation that comes with the answer
                return await reference
        except (RayError, TimeoutError) as error:
            raise failure_of(name, method, error) from error

    def call_now(self, name: str, method: str, *args: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        """`call` for a thread that may block."""
        return self.call_all(((name, method, *args),), limit_s)[0]

    def call_all(
        self, asked: Iterable[tuple[Any, ...]], limit_s: float = CALL_LIMIT_S, tolerant: bool = False
    ) -> list[Any]:
        """Several calls at once, each (name, method, *args), for a thread that may block; every result, in order.

        Raises like `call`, for the first one that fails; tolerant: a failure is logged, and its result None.
        """
        results = self.call_each(asked, limit_s)
        for number, result in enumerate(results):
            if isinstance(result, Exception):
                if not tolerant:
                    raise result
                log.warning("%s", result)
                results[number] = None
        return results

    def call_each(self, asked: Iterable[tuple[Any, ...]], limit_s: float = CALL_LIMIT_S) -> list[Any]:
        """The same, with what went wrong in the place of a result: an `Unreached`, or a `ValueError`."""
        begun = [(name, how, self._begin(name, how, args)) for name, how, *args in asked]
        results: list[Any] = []
        for name, method, reference in begun:
            try:
                if isinstance(reference, Unreached):
                    raise reference
                results.append(reference.future().result(timeout=limit_s))
            except (RayError, TimeoutError) as error:
                failure = failure_of(name, method, error)
                failure.__cause__ = error
                results.append(failure)
            except Unreached as error:
                results.append(error)
        return results

    def _begin(self, name: str, method: str, args: list[Any]) -> Any:
        """A call under way; where nobody has the name, that."""
        try:
            return getattr(self.handle(name), method).remote(*args)
        except Unreached as error:
            return error

    async def stream(
        self, name: str, method: str, *args: Any, limit_s: float = LONGEST_S
    ) -> AsyncIterator[Any]:
        """See `Calls`."""
        streamed = getattr(self.handle(name), method).options(num_returns="streaming")
        try:
            async for reference in each_within(streamed.remote(*args), limit_s):
                async with asyncio.timeout(limit_s):
                    item = await reference
                yield item
        except (RayError, TimeoutError) as error:
            raise failure_of(name, method, error) from error

    def tell(self, name: str, method: str, *args: Any) -> None:
        """See `Calls`."""
        try:
            getattr(self.handle(name), method).remote(*args)
        except Unreached as error:
            log.warning("%s not told: %s", method, error)


async def each_within(items: AsyncIterator[Item], limit_s: float) -> AsyncIterator[Item]:
    """The items as they come. Raises `TimeoutError` if one takes longer than `limit_s` wall seconds."""
    while True:
        try:
            async with asyncio.timeout(limit_s):
                item = await anext(items)
        except StopAsyncIteration:
            return
        yield item


def failure_of(name: str, method: str, error: RayError | TimeoutError) -> Exception:
    """What a caller hears of it: the actor's own refusal, or that it was not reached."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, ValueError):
        return ValueError(str(error.cause))
    said = str(error).strip().splitlines()
    failure = Unreached(
        f"{name}.{method}: {type(error).__name__}: {said[-1] if said else 'no answer in time'}"
    )
    failure.broke, failure.silent = isinstance(error, RayTaskError), isinstance(error, TimeoutError)
    return failure
