"""The course of a reproduction: each part is run on all cores and concluded, then everything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from os import cpu_count
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

import orjson

from edgebed.commands.console import progress_bar, say
from edgebed.report.plain import Picture, plain_page
from edgebed.report.sheet import Sheet
from edgebed.runs.layout import fresh_folder
