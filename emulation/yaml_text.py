"""Reading YAML as a careful reader would: YAML 1.2's words for values, no trap of 1.1, and nothing that costs much.

`off` is text, `1e3` a number, `012` twelve, `1:30` and `2024-01-01` text. A key that is there twice is an error.
Aliases and merges (`<<`) are followed as far as a file of that size can mean it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 4 * 2**20
"""Of a file of ours."""
_DEEPEST = 40
_TOO_DEEP = f"is nested more than {_DEEPEST} levels deep"
_MOST_VALUES = 1_000_000
"""Values of a file, those behind aliases counted as often as they are named."""

_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": (r"<<", ["<"]),
}
"""YAML 1.2's core schema: tag to what looks like it, and what that begins with."""
_MOST_DIGITS = 400


class YamlError(ValueError):
    """Text that is no YAML we read; the message says where and why, in one line."""


def read_yaml(path: Path) -> Any:
    """What a YAML file says. Raises `YamlError`; `OSError` if it cannot be read at all."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise YamlError(f"is larger than {MOST_BYTES // 2**20} MiB; give a file of settings")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(f"line {line}: {not_utf8(error)}") from None
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        said = ", ".join(part for part in (error.context, error.problem) if part)
        tabs = "; indent with spaces" if "\\t" in said else ""
        raise YamlError(f"{where}not valid YAML: {said}{tabs}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(
            f"line {line}: holds the control character {chr(error.character)!r}; remove it"
        ) from None
    except RecursionError:
        raise YamlError(_TOO_DEEP) from None


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with a file that is not UTF-8, and what to do."""
    return f"is not UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8 text"


class _Loader(yaml.SafeLoader):
    """A SafeLoader with YAML 1.2's words, in which a doubled key is an error and aliases cannot explode."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    def get_single_node(self) -> yaml.Node | None:
        """The document, measured before anything is made of it."""
        node = super().get_single_node()
        if node is not None:
            _Measure().of(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As ever; a key that is there twice is an error, except one that a merge brings."""
        seen: set[Any] = set()
        for key_node, _ in node.value if node.id == "mapping" else ():
            if key_node.tag == _MERGE:
                continue
            key: Any = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _wrong(key_node, "a list or a mapping is no key")
            if key in seen:
                raise _wrong(node, f"key {str(key)[:60]!r} appears twice; remove one")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_bool(self, node: yaml.ScalarNode) -> bool:
        """true or false."""
        text = str(self.construct_scalar(node)).lower()
        if text not in ("true", "false"):
            raise _wrong(node, f"{text[:60]!r} is neither true nor false")
        return text == "true"

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number in base 10, or 0x..., 0o...."""
        text = str(self.construct_scalar(node))
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        try:
            if len(text) <= _MOST_DIGITS:
                return int(text, base)
        except ValueError:
            pass
        raise _wrong(node, f"{text[:60]!r} is no whole number of at most {_MOST_DIGITS} digits")

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """A number with a point or an exponent."""
        text = str(self.construct_scalar(node))
        try:
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            raise _wrong(node, f"{text[:60]!r} is no number") from None


_MERGE = "tag:yaml.org,2002:merge"

for _name, (_looks, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_looks})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:bool", _Loader.construct_yaml_bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


class _Measure:
    """Counts the values of a document, and its levels, as if every alias were written out."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """Values and levels of a node. Raises `MarkedYAMLError` for too many, or a node inside itself."""
        if isinstance(node, yaml.ScalarNode):
            return 1, 0
        if id(node) in self._known:
            return self._known[id(node)]
        if id(node) in self._open:
            raise _wrong(node, "an alias stands inside what it names")
        self._open.add(id(node))
        pairs = isinstance(node, yaml.MappingNode)
        inner = [part for pair in node.value for part in pair] if pairs else node.value
        size, height = 1, 0
        for values, levels in map(self.of, inner):
            size, height = size + values, max(height, levels + 1)
        self._open.discard(id(node))
        if height > _DEEPEST:
            raise _wrong(node, _TOO_DEEP)
        if size > _MOST_VALUES:
            raise _wrong(node, f"holds more than {_MOST_VALUES} values once its aliases are written out")
        self._known[id(node)] = size, height
        return size, height


def _wrong(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
