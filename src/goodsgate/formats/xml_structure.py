"""Find the element of an XML document that holds a record."""

from collections.abc import Sequence
from typing import Any
from xml.parsers import expat

import msgspec

from goodsgate.formats.payload_reader import PayloadReader

GOOGLE = "http://base.google.com/"
"""How the namespaces of Google's product data begin."""
ATOM = "http://www.w3.org/2005/Atom"
RECORDS_OF_ROOT = {"rss": ("item",), "rdf": ("item",), "feed": ("entry",), "bmecat": ("ARTICLE", "PRODUCT")}
"""Root element in lower case → elements that are its records."""
DEFAULTS = {"bmecat": {"HEADER/CATALOG/CURRENCY": "CURRENCY"}}
"""Root element in lower case → elements of its header that hold for every record."""
RECORD_NAMES = frozenset({
    "item", "entry", "product", "offer", "article", "record", "row", "sku", "variant", "good", "listing", "shopitem",
    "productitem", "catalogitem", "produkt", "artikel", "angebot", "produit", "offre", "producto", "articulo",
    "artículo", "oferta", "prodotto", "articolo", "offerta", "towar", "pozycja", "aanbieding",
})
"""Names of a record in lower case, as shop systems and languages have them."""
CHOICES_MAX = 10
SURVEY_DEPTH_MAX = 12

Path = tuple[str, ...]


def local_name(name: str) -> str:
    """Return the name of an element without its namespace."""
    return name.rpartition(" ")[2]


def clark_name(name: str) -> str:
    """Return the name of an element as ``{namespace}name``."""
    namespace, space, local = name.rpartition(" ")
    return f"{{{namespace}}}{local}" if space else local


class Structure(msgspec.Struct, frozen=True):
    """Which elements of a document are records, and how elements are called in them."""

    names: frozenset[str]
    """Names of record elements, with their namespaces; empty if `steps` decide."""
    steps: list[str]
    """Local names with which the path of a record ends."""
    prefixes: dict[str, str | None]
    """Namespace → prefix."""
    own: frozenset[str]
    """Namespaces whose names need no prefix."""
    is_feed: bool
    """Whether the document is RSS or Atom."""
    is_given: bool
    text: str
    """The record element as it would be written in the option ``records_at``."""
    defaults: dict[str, str] = {}
    """Path of an element outside of records → the member that it gives to every record."""

    def matches(self, name: str, path: list[str]) -> bool:
        """Return whether an element is a record; `path` are the local names from the root to it."""
        return name in self.names if self.names else path[-len(self.steps) :] == self.steps

    def key(self, name: str) -> str:
        """Return how an element is called in a record."""
        namespace, _, local = name.rpartition(" ")
        prefix = None if namespace in self.own or namespace.startswith(GOOGLE) else self.prefixes.get(namespace)
        return f"{prefix}:{local}" if prefix else local


class _Element:
    """What a survey knows of the elements with one path."""

    def __init__(self) -> None:
        self.count = 0
        self.siblings = 0
        """Most of them beside each other."""
        self.has_members = False


