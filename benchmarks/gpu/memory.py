"""Ledger and caps against the card: as many replicas as fractions allow, and none that takes more than its share."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.gpu.plan import Setting
from serve_apps.engines.gpus import cap, look
from serve_apps.engines.needs import need
from serve_apps.vram.ledger import CONTEXT_MB, Gpu, Overcommit, VramLedger

FRACTIONS = (1.0, 0.5, 0.25)
ABOVE, BELOW = 1.05, 0.5
"""Parts of a share that must be refused, and must be had."""
_MB = 2**20
PRETENDED = Gpu("GPU-pretended", "no card (dry run)", "nowhere", 24_576.0, 24_576.0)


def memory(setting: Setting) -> dict[str, Any]:
    """What the ledger admits at each fraction, and what the cap lets a process have of it."""
    gpu = PRETENDED if setting.dry else look(need("torch"), 1)[0]
    figures: dict[str, Any] = {"gpu": asdict(gpu), "ledger": {f"{f:g}": _admitted(gpu, f) for f in FRACTIONS}}
    figures["ok"] = all(row["ok"] for row in figures["ledger"].values())
    if setting.dry:
        figures["caps"] = "not tried: there is no card"
        return figures
    figures["caps"] = {f"{f:g}": _capped(gpu, f) for f in (0.25, 0.5)}
    figures["ok"] = figures["ok"] and all(row["ok"] for row in figures["caps"].values())
    return figures


def _admitted(gpu: Gpu, fraction: float) -> dict[str, Any]:
    """Replicas that each claim this share, context included, until one is refused."""
    ledger, free = VramLedger(), Gpu(gpu.id, gpu.name, gpu.host, gpu.total_mb, gpu.total_mb)
    stated_mb = fraction * gpu.total_mb - CONTEXT_MB
    admitted, refused, most = 0, None, round(1.0 / fraction)
    for number in range(most + 1):
        try:
            ledger.claim(f"replica-{number}", (free,), stated_mb)
        except Overcommit as error:
            refused = str(error)
            break
        admitted += 1
    return {
        "admitted": admitted,
        "expected": most,
        "refused": refused,
        "ok": admitted == most and refused is not None,
    }


def _capped(gpu: Gpu, fraction: float) -> dict[str, Any]:
    """In this process: half of the share can be had, a little more than all of it cannot."""
    torch = need("torch")
    cap(torch, (fraction,))
    had = _allocates(torch, BELOW * fraction * gpu.total_mb)
    refused = not _allocates(torch, ABOVE * fraction * gpu.total_mb)
    return {"half_can_be_had": had, "more_is_refused": refused, "ok": had and refused}


def _allocates(torch: Any, size_mb: float) -> bool:
    try:
        held = torch.empty(int(size_mb * _MB), dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError:
        return False
    del held
    torch.cuda.empty_cache()
    return True
