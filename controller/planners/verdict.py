"""Which of a few plans are as good as the best one, where what is known of each is a noisy forecast.

The least of several noisy figures is a matter of chance where they are close: with one request more or less in the
window they were drawn from it is another plan's. So plans that the forecasts cannot tell from the best one count as
equal, and whoever asks decides among equals by something steadier.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from controller.capacity import Floats


def equals(scores: Floats, keep_gain: float, doubt: float) -> list[int]:
    """Plans that are not clearly worse than the best one, in their order, the best among them.

    `scores`: (draws, plans), lower is better; one draw is the same noise for every plan, so plans are compared draw by
    draw. A plan is clearly worse if the best one's mean is lower by more than `keep_gain` of its own and by more than
    `doubt` standard errors of such a difference. All differences are taken to be as uncertain as they are on average
    (of two draws each alone says little); of one draw no standard error is known.
    """
    draws, plans = scores.shape
    mean = scores.mean(axis=0)
    best = int(mean.argmin())
    error = 0.0
    if draws > 1 and plans > 1:
        gaps = np.delete(scores - scores[:, [best]], best, axis=1)
        error = sqrt(float(gaps.var(axis=0, ddof=1).mean()) / draws)
    bar = np.maximum(keep_gain * np.abs(mean), doubt * error)
    return [int(i) for i in np.flatnonzero(mean - mean[best] <= bar)]