class _Survey:
    """Elements of the beginning of a document by path."""

    def __init__(self) -> None:
        self.elements: dict[Path, _Element] = {}
        self.prefixes: dict[str, str | None] = {}
        self._path: Path = ()
        self._children: list[dict[str, int]] = [{}]
        self._beyond = 0

    def read(self, sample: bytes) -> None:
        """Read as far as the sample is readable."""
        parser = expat.ParserCreate("UTF-8", " ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartNamespaceDeclHandler = self._declare
        parser.EntityDeclHandler = _stop
        try:
            parser.Parse(sample, False)
        except expat.ExpatError:
            return

    def _declare(self, prefix: str | None, namespace: str) -> None:
        self.prefixes.setdefault(namespace, prefix)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._beyond or len(self._path) == SURVEY_DEPTH_MAX:
            self._beyond += 1
            return
        counts = self._children[-1]
        counts[name] = counts.get(name, 0) + 1
        if self._path:
            self.elements[self._path].has_members = True
        self._path += (name,)
        self._children.append({})
        element = self.elements.setdefault(self._path, _Element())
        element.count += 1
        element.siblings = max(element.siblings, counts[name])
        element.has_members |= len(attributes) > 1

    def _end(self, _name: str) -> None:
        if self._beyond:
            self._beyond -= 1
            return
        self._children.pop()
        self._path = self._path[:-1]


def _stop(*_: Any) -> None:
    raise expat.ExpatError


def find_records(sample: bytes, reader: PayloadReader, *, records_at: str | None) -> Structure | None:
    """Return the structure of a document that begins with `sample`; None, with the reason in the reader, if unknown.

    `records_at` names the record element, or the end of its path (``products/product``).
    """
    survey = _Survey()
    survey.read(sample)
    root = next(iter(survey.elements), None)
    if root is None:  # nothing to find: reading the document says why
        return Structure(frozenset(), [""], {}, frozenset(), False, False, "")
    reader.root, reader.namespaces = clark_name(root[0]), [*survey.prefixes]
    name = local_name(root[0]).lower()
    if name in ("html", "workbook"):
        what = "an HTML page" if name == "html" else "an Excel 2003 XML spreadsheet; save it as XLSX or CSV"
        reader.stop("payload_corrupt", f"this is {what}, not product data")
        return None
    is_feed = name in ("rss", "rdf", "feed")
    if records_at is not None:
        steps = [step.rpartition(":")[2] for step in records_at.strip("/").split("/")]
        reader.add_decision("records_at", records_at, "given")
        path = next((path for path in survey.elements if [*map(local_name, path)][-len(steps) :] == steps), root)
        return Structure(
            frozenset(), steps, survey.prefixes, _own_namespaces(root, path), is_feed, True, records_at
        )
    if name in RECORDS_OF_ROOT:
        path, names = _known_records(survey, root, RECORDS_OF_ROOT[name])
        text = "/".join(map(local_name, path[-2:]))
        reader.add_decision("records_at", text, "detected", 1.0)
        return Structure(
            names, [], survey.prefixes, _own_namespaces(root, path), is_feed, False, text, DEFAULTS.get(name, {})
        )
    paths, confidence = _choose(survey, root)
    if len({path[-1] for path in paths}) > 1:
        choices = ", ".join(sorted({_text_of(path) for path in paths})[:CHOICES_MAX])
        reader.add_notice("records_ambiguous", choices, suggestion=_text_of(paths[0]))
        return None
    path = paths[0]
    text = "/".join(map(local_name, path[-2:]))
    reader.add_decision("records_at", text, "detected", confidence)
    return Structure(
        frozenset({path[-1]}), [], survey.prefixes, _own_namespaces(root, path), is_feed, False, text
    )


def _own_namespaces(root: Path, path: Path) -> frozenset[str]:
    return frozenset({"", root[0].rpartition(" ")[0], path[-1].rpartition(" ")[0]})


def _known_records(survey: _Survey, root: Path, locals: Sequence[str]) -> tuple[Path, frozenset[str]]:
    """Return the path of a record and the names of all of them, also if the first one comes behind the sample."""
    namespace, space, _ = root[0].rpartition(" ")
    found = [path for path in survey.elements if local_name(path[-1]) in locals]
    names = {path[-1] for path in found} | {f"{namespace}{space}{local}" for local in locals}
    return found[0] if found else (root[0], f"{namespace}{space}{locals[0]}"), frozenset(names)


def _choose(survey: _Survey, root: Path) -> tuple[Sequence[Path], float]:
    """Return the paths of elements that may be the records, and the confidence that the only one is."""
    elements = survey.elements
    inner = [path for path, each in elements.items() if len(path) > 1 and each.has_members]
    named = _outermost([path for path in inner if local_name(path[-1]).lower() in RECORD_NAMES])
    if several := [path for path in named if elements[path].count > 1]:
        return several, 0.95
    others = _outermost([path for path in inner if elements[path].siblings > 1])
    if named and all(_is_inside(path, named) for path in others):
        return named, 0.9  # a single record, in which something repeats
    return (others, 0.7) if others else ([root], 0.5)


def _outermost(paths: list[Path]) -> list[Path]:
    """Return the paths that are not inside another one."""
    return [path for path in paths if not _is_inside(path, [other for other in paths if other != path])]


def _is_inside(path: Path, others: Sequence[Path]) -> bool:
    return any(path[: len(other)] == other for other in others)


def _text_of(path: Path) -> str:
    return "/".join(map(local_name, path[1:] or path))
