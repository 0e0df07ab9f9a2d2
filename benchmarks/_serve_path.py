"""The way Ray Serve itself would answer a chat completion: its HTTP proxy, an ingress deployment, a replica.

The ingress parses the body with the gateway's own pydantic type, sends the replica the same message and gives back the
same JSON. A plain callable: FastAPI would add to it. It routes nothing, records nothing, and knows no deadline.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import orjson
from ray import serve
from ray.serve.api import RunTarget
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emulation.domain.cluster import ModelSpec
from emulation.domain.request import Request
from serve_apps.gateway.openai.chat import ChatBody, chat_completion
from serve_apps.gateway.openai.form import Asked
from serve_apps.replica import BackendSpec
from serve_apps.replica.deployment import Replica
from serve_apps.testbed.apps import ON_ONE_LOOP, QUIET, UNLIMITED
from serve_apps.wire.messages import Work


class Ingress:
    """Serve's own front door to the replicas of one model."""

    def __init__(self, replicas: Any, tuned: bool) -> None:
        options = {"_by_reference": False} if tuned else {}
        self._serve = replicas.options(method_name="serve", **options)

    async def __call__(self, http: HttpRequest) -> Response:
        """One chat completion."""
        body = ChatBody.model_validate_json(await http.body())
        ask = body.ask()
        at_s = time.time()
        request = Request(
            f"x-{uuid.uuid4().hex}", ask.model, "d0", at_s, at_s + 60.0, 1, ask.prompt_tokens, ask.max_tokens
        )
        answer = await self._serve.remote(
            Work(request=request, ask=ask.slim(), executor="d0", sent_s=at_s, dispatched_s=at_s)
        )
        return Response(
            orjson.dumps(chat_completion(Asked(request, ask, body), answer)), media_type="application/json"
        )


def serve_path(name: str, model: ModelSpec, replicas: int, tuned: bool) -> RunTarget:
    """The application at `/<name>`. `tuned`: with every setting that makes our own processes fast."""
    variables = ON_ONE_LOOP if tuned else {}

    def deployment(cls: type, label: str, count: int) -> Any:
        return serve.deployment(
            cls,
            name=label,
            num_replicas=count,
            max_ongoing_requests=UNLIMITED,
            graceful_shutdown_timeout_s=1.0,
            graceful_shutdown_wait_loop_s=0.1,
            ray_actor_options={"num_cpus": 0, "runtime_env": {"env_vars": variables}},
            logging_config=QUIET,
        )

    behind = deployment(Replica, "replica", replicas).bind(BackendSpec("d0", model), "noop")
    bound = deployment(Ingress, "ingress", 1).bind(behind, tuned)
    return RunTarget(target=bound, name=name, route_prefix=f"/{name}")
