"""What is wrong with a page for those who do not see it, or use no mouse: rules of WCAG 2.2 that a parser can check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})
LANDMARKS = frozenset({"header", "nav", "main", "footer"})
TONES = frozenset({"good", "bad", "muted"})


@dataclass
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        """Every element below it, in order; of these tags if any are given."""
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    yield child
                yield from child.all(*tags)

    def text(self) -> str:
        """Everything that is read out of it."""
        return "".join(c if isinstance(c, str) else c.text() for c in self.children).strip()

    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    def above(self) -> Iterator[Element]:
        """What it is in, from near to far."""
        if self.parent is not None:
            yield self.parent
            yield from self.parent.above()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {k: v or "" for k, v in attrs}, self.at)
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Element(tag, {k: v or "" for k, v in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def parsed(page: str) -> Element:
    """The page as a tree. Raises `AssertionError` where elements do not nest."""
    reader = _Reader()
    reader.feed(page)
    assert reader.at is reader.root, f"<{reader.at.tag}> is never closed"
    return reader.root


def problems(page: str) -> list[str]:
    """Every finding, in words; empty for a page without one."""
    root = parsed(page)
    return [
        *_document(root), *_headings(root), *_landmarks(root), *_ids(root), *_pictures(root), *_tables(root),
        *_controls(root), *_tones(root), *_outside(root),
    ]  # fmt: skip


def _document(root: Element) -> Iterator[str]:
    html = next(root.all("html"))
    if not html.attributes.get("lang"):
        yield "the page has no language"
    if not next(root.all("title")).text():
        yield "the page has no title"
    style = next(root.all("style")).text()
    if ":focus-visible" not in style or "outline: none" in style:
        yield "the focus is not made visible"
    if "@media print" not in style:
        yield "nothing is said of print"


def _headings(root: Element) -> Iterator[str]:
    levels = [(int(e.tag[1]), e.text()) for e in root.all("h1", "h2", "h3", "h4", "h5", "h6")]
    if [level for level, _ in levels].count(1) != 1 or levels[0][0] != 1:
        yield "the page does not begin with its only h1"
    for (before, _), (after, text) in zip(levels, levels[1:], strict=False):
        if after > before + 1:
            yield f"heading {text!r} skips a level"
    for _, text in levels:
        if not text:
            yield "a heading is empty"


def _landmarks(root: Element) -> Iterator[str]:
    found = Counter(e.tag for e in root.all(*LANDMARKS))
    for tag in LANDMARKS:
        if found[tag] != 1:
            yield f"{found[tag]} elements of the landmark {tag}"
    body = next(root.all("body"))
    for child in body.children:
        loose = child.strip() if isinstance(child, str) else child.tag not in LANDMARKS and child.text()
        if loose and not (isinstance(child, Element) and "skip" in child.classes()):
            yield f"{loose!r} is in no landmark"
    for nav in root.all("nav"):
        if not nav.attributes.get("aria-label"):
            yield "a navigation has no label"


def _ids(root: Element) -> Iterator[str]:
    ids = Counter(e.attributes["id"] for e in root.all() if "id" in e.attributes)
    yield from (f"id {name!r} stands {count} times" for name, count in ids.items() if count > 1)
    for element in root.all():
        target = element.attributes.get("href", "")
        if target.startswith("#") and target[1:] not in ids:
            yield f"{target!r} leads nowhere"


def _pictures(root: Element) -> Iterator[str]:
    for image in root.all("img"):
        if not image.attributes.get("alt"):
            yield "an image has no alternative text"
    for drawn in root.all("svg"):
        said, hidden = drawn.attributes.get("aria-label", ""), drawn.attributes.get("aria-hidden") == "true"
        if not hidden and (drawn.attributes.get("role") != "img" or len(said) < 40):
            yield f"a picture does not say what it shows: {said!r}"


def _tables(root: Element) -> Iterator[str]:
    for table in root.all("table"):
        names = [e.text() for e in table.all("caption")]
        names += [e.attributes.get("aria-label", "") for e in table.above()]
        if not any(names):
            yield "a table has no name"
        widths = {
            sum(int(c.attributes.get("colspan", "1")) for c in row.all("th", "td")) for row in table.all("tr")
        }
        if len(widths) > 1:
            yield f"a table {names[0]!r} is ragged: {sorted(widths)} cells"
        for header in table.all("th"):
            if header.attributes.get("scope") not in ("col", "row", "rowgroup"):
                yield f"header {header.text()!r} has no scope"
            if not header.text():
                yield f"a header of {names[0]!r} is empty"
        if not any(h.attributes.get("scope") == "col" for h in table.all("th")):
            yield f"table {names[0]!r} has no column headers"


def _controls(root: Element) -> Iterator[str]:
    for link in root.all("a"):
        if not link.text():
            yield "a link has no text"
    for details in root.all("details"):
        if not any(s.text() for s in details.all("summary")):
            yield "what can be opened does not say what it is"
    for element in root.all():
        index = element.attributes.get("tabindex")
        if index is not None and int(index) > 0:
            yield "the order of focus is not that of the page"
        if "scroll" in element.classes() and (index != "0" or not element.attributes.get("aria-label")):
            yield "what scrolls cannot be reached by keyboard, or has no name"


def _tones(root: Element) -> Iterator[str]:
    for element in root.all():
        if element.classes() & TONES and not any(c.isalpha() for c in element.text()):
            yield f"colour alone says what {element.text()!r} means"


def _outside(root: Element) -> Iterator[str]:
    for element in root.all():
        if element.tag in ("script", "iframe", "link", "object"):
            yield f"the page needs a {element.tag}"
        for name in ("href", "src", "xlink:href"):
            target = element.attributes.get(name, "#")
            if not target.startswith(("#", "data:")):
                yield f"{name} leads out of the page: {target!r}"
