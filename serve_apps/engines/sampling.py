"""Choosing the next token: as the client asks, else as the checkpoint says its answers are to be sampled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import inf
from typing import Any

from serve_apps.engines.needs import need
from serve_apps.wire.ask import Sampling


@dataclass(frozen=True, slots=True)
class Defaults:
    """Of a checkpoint's `generation_config.json`, where the client says nothing; None: it says nothing either."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None

    @classmethod
    def of(cls, generation_config: Any) -> Defaults:
        """Those of a `GenerationConfig` of the transformers library. One that is told not to sample is greedy."""
        said = {f.name: getattr(generation_config, f.name, None) for f in fields(cls)}
        if getattr(generation_config, "do_sample", None) is False:
            said["temperature"] = 0.0
        return cls(**said)


NONE = Defaults()


class TokenSampler:
    """Draws tokens by temperature and top-p (nucleus sampling, Holtzman et al. 2020); 0 takes the likeliest.

    Top-k (Fan et al. 2018), min-p (Nguyen et al. 2024) and the repetition penalty (Keskar et al. 2019) come from the
    checkpoint alone, in the order of the transformers library.
    """

    def __init__(
        self,
        sampling: Sampling,
        default_temperature: float,
        seed: int,
        defaults: Defaults = NONE,
        read: Iterable[int] = (),
    ) -> None:
        """`default_temperature`: where neither client nor checkpoint states one; `read`: tokens of the prompt."""
        self._torch: Any = need("torch")
        given = (sampling.temperature, defaults.temperature, default_temperature)
        self._temperature = next(t for t in given if t is not None)
        self._top_p = defaults.top_p if sampling.top_p is None else sampling.top_p
        self._defaults = defaults
        self._seen = set(read)
        self._generator = self._torch.Generator().manual_seed(seed)

    def __call__(self, logits: Any) -> int:
        """The next token's id. `logits`: shape (vocabulary,). Draws on the CPU: one seed, any device."""
        logits = self._penalised(logits)
        token = int(logits.argmax()) if self._temperature <= 0.0 else self._drawn(logits)
        self._seen.add(token)
        return token

    def _penalised(self, logits: Any) -> Any:
        """Tokens that were read or said before are less likely."""
        penalty = self._defaults.repetition_penalty or 1.0
        if penalty == 1.0 or not self._seen:
            return logits
        logits = logits.clone()
        at = self._torch.tensor(sorted(self._seen), device=logits.device)
        said = logits[at]
        logits[at] = self._torch.where(said < 0, said * penalty, said / penalty)
        return logits

    def _drawn(self, logits: Any) -> int:
        torch, top_k, min_p = self._torch, self._defaults.top_k or 0, self._defaults.min_p or 0.0
        scores = logits.float().cpu() / self._temperature
        if 0 < top_k < scores.shape[-1]:
            least = scores.topk(top_k).values[-1]
            scores = scores.masked_fill(scores < least, -inf)
        odds = torch.softmax(scores, dim=-1)
        if self._top_p is not None and self._top_p < 1.0:
            ranked, order = odds.sort(descending=True)
            ranked[ranked.cumsum(0) - ranked > self._top_p] = 0.0
            odds = torch.zeros_like(odds).scatter(0, order, ranked)
        if min_p > 0.0:
            odds = odds.masked_fill(odds < min_p * odds.max(), 0.0)
        return int(torch.multinomial(odds, 1, generator=self._generator))
