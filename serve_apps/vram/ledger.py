"""Who holds how much memory of which GPU: a ledger that refuses what does not fit before CUDA does. No Ray, no torch.

There is one account per physical GPU (or MIG slice). Replicas of several edge nodes can share one GPU on a laptop, and
a GPU's share in Ray is bookkeeping: neither keeps a replica from taking all of its memory. So every replica of a real
model claims what it needs before it loads its weights, and reports what it really took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulation.files import ConfigError

CONTEXT_MB = 512.0
"""MiB a claim adds for what a process holds on a GPU beside its tensors: CUDA context and library workspaces, which
torch does not count. Ours, on the safe side: it depends on GPU and driver, and is commonly 200 to 500 MiB."""
_ROUNDING_MB = 1e-6


class Overcommit(ConfigError):
    """A claim that does not fit; the message says what is missing, who holds what, and the fix."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device as a process sees it now; sizes in MiB."""

    id: str
    """Its UUID, the same for every process and every container."""
    name: str
    host: str
    total_mb: float
    free_mb: float
    """Free now, whoever holds the rest."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one replica holds on one GPU, MiB."""

    app: str
    """Serve application of the (node, model)."""
    gpu: str
    need_mb: float
    """Claimed before the weights were loaded, the context's reserve included."""
    used_mb: float | None = None
    """What it had taken when it was loaded; None while it loads."""

    @property
    def held_mb(self) -> float:
        """What nobody else can have: the larger of the two, because work still to come takes memory too."""
        return max(self.need_mb, self.used_mb or 0.0)


class VramLedger:
    """Accounts of GPUs. A claim that is refused changes nothing."""

    def __init__(self) -> None:
        self._gpus: dict[str, Gpu] = {}
        self._claims: dict[str, tuple[Claim, ...]] = {}
        """By application: one claim per GPU it uses."""
        self._measured: dict[str, float] = {}
        """Application to the most it held on one GPU when it was last loaded."""

    def need_mb(self, app: str, stated_mb: float) -> float:
        """MiB on one GPU to claim for an application: what is stated plus the context, or what it held at its last load
        if that was more."""
        return max(stated_mb + CONTEXT_MB, self._measured.get(app, 0.0))

    def claim(self, app: str, gpus: Sequence[Gpu], stated_mb: float) -> tuple[Claim, ...]:
        """Hold memory on every one of `gpus` for an application, in place of all that it held before.

        `stated_mb`: what it is said to need in all, without contexts; several GPUs share it equally. Raises
        `Overcommit` if one of them has not that much left, and changes nothing then.
        """
        claims = tuple(Claim(app, g.id, self.need_mb(app, stated_mb / len(gpus))) for g in gpus)
        for gpu, claim in zip(gpus, claims, strict=True):
            self._check(gpu, claim)
        self._gpus.update({g.id: g for g in gpus})
        self._claims[app] = claims
        return claims

    def report(self, app: str, used_mb: Sequence[float]) -> tuple[Claim, ...]:
        """What an application really took on each of its GPUs, context included, in the order of its claim.

        Raises `Overcommit` if it took more than it claimed and that much is promised to others; its claim then stays
        as it was, and it must go. Raises `KeyError` if it has claimed nothing.
        """
        claims = tuple(replace(c, used_mb=u) for c, u in zip(self._claims[app], used_mb, strict=True))
        self._measured[app] = max(used_mb)  # also if it is refused: the next claim is then made for it
        for claim in claims:
            self._check(self._gpus[claim.gpu], claim, others_use=False)
        self._claims[app] = claims
        return claims

    def release(self, app: str) -> bool:
        """Give back all that an application holds; whether it held anything."""
        return self._claims.pop(app, None) is not None

    def apps(self, gpu: str | None = None) -> tuple[str, ...]:
        """Applications that hold something (of one GPU), in order of claim."""
        return tuple(a for a, held in self._claims.items() if any(gpu in (None, c.gpu) for c in held))

    def accounts(self) -> list[tuple[Gpu, tuple[Claim, ...]]]:
        """Every GPU ever claimed of, as it was at its last claim, and the claims on it now."""
        return [(gpu, tuple(self._on(gpu.id))) for gpu in self._gpus.values()]

    def held_mb(self, gpu: str) -> float:
        """MiB of a GPU that are held."""
        return sum(c.held_mb for c in self._on(gpu))

    def _on(self, gpu: str) -> list[Claim]:
        return [c for claims in self._claims.values() for c in claims if c.gpu == gpu]

    def _check(self, gpu: Gpu, claim: Claim, others_use: bool = True) -> None:
        """Raise `Overcommit` if it does not fit beside everybody else's.

        What is in use beyond all claims belongs to strangers: a desktop, another user. The process that asks has its
        own context by now, which its claim covers. Whatever holders have not yet used of their claims hides as much
        of the strangers' use: this errs towards yes, and is exact where nobody else is on the GPU.
        """
        others = [c for c in self._on(gpu.id) if c.app != claim.app]
        held_mb = sum(c.held_mb for c in others)
        mine_mb = sum(c.held_mb for c in self._on(gpu.id) if c.app == claim.app)
        used_mb = gpu.total_mb - gpu.free_mb
        strange_mb = max(used_mb - held_mb - mine_mb - CONTEXT_MB, 0.0) if others_use else 0.0
        left_mb = gpu.total_mb - held_mb - strange_mb
        if claim.held_mb > left_mb + _ROUNDING_MB:
            raise Overcommit(_refusal(gpu, claim, others, strange_mb, left_mb))


def _refusal(gpu: Gpu, claim: Claim, others: Sequence[Claim], strange_mb: float, left_mb: float) -> str:
    """What a user must know to make it fit."""
    holders = [f"{c.app} {_gib(c.held_mb)}" for c in others]
    if strange_mb > 0:
        holders.append(f"processes outside this testbed {_gib(strange_mb)}")
    verb = "needs" if claim.used_mb is None else "took"
    return (
        f"{claim.app} {verb} {_gib(claim.held_mb)} of {gpu.name} ({gpu.id} on {gpu.host}, {_gib(gpu.total_mb)}), "
        f"{_gib(claim.held_mb - left_mb)} more than is left; held: {', '.join(holders) or 'nothing'}. "
        f"Host fewer GPU models there (`models` of its nodes), take a smaller dtype, set `device: cpu` in the settings "
        f"of a backend, or use lifecycle cold, where only what is deployed is loaded; `vram_gb` of the model states "
        f"its need, {_gib(CONTEXT_MB)} for the CUDA context is added"
    )


def _gib(mb: float) -> str:
    return f"{mb / 1024:.2f} GiB"
