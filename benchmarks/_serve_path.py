"""The ways Ray Serve itself would answer: its front door, an ingress, a replica; or its front door and a replica.

All of them parse the body with the gateway's own pydantic type, send on the same message and give back the same JSON or
the same events. Plain callables: FastAPI would add to it. They decide nothing of ours, record nothing, know no deadline
and do not watch for a client that leaves.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from ray import serve
from ray.serve.api import RunTarget
from ray.serve.config import RequestRouterConfig
from ray.serve.experimental.round_robin_router import RoundRobinRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from serve_apps.gateway.openai.chat import CHAT
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.gateway.openai.images import IMAGES
from serve_apps.replica import BackendSpec
from serve_apps.replica.noop import Noop
from serve_apps.testbed.apps import ON_ONE_LOOP, QUIET, UNLIMITED
from serve_apps.wire.ask import Ask
from serve_apps.wire.messages import Answer, Delta, Work

_FORMS: tuple[Form[Any], ...] = (CHAT, IMAGES)


def form_of(path: str, raw: bytes) -> tuple[Form[Any], Any]:
    """What is asked for at a path, and the body as the gateway's own type of it."""
    form = next(form for form in _FORMS if path.endswith(form.path))
    return form, form.body.model_validate_json(raw)


def work_of(request_id: str, ask: Ask) -> Work:
    """An attempt at a request that arrives now."""
    at_s = time.time()
    sizes = (ask.prompts, ask.prompt_tokens, ask.max_tokens)
    request = Request(request_id, ask.model, "d0", at_s, at_s + 60.0, *sizes)
    return Work(request=request, ask=ask, executor="d0", sent_s=at_s, dispatched_s=at_s)


async def respond(
    http: HttpRequest,
    whole: Callable[[Work], Awaitable[Answer]],
    stream: Callable[[Work], AsyncIterator[Delta | Answer]],
) -> Response:
    """One request, from its body to its answer, by whoever serves the work."""
    form, body = form_of(http.scope["path"], await http.body())
    work = work_of(http.headers.get("x-request-id") or f"x-{uuid.uuid4().hex}", body.ask())
    asked, ask = Asked(work.request, work.ask, form.again(body)), work.ask
    if ask.stream and form.events is not None:
        events = form.events(asked)
        told = (events.of(item) async for item in stream(work))
        return StreamingResponse(told, media_type="text/event-stream")
    return Response(orjson.dumps(form.whole(asked, await whole(work))), media_type="application/json")


class Backends:
    """A replica of every model at once, whose backends take no time."""

    def __init__(self, models: tuple[ModelSpec, ...]) -> None:
        self._backends = {model.id: Noop(BackendSpec("d0", model)) for model in models}

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""
        return await self._backends[work.ask.model].serve(work)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""
        async for item in self._backends[work.ask.model].stream(work):
            yield item


class Ingress:
    """Serve's own front door to the replicas."""

    def __init__(self, replicas: Any, tuned: bool) -> None:
        options = {"_by_reference": False} if tuned else {}
        self._serve = replicas.options(method_name="serve", **options)
        self._stream = replicas.options(method_name="stream", stream=True, **options)

    async def __call__(self, http: HttpRequest) -> Response:
        """One request, by a call to a replica."""
        return await respond(http, self._serve.remote, self._stream.remote)


class Direct(Backends):
    """A replica that is its own ingress: no call between the two."""

    async def __call__(self, http: HttpRequest) -> Response:
        """One request, here."""
        return await respond(http, self.serve, self.stream)


class ReplicaChooser:
    """Tells Serve's HAProxy which replica a request goes to, as the router of Serve LLM's direct streaming does."""

    def __init__(self, replicas: Any) -> None:
        self._replicas = replicas
        self._replicas._init()

    async def __call__(self, _http: HttpRequest) -> Response:
        """Where the replica listens that Serve's own router chooses."""
        async with self._replicas.choose_replica(_reserve=False) as chosen:
            replica = chosen._replica
            host, port = replica.backend_http_endpoint
            named = {"host": host, "port": port, "replica_id": replica.replica_id.to_full_id_str()}
        return JSONResponse(named)


def serve_path(name: str, models: tuple[ModelSpec, ...], replicas: int, tuned: bool) -> RunTarget:
    """Ingress and replicas at `/<name>`. `tuned`: with every setting that makes our own processes fast."""
    behind = _deployment(Backends, "replica", replicas, tuned).bind(models)
    bound = _deployment(Ingress, "ingress", 1, tuned).bind(behind, tuned)
    return RunTarget(target=bound, name=name, route_prefix=f"/{name}")


def direct_path(name: str, models: tuple[ModelSpec, ...], replicas: int, chosen: bool) -> RunTarget:
    """Replicas that are their own ingress, at `/<name>`. `chosen`: for each request by Serve's router, which HAProxy
    asks; else by HAProxy itself."""
    options: dict[str, Any] = {}
    if chosen:
        options["request_router_config"] = RequestRouterConfig(request_router_class=RoundRobinRouter)  # type: ignore[arg-type]
    bound = _deployment(Direct, "replica", replicas, True, **options).bind(models)
    if chosen:
        bound = bound._with_ingress_request_router(
            _deployment(ReplicaChooser, "chooser", 1, True).bind(bound)
        )
    return RunTarget(target=bound, name=name, route_prefix=f"/{name}")


def _deployment(cls: type, label: str, count: int, tuned: bool, **options: Any) -> Any:
    return serve.deployment(
        cls,
        name=label,
        num_replicas=count,
        max_ongoing_requests=UNLIMITED,
        graceful_shutdown_timeout_s=1.0,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": ON_ONE_LOOP if tuned else {}}},
        logging_config=QUIET,
        **options,
    )
