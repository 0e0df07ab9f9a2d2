"""The critical-difference picture shows all that it draws."""

from __future__ import annotations

import numpy as np
import pytest

from edgebed.matrix.picture import critical_difference_picture
from edgebed.report.palette import LIGHT
from tests.edgebed.matrix.test_stability import found, levels


@pytest.mark.slow
@pytest.mark.parametrize("cells", [3, 4, 18])
@pytest.mark.parametrize("schemes", [3, 5, 13])
def test_the_critical_difference_is_drawn_whole_with_what_is_said_of_it(schemes: int, cells: int) -> None:
    """With few cells it is longer than the ranks are apart."""
    rng = np.random.default_rng(3)
    one = found(
        levels(*([float(level) for level in rng.permutation(cells)] for _ in range(schemes)), cells=cells)
    )
    assert one.friedman is not None
    picture = critical_difference_picture(one, {s: f"scheme {s} (rules)" for s in one.overall.schemes})
    assert picture is not None
    width = one.friedman.critical_difference
    with picture.figure(LIGHT) as figure:
        figure.canvas.draw()
        (axes,) = figure.axes
        left, right = axes.get_xlim()
        (ruler,) = [
            line for line in axes.lines if np.ptp(np.asarray(line.get_xdata())) == pytest.approx(width)
        ]
        assert left <= min(ruler.get_xdata())
        assert max(ruler.get_xdata()) <= right
        texts = {text.get_text(): text for text in axes.texts}
        assert f"critical difference {width:.2f}" in texts
        for said, text in texts.items():
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0, said
            assert box.x1 <= figure.bbox.x1, said
