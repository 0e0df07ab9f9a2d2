"""Testbed files."""

from __future__ import annotations

from docs.generate.fields import model_section
from emulation.domain import cluster, power, sharing
from emulation.domain.agent_llm import AgentLlm

TESTBED = (
    cluster.TestbedConfig,
    cluster.ModelSpec,
    cluster.NodeSpec,
    sharing.GpuSpec,
    cluster.ProfileEntry,
    sharing.Batching,
    sharing.CpuLaw,
    cluster.LinkSpec,
    cluster.BackendEntry,
    AgentLlm,
    power.PowerEntry,
    power.Prices,
    power.NodePrice,
    power.Electricity,
)


def page() -> str:
    """Testbed files."""
    return (
        "# Testbed file\n\nWhat exists, as both worlds and every controller may know it. YAML; unknown keys are "
        "errors.\nThe numbers of the packaged ones: [testbeds](../explanation/testbeds.md).\n\n"
    ) + "\n".join(model_section(cls) for cls in TESTBED)
