"""The Serve application of the agents' model: a chat model on vLLM behind an OpenAI-compatible URL.

The replica starts vLLM's own server as a child process on an address of its own, watches it, and ends it. Ray's own
`ray.serve.llm` answers through Serve's HTTP proxy, which this testbed does not run (its gateway opens its own
socket), and places its replicas by accelerator type, where a testbed means one certain edge node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from ray import serve
from ray.serve.api import RunTarget

from emulation.domain.agent_llm import LOOPBACK, AgentLlm
from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError
from serve_apps.engines.loading import RealSettings, check_source
from serve_apps.observe.logs import starting
from serve_apps.testbed.apps import QUIET
from serve_apps.wire.keys import AGENTS_KEY, fetch_keys
from serve_apps.wire.listening import listen_where_the_node_is
from serve_apps.wire.names import AGENT_LLM, edge_resource
from serve_apps.wire.secret import Secret
from serve_apps.wire.testbed import NAMESPACE, namespace, served

KEY = AGENTS_KEY
"""Environment variable of the key that vLLM's server asks for. It is never written to an argument."""
CPU_CACHE_BYTES = 500_000_000
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
LOOK_S = 0.5
END_TIMEOUT_S = 10.0
_OURS = ("model", "host", "port", "served_model_name", "api_key", "max_model_len", "chat_template")


class AgentServer:
    """The deployment: one replica, one child process."""

    def __init__(
        self,
        config: AgentLlm,
        memory_share: float | None,
        keys: Callable[[], Mapping[str, Secret]] = dict,
    ) -> None:
        """Returns when the model answers. Raises `RuntimeError` with vLLM's last words if it does not.

        `memory_share`: of the GPU's memory; None on a CPU. `keys`: hands over what its clients must show, as `KEY`.
        """
        listen_where_the_node_is()
        key = keys().get(KEY)
        with starting(AGENT_LLM, secrets=[] if key is None else [key.value]):
            self._start(config, memory_share, key)

    def _start(self, config: AgentLlm, memory_share: float | None, key: Secret | None) -> None:
        self._url = config.url.removesuffix("/v1")
        descriptor, name = tempfile.mkstemp()
        Path(name).unlink()
        self._words = os.fdopen(descriptor, "w+b")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "serve_apps.testbed.agent_llm_server", *arguments(config, memory_share)],
            env=os.environ | _ENVIRONMENT | ({} if key is None else {KEY: key.value}),
            stdin=subprocess.PIPE,
            stdout=self._words,
            stderr=self._words,
            start_new_session=True,
        )
        self._wait(config.start_timeout_s)

    async def check_health(self) -> None:
        """Called by Serve, which starts another replica if this raises."""
        if self._server.poll() is not None:
            self._kill()
            raise RuntimeError(f"the agents' model is gone: {self._last_words()}")
        async with httpx2.AsyncClient(timeout=20) as client:
            (await client.get(f"{self._url}/health")).raise_for_status()

    async def pid(self) -> int:
        """Process of vLLM's server."""
        return self._server.pid

    def __del__(self) -> None:
        """End the server; Serve calls this when the replica is to go."""
        server = getattr(self, "_server", None)
        if server is None:
            return
        if server.poll() is None:
            server.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                server.wait(END_TIMEOUT_S)
        self._kill()

    def _kill(self) -> None:
        """End whatever is left of the server's process group: a server that died leaves its workers, and what they hold
        of a GPU, behind."""
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                self._kill()
                raise RuntimeError(f"the agents' model did not start: {self._last_words()}")
            try:
                httpx2.get(f"{self._url}/health", timeout=5).raise_for_status()
                return
            except httpx2.HTTPError:
                time.sleep(LOOK_S)
        raise RuntimeError(f"the agents' model did not answer within {timeout_s:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = [line.strip() for line in self._words.read().decode(errors="replace").splitlines()]
        said = [line for line in lines if "Error" in line] or [line for line in lines if line]
        return said[-1][:500] if said else "it said nothing"


def checked(testbed: TestbedConfig) -> TestbedConfig:
    """The testbed with a source that every process finds, before anything is started.

    Raises `ConfigError`: vllm is missing, the source is not to be had, options that are not its to give, or an address
    that others reach without a key.
    """
    agent = testbed.agent_llm
    if agent is None:
        return testbed
    for name in agent.settings:
        if name.replace("-", "_") in _OURS:
            raise ConfigError(
                f"agent_llm.settings.{name}: not here; see the fields of agent_llm, and {KEY} for a key"
            )
    if agent.host not in LOOPBACK and not os.environ.get(KEY):
        raise ConfigError(
            f"agent_llm.host: {agent.host} is reached from elsewhere; set {KEY} in the environment"
        )
    try:
        source = check_source(RealSettings(source=agent.source), ("vllm",)).source
    except ConfigError as error:
        raise ConfigError(f"agent_llm: {error}") from error
    return testbed.model_copy(update={"agent_llm": agent.model_copy(update={"source": source})})


def agent_target(testbed: TestbedConfig, agent: AgentLlm) -> RunTarget:
    """The application, on its node, with its share of a GPU."""
    deployment: Any = serve.deployment(
        AgentServer,
        name=AGENT_LLM,
        health_check_period_s=5.0,
        health_check_timeout_s=30.0,
        graceful_shutdown_timeout_s=END_TIMEOUT_S + 5.0,
        ray_actor_options={
            "num_cpus": 0,
            "num_gpus": agent.gpu_share,
            "resources": {edge_resource(agent.node): 0.001},
            "runtime_env": {"env_vars": {NAMESPACE: namespace()}},
        },
        logging_config=QUIET,
    )
    gpus = [g.vram_gb for n in testbed.nodes if n.id == agent.node for g in n.gpus]
    share = agent.vram_gb / gpus[agent.gpu_of(gpus)] if agent.gpu_share else None
    return RunTarget(
        target=deployment.bind(agent, share, fetch_keys), name=served(AGENT_LLM), route_prefix=None
    )


def arguments(config: AgentLlm, memory_share: float | None) -> list[str]:
    """The command line of vLLM's server; what the settings say comes last and so counts."""
    given: dict[str, bool | int | float | str | None] = {
        "model": config.source,
        "host": config.host,
        "port": config.port,
        "served_model_name": AGENT_LLM,
        "max_model_len": config.max_model_len,
        "chat_template": config.chat_template,
        "enable_auto_tool_choice": config.tool_call_parser is not None,
        "tool_call_parser": config.tool_call_parser,
    }
    if memory_share is None:
        given |= {"enforce_eager": True, "dtype": "float32", "kv_cache_memory_bytes": CPU_CACHE_BYTES}
    else:
        given |= {"gpu_memory_utilization": round(memory_share, 4)}
    words = []
    for name, value in (given | {n.replace("-", "_"): v for n, v in config.settings.items()}).items():
        if value is None or value is False:
            continue
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return words
