"""Every metric that a testbed has: the one table behind exposition, reference page, dashboard and tests.

Where vLLM has a metric of the same meaning, ours has its name and its label `model_name`. A label has one of a few
values that the testbed, the scheme or this code names; nothing that a client says is ever one. A model that the testbed
does not know counts as `other`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emulation.metrics.buckets import FIRST_TOKEN_S as FIRST_TOKEN_S
from emulation.metrics.buckets import LATENCY_S as LATENCY_S
from emulation.metrics.buckets import PER_TOKEN_S as PER_TOKEN_S

Kind = Literal["counter", "gauge", "histogram"]
OTHER = "other"
"""Stands for a label value that the testbed does not know."""
OVERHEAD_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ERROR = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
LAG_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds of buckets."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is."""

    group: str
    kind: Kind
    what: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Of a histogram."""


REQUESTS = "Requests"
TENANTS = "Tenants"
FAST_PATH = "The fast path"
RUN = "The run"
HTTP = "The HTTP server"
NODES = "Nodes and executors"
RECORD = "Recorder and controllers"
PROCESSES = "Processes"
GPUS = "GPUs of real models"
GROUPS = (REQUESTS, TENANTS, FAST_PATH, RUN, HTTP, NODES, RECORD, PROCESSES, GPUS)

_SERVED = ("model_name", "node", "scheme")
_EXECUTOR = ("executor", "node")

METRICS: dict[str, Metric] = {
    # Requests
    "vllm:e2e_request_latency_seconds": Metric(
        REQUESTS, "histogram", "Virtual seconds from the intended send time to delivery by the node, requests done",
        _SERVED, LATENCY_S,
    ),
    "vllm:request_queue_time_seconds": Metric(
        REQUESTS, "histogram", "Virtual seconds of that which were neither service nor transfer", _SERVED, LATENCY_S
    ),
    "vllm:request_inference_time_seconds": Metric(
        REQUESTS, "histogram", "Virtual seconds of that in service, slowdown and sharing included", _SERVED, LATENCY_S
    ),
    "vllm:time_to_first_token_seconds": Metric(
        REQUESTS, "histogram",
        "Virtual seconds from the intended send time to the first text that left the gateway, streamed requests done",
        _SERVED, FIRST_TOKEN_S,
    ),
    "vllm:request_time_per_output_token_seconds": Metric(
        REQUESTS, "histogram", "Virtual seconds per token after the first, as they left the gateway, streamed requests",
        _SERVED, PER_TOKEN_S,
    ),
    "edgebed_tenant_requests_total": Metric(
        TENANTS, "counter",
        "Requests that ended, by tenant (`X-Edge-Tenant`) and outcome; tenants beyond the first 32 are `other`",
        ("tenant", "outcome", "scheme"),
    ),
    "edgebed_tenant_service_seconds_total": Metric(
        TENANTS, "counter", "Virtual seconds of service that requests of a tenant received, requests done",
        ("tenant", "scheme"),
    ),
    "edgebed_tenant_wait_seconds": Metric(
        TENANTS, "histogram", "Virtual seconds that were neither service nor transfer, requests of a tenant done",
        ("tenant", "scheme"), LATENCY_S,
    ),
    "edgebed_platform_overhead_seconds": Metric(
        REQUESTS, "histogram", "Wall seconds the platform took beside the emulated time, requests done at once",
        _SERVED, OVERHEAD_S,
    ),
    "vllm:prompt_tokens_total": Metric(REQUESTS, "counter", "Tokens read, requests done", _SERVED),
    "vllm:generation_tokens_total": Metric(REQUESTS, "counter", "Tokens said, requests done", _SERVED),
    "vllm:request_success_total": Metric(
        REQUESTS, "counter", "Requests done, by why their (first) answer ended: stop or length",
        (*_SERVED, "finished_reason"),
    ),
    "edgebed_requests_total": Metric(
        REQUESTS, "counter", "Requests that ended", ("model_name", "outcome", "scheme")
    ),
    "edgebed_in_flight": Metric(
        REQUESTS, "gauge", "Requests in the gateway: held back, or at an executor", ("model_name", "place")
    ),
    # The fast path
    "edgebed_prediction_error_ratio": Metric(
        FAST_PATH, "histogram", "Distance of the predicted service time from the measured one, over the measured one",
        _SERVED, ERROR,
    ),
    "edgebed_predicted_service_seconds_total": Metric(
        FAST_PATH, "counter", "Virtual seconds of service predicted for the requests that error is of", _SERVED
    ),
    "edgebed_measured_service_seconds_total": Metric(
        FAST_PATH, "counter", "Virtual seconds of service measured of the same requests", _SERVED
    ),
    "edgebed_predicted_wait_seconds": Metric(
        FAST_PATH, "gauge", "Virtual seconds a request that comes now is expected to wait", _EXECUTOR
    ),
    "edgebed_executor_risky": Metric(
        FAST_PATH, "gauge", "1 while the executor is avoided because of its risk", _EXECUTOR
    ),
    "edgebed_executor_masked": Metric(
        FAST_PATH, "gauge", "1 while the scheduler's guide masks the executor", _EXECUTOR
    ),
    "edgebed_admission_limit_seconds": Metric(
        FAST_PATH, "gauge", "Predicted virtual seconds above which a request is refused; absent without limit",
        ("model_name",),
    ),
    "edgebed_command_age_seconds": Metric(
        FAST_PATH, "gauge", "Virtual seconds since the command in force was heard", ("command",)
    ),
    "edgebed_requests_of_others": Metric(
        FAST_PATH, "gauge", "Requests at the node that other gateways sent, as far as this one has heard", ("node",)
    ),
    "edgebed_node_news_age_seconds": Metric(
        FAST_PATH, "gauge", "Wall seconds since this gateway heard what others have at the node (5 in silence)",
        ("node",),
    ),
    "edgebed_link_round_trip_seconds": Metric(
        FAST_PATH, "gauge",
        "Wall seconds from this gateway to the node and back, the quickest of ten probes; absent on its own machine",
        ("node",),
    ),
    # The run
    "edgebed_run_info": Metric(RUN, "gauge", "1 while this run is in progress", ("scheme", "testbed", "lifecycle")),
    "edgebed_virtual_seconds": Metric(RUN, "gauge", "The run's clock"),
    "edgebed_speedup_ratio": Metric(RUN, "gauge", "Virtual seconds per wall second"),
    "edgebed_faults_in_force": Metric(RUN, "gauge", "Events of the plan, or injected, in force", ("kind",)),
    # The HTTP server
    "edgebed_http_answers_total": Metric(
        HTTP, "counter", "Answers, those of the server's own refusals included", ("status",)
    ),
    "edgebed_http_connections": Metric(HTTP, "gauge", "Connections of clients"),
    "edgebed_http_body_bytes": Metric(HTTP, "gauge", "Bytes of large bodies in the gateway"),
    "edgebed_loop_lag_seconds": Metric(
        HTTP, "histogram", "Wall seconds the event loop woke up too late", bounds=LAG_S
    ),
    # Nodes and executors
    "edgebed_node_available": Metric(NODES, "gauge", "1 while the node is there", ("node",)),
    "edgebed_node_cores_busy": Metric(NODES, "gauge", "Cores of CPU executors that are busy", ("node",)),
    "edgebed_node_power_watts": Metric(
        NODES, "gauge", "Power by the watts that the testbed states: an estimate, not a measurement", ("node",)
    ),
    "edgebed_node_ram_used_bytes": Metric(NODES, "gauge", "Memory that executors hold", ("node",)),
    "edgebed_node_gpu_slices_used": Metric(NODES, "gauge", "GPU slices that executors hold", ("node",)),
    "edgebed_executor_state": Metric(
        NODES, "gauge", "1 for the state the executor is in, 0 for the others", (*_EXECUTOR, "state")
    ),
    "edgebed_executor_mode": Metric(
        NODES, "gauge", "1 for the mode the executor is in, 0 for the others", (*_EXECUTOR, "mode")
    ),
    "edgebed_executor_share_ratio": Metric(
        NODES, "gauge", "Speed of what is in service over that of having the resource alone; 0 while idle", _EXECUTOR
    ),
    "vllm:num_requests_running": Metric(NODES, "gauge", "Requests in service", ("model_name", "node")),
    "vllm:num_requests_waiting": Metric(NODES, "gauge", "Requests queued at the node", ("model_name", "node")),
    # Recorder and controllers
    "edgebed_arrived_requests_total": Metric(
        RECORD, "counter", "Requests of the run in the record", ("model_name",)
    ),
    "edgebed_fairness_ratio": Metric(
        RECORD, "gauge", "Jain's index of the models' success ratios so far, raw or normalised", ("form",)
    ),
    "edgebed_control_decisions_total": Metric(
        RECORD, "counter", "Decisions of controllers, and what became of them", ("decider", "outcome")
    ),
    "edgebed_thinking_seconds_total": Metric(
        RECORD, "counter", "Virtual seconds controllers were charged for thinking", ("decider",)
    ),
    "edgebed_records_unsent": Metric(
        RECORD, "gauge", "Records that wait in a process for the recorder", ("actor",)
    ),
    "edgebed_records_lag_seconds": Metric(
        RECORD, "gauge", "Wall seconds the oldest of them has waited", ("actor",)
    ),
    "edgebed_records_failures_total": Metric(
        RECORD, "counter", "Batches not taken: the recorder was away, or its disk full", ("actor",)
    ),
    # Processes
    "edgebed_build_info": Metric(PROCESSES, "gauge", "1; what is running", ("version", "ray", "python")),
    "edgebed_up": Metric(PROCESSES, "gauge", "1 if the process answered this scrape", ("actor",)),
    "edgebed_restarts_total": Metric(
        PROCESSES, "counter", "Times an actor, replica or gateway was started again", ("actor",)
    ),
    "edgebed_log_lines_total": Metric(
        PROCESSES, "counter", "Lines of the log by level; lost: could not be written", ("actor", "level")
    ),
    "process_start_time_seconds": Metric(PROCESSES, "gauge", "When it was started, since the epoch", ("actor",)),
    "process_cpu_seconds_total": Metric(PROCESSES, "counter", "User and system CPU time", ("actor",)),
    "process_resident_memory_bytes": Metric(PROCESSES, "gauge", "Resident memory", ("actor",)),
    "process_virtual_memory_bytes": Metric(PROCESSES, "gauge", "Virtual memory", ("actor",)),
    "process_open_fds": Metric(PROCESSES, "gauge", "Open file descriptors", ("actor",)),
    "process_max_fds": Metric(PROCESSES, "gauge", "File descriptors it may open", ("actor",)),
    # GPUs of real models
    "edgebed_vram_total_bytes": Metric(GPUS, "gauge", "Memory of a GPU", ("gpu", "host")),
    "edgebed_vram_claimed_bytes": Metric(
        GPUS, "gauge", "GPU memory held for a replica, by the vRAM ledger", ("gpu", "application")
    ),
    "edgebed_vram_used_bytes": Metric(
        GPUS, "gauge", "What it had taken once loaded, a reserve for its CUDA context included",
        ("gpu", "application"),
    ),
}  # fmt: skip
"""Name, as a scraper reads it, to what it is."""
