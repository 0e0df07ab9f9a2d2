"""What `pyproject.toml` cannot say: how the hot modules, which it lists, are compiled by mypyc.

A wheel carries them beside the sources; `python setup.py compiled` puts them where a checkout finds them. In both they
lie in a folder of their own, see `emulation/compiled.py`. Without a C compiler or Python's headers, or with
EDGEBED_PURE set, there is nothing compiled, and that is said.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path

from setuptools import Command, Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from emulation import compiled  # noqa: E402

SOURCES = compiled.digest(HERE)
MOST_BUILDS = 3
"""Builds a checkout keeps: a process may still load modules of the one before."""


def hot_modules() -> list[str]:
    """The files listed in `pyproject.toml`, relative to the checkout. Raises `SystemExit` for a pattern of nothing."""
    listed = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["edgebed"]["compiled"]
    files = {pattern: sorted(HERE.glob(pattern)) for pattern in listed}
    if empty := [pattern for pattern, found in files.items() if not found]:
        raise SystemExit(f"[tool.edgebed] compiled: no file is called {empty[0]}")
    found = dict.fromkeys(f for some in files.values() for f in some if f.name != "__init__.py")
    return [str(f.relative_to(HERE)) for f in found]


def missing() -> str | None:
    """Why nothing can be compiled; None if it can."""
    if os.environ.get(compiled.PURE, "") not in ("", "0"):
        return f"{compiled.PURE} is set"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}); Debian: apt-get install gcc"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return None if headers.is_file() else f"{headers} is missing; Debian: apt-get install python3-dev"


def extensions() -> list[Extension]:
    """The library and a name per module."""
    from mypyc.build import mypycify

    os.chdir(HERE)
    settings = ["--config-file=pyproject.toml", "--ignore-missing-imports", "--cache-dir=build/mypyc-cache"]
    made = mypycify([*settings, *hot_modules()], opt_level="2", debug_level="0", group_name="edgebed")
    for extension in made:
        extension.extra_compile_args += [
            "-ffp-contract=off",  # rounds as the interpreter does, on any machine
            "-fvisibility=hidden",  # calls within the library go nowhere else
            "-fno-plt",
        ]
    return list(made)


class BuildCompiled(build_ext):
    """Builds into a folder named after the sources; never beside them, where an old build would win silently."""

    def run(self) -> None:
        """Nothing for an editable install: `make compiled` does that."""
        if not (self.inplace or self.editable_mode):
            shutil.rmtree(Path(self.build_lib, compiled.FOLDER), ignore_errors=True)
            super().run()
            if compiled.digest(HERE) != SOURCES:
                raise SystemExit("the sources changed while they were compiled; try again")

    def get_ext_fullpath(self, ext_name: str) -> str:
        """Where a module's file goes."""
        folder = Path(self.build_lib, compiled.FOLDER, SOURCES)
        return str(folder / f"{ext_name}{compiled.SUFFIX}")

    def get_outputs(self) -> list[str]:
        """All of them, or none of an editable install."""
        return [] if self.inplace or self.editable_mode else super().get_outputs()


class CompileHere(Command):
    """Compile the hot modules for this checkout, if they are not, and say which of the two is in use."""

    user_options: list[tuple[str, str | None, str]] = []

    def initialize_options(self) -> None:
        """There are none."""

    def finalize_options(self) -> None:
        """There are none."""

    def run(self) -> None:
        """Raises `SystemExit` where there is a compiler and the sources do not compile."""
        why_not = missing()
        builds = HERE / compiled.FOLDER
        build = builds / SOURCES
        if why_not is None and not build.is_dir():
            print("compiling the hot modules (a minute or two, after changes of theirs)", flush=True)
            self._build(build)
        print(f"runs uncompiled: {why_not}" if why_not else "runs compiled")

    def _build(self, build: Path) -> None:
        self.distribution.ext_modules = extensions()
        command = self.reinitialize_command("build_ext", build_lib="build/compiled", parallel=2)
        command.ensure_finalized()
        command.run()
        build.parent.mkdir(exist_ok=True)
        Path("build/compiled", compiled.FOLDER, build.name).rename(build)
        for old in sorted(build.parent.iterdir(), key=lambda b: b.stat().st_mtime)[:-MOST_BUILDS]:
            shutil.rmtree(old)


def for_wheel() -> list[Extension]:
    """What a wheel carries; none, and why, where it cannot be compiled."""
    if not {"bdist_wheel", "build_ext"} & set(sys.argv):
        return []
    why_not = missing()
    if why_not is not None:
        print(f"nothing is compiled: {why_not}")
        return []
    return extensions()


setup(ext_modules=for_wheel(), cmdclass={"build_ext": BuildCompiled, "compiled": CompileHere})
