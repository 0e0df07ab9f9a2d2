"""Injection on real work: how far the time a request takes is from `factor` times the undisturbed one.

Text, captions and pictures by tiny checkpoints made for the run, and with `--source FOLDER` also a text model of your
own (GPT-2 at full size, say). The same request runs undisturbed and disturbed in turn, A B A B; a ratio is the median
over neighbouring pairs. The undisturbed side has no pacer at all: whatever the pacer itself costs counts as error.
Time is taken by whoever asks, from handing the request over to holding the answer; the pacer's own books are not read.

Disturbed are: one factor from beginning to end; `change`, a factor of 3 that comes when a third of the undisturbed
time is over; `pause`, a stop at that time, for half of it. The last two are compared with what is left of the
undisturbed time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from edgebed.models.checkpoints import make_tiny
from emulation.domain.request import Request
from serve_apps.engines import Engine
from serve_apps.engines.caption import CaptionEngine, CaptionSettings
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.picture import PictureEngine, PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.text import TextEngine
from serve_apps.wire.ask import Ask, Sampling
from serve_apps.wire.messages import Pace, Work
from workloads.client import tiny_png_uri

FACTORS = (1.25, 1.5, 2.0, 3.0, 5.0)
CHANGE = 3.0
LATER = 1 / 3
"""Share of the undisturbed time after which a disturbance in service comes."""
PAUSED = 0.5
"""Length of a pause, in undisturbed times."""
LENGTH_S = 0.8
"""A request is made about so long, undisturbed; a size that counts in pieces cannot hit it."""
WITHIN = 0.05
MOST = {"text": 400, "caption": 40, "image": 200}
"""Most tokens, pictures or steps of a request."""


class Unpaced(Pacer):
    """Nobody sets a pace: computing goes on as if there were no pacer."""

    def begin(self) -> None:
        """Nothing to begin."""

    def lap(self, coefficient: int = 0) -> None:
        """Nothing to wait for."""


def request(kind: str, size: int) -> Work:
    """Text of so many tokens, captions of so many pictures, or one picture of so many steps."""
    asked = Request("injected", "m", "n", 0.0, inf, prompts=size if kind == "caption" else 1)
    if kind == "text":
        ask = Ask(model="m", max_tokens=size, ignore_eos=True, inputs=(" the" * 32,))
    elif kind == "caption":
        ask = Ask(model="m", prompts=size, max_tokens=20, ignore_eos=True, pictures=(tiny_png_uri(),) * size)
    else:
        ask = Ask(model="m", size=(128, 128), inputs=("a photo",), sampling=Sampling(steps=size))
    return Work(request=asked, ask=ask, executor="n/m", sent_s=0.0, dispatched_s=0.0)


def took_s(engine: Engine, work: Work, pacer: Pacer) -> float:
    """Wall seconds from handing the request over to holding its whole answer."""
    begun = perf_counter()
    for index in range(engine.choices(work)):
        engine.run(work, index, pacer, lambda text, tokens: None)
        pacer.settle()
    return perf_counter() - begun


def at_factor(engine: Engine, work: Work, factor: float) -> float:
    """The same, slowed from beginning to end."""
    pacer = engine.pacer()
    pacer.set(Pace(mode="cpu", factors=(factor, factor)))
    return took_s(engine, work, pacer)


def in_service(
    engine: Engine, work: Work, news: list[tuple[float, float]]
) -> tuple[float, list[tuple[float, float]]]:
    """The same, with news (seconds after the start, factor) on the way; what it took, and when the news really came."""
    pacer, came = engine.pacer(), []
    pacer.set(Pace(mode="cpu", factors=(1.0, 1.0)))
    over = threading.Event()
    begun = perf_counter()

    def tell() -> None:
        for after_s, factor in news:
            if over.wait(begun + after_s - perf_counter()):
                return
            pacer.set(Pace(mode="cpu", factors=(factor, factor)))
            came.append((perf_counter() - begun, factor))

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        return took_s(engine, work, pacer), came
    finally:
        over.set()
        teller.join()


def sized(engine: Engine, kind: str) -> Work:
    """A request that takes about `LENGTH_S`; what one piece takes is the difference of two sizes."""
    small, large = (2, 12) if kind == "image" else (1, 11)
    times: dict[int, float] = {}
    for size in (small, large, small, large):
        work = request(kind, size)
        times[size] = min(times.get(size, inf), took_s(engine, work, Unpaced()))
    piece_s = max((times[large] - times[small]) / (large - small), 1e-6)
    return request(kind, max(small, min(MOST[kind], round(large + (LENGTH_S - times[large]) / piece_s))))


def measure(engine: Engine, kind: str, pairs: int) -> dict[str, Any]:
    """Every disturbance against its undisturbed neighbour: ratio to what was to be expected."""
    work = sized(engine, kind)
    alone = [took_s(engine, work, Unpaced())]
    ratios: dict[str, list[float]] = {}

    def pair(name: str, disturbed: Callable[[float], tuple[float, Callable[[float], float]]]) -> None:
        """Undisturbed, then disturbed. `disturbed` is told the median so far; it returns time and expectation."""
        alone.append(took_s(engine, work, Unpaced()))
        found_s, expected = disturbed(median(alone))
        ratios.setdefault(name, []).append(found_s / expected(alone[-1]))

    for _ in range(pairs):
        pair("undisturbed", lambda usual_s: (at_factor(engine, work, 1.0), lambda alone_s: alone_s))
        for factor in FACTORS:
            pair(f"factor {factor:g}", lambda usual_s, f=factor: _whole(engine, work, f))  # type: ignore[misc]
        pair("change", lambda usual_s: _change(engine, work, usual_s))
        pair("pause", lambda usual_s: _pause(engine, work, usual_s))
    return {
        "alone_s": median(alone),
        "size": work.ask.max_tokens if kind == "text" else work.ask.sampling.steps or work.request.prompts,
        "over_expected": {name: median(found) for name, found in ratios.items()},
        "spread": {name: _spread(found) for name, found in ratios.items()},
        "pairs": [{name: found[i] for name, found in ratios.items()} for i in range(pairs)],
    }


def _whole(engine: Engine, work: Work, factor: float) -> tuple[float, Callable[[float], float]]:
    return at_factor(engine, work, factor), lambda alone_s: factor * alone_s


def _change(engine: Engine, work: Work, usual_s: float) -> tuple[float, Callable[[float], float]]:
    """A factor that comes in service: what was computed by then is done, the rest is slowed."""
    found_s, came = in_service(engine, work, [(LATER * usual_s, CHANGE)])
    at_s = came[0][0] if came else found_s  # it may have been over before
    return found_s, lambda alone_s: alone_s + (CHANGE - 1) * max(alone_s - at_s, 0.0)


def _pause(engine: Engine, work: Work, usual_s: float) -> tuple[float, Callable[[float], float]]:
    """A stop in service: nothing is lost but its length."""
    begin_s = LATER * usual_s
    found_s, came = in_service(engine, work, [(begin_s, inf), (begin_s + PAUSED * usual_s, 1.0)])
    paused_s = came[1][0] - came[0][0] if len(came) == 2 else 0.0
    return found_s, lambda alone_s: alone_s + paused_s


def _spread(found: list[float]) -> float:
    """Distance between the quartiles; 0 of a single pair."""
    if len(found) < 2:
        return 0.0
    low, _, high = quantiles(found, n=4, method="inclusive")
    return high - low


def engines(folder: Path, source: str | None) -> dict[str, tuple[str, Callable[[], Engine]]]:
    """Name to kind and loader."""
    make_tiny(folder)
    found: dict[str, tuple[str, Callable[[], Engine]]] = {
        "text": ("text", lambda: TextEngine(TextSettings(source=str(folder / "gpt2")), ("cpu",))),
        "caption": ("caption", lambda: CaptionEngine(CaptionSettings(source=str(folder / "blip")), ("cpu",))),
        "image": ("image", lambda: PictureEngine(PictureSettings(source=str(folder / "sd")), ("cpu",))),
    }
    if source is not None:
        found["text of --source"] = ("text", lambda: TextEngine(TextSettings(source=source), ("cpu",)))
    return found


def run(quick: bool = False, source: str | None = None) -> dict[str, Any]:
    """Ratios to the expected time by model; one is perfect. Seconds of wall time on one thread."""
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as temporary:
        for name, (kind, load) in engines(Path(temporary) / "tiny", source).items():
            figures[name] = measure(load(), kind, 2 if quick else 9)
    ratios = [
        {
            "name": f"{name}: farthest of any {what} from 1",
            "value": max(
                abs(r - 1) for n, r in figures[name]["over_expected"].items() if n.startswith(prefix)
            ),
            "target": WITHIN,
            "at_least": False,
        }
        for name in figures
        for what, prefix in (("factor", "factor"), ("change in service", "change"), ("pause", "pause"))
    ]
    return {**figures, "ratios": ratios}
