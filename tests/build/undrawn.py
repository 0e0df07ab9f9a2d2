"""Pages with empty pictures, for who looks at something else of a report: drawing is most of what one costs.

As a module of its own it is the command, with such pages: `python -m tests.build.undrawn compare ...`.
"""

from __future__ import annotations

import html

import pytest

from edgebed.commands.main import main


def leave_pictures_empty(patch: pytest.MonkeyPatch) -> None:
    """Whatever is drawn into a page from now on says what it shows, and shows nothing."""
    patch.setattr(
        "edgebed.report.theme.Drawing.svg",
        lambda picture: f'<svg role="img" aria-label="{html.escape(picture.alt)}"></svg>',
    )


if __name__ == "__main__":
    leave_pictures_empty(pytest.MonkeyPatch())
    main()
