"""XML: each element that repeats is a record, which comes out as one line of JSON.

An element with text is a text, one with other elements an object, and one that stands several times beside itself a
list. Empty elements are left out, as empty cells of a table are. Attributes are ``@name`` beside the elements of a
record, and ``element@name`` beside an element inside it; a currency or unit is also part of its number. Names are
local names; one of a foreign namespace keeps its prefix.

RSS and Atom have a vocabulary of their own, which Google's replaces: a ``g:title`` beats a ``title``. Their attributes
are left out, but for the address of an Atom link.

The text is parsed by expat in this process, as it arrives. Nothing is looked up or expanded: a file that declares
entities is not read.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import msgspec

from goodsgate.formats.charset import detect_charset, find_encoding, first_bytes, utf8
from goodsgate.formats.contract import UnknownEncodingError
from goodsgate.formats.lines import truncate_line
from goodsgate.formats.payload_reader import PayloadReader, RecordRun, has_error
from goodsgate.formats.xml_structure import ATOM, GOOGLE, find_records, local_name
from goodsgate.model.issue import issue

SAMPLE_BYTES = 2 * 1024 * 1024
"""The element that repeats is looked for in so many bytes."""
DEPTH_MAX = 64
ATTRIBUTES_MAX = 256
TEXT_BUFFER_BYTES = 64 * 1024
DEFAULT_CHARACTERS_MAX = 100

UNIT_ATTRIBUTES = frozenset({"currency", "currencycode", "currency_code", "unit", "unitcode", "unit_code", "uom"})
"""Attributes, in lower case, that say in what an element counts: ``<price currency="EUR">7.90</price>`` is 7.90 EUR."""

URL_LISTS = frozenset({"additional_image_link", "additional_image_links"})
"""Elements that are lists of URLs, which some write into one element."""
OBJECT_LISTS = frozenset({"shipping", "product_detail", "certification", "loyalty_program"})
"""Elements that are lists, also if there is one alone: a table holds the same."""

_BETWEEN_URLS = re.compile(r"[\s,;|]+(?=https?://)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d[\d.,]*")
_DECLARED_ENCODING = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
_TRUNCATED = {
    expat.errors.codes[text] for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR, expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}  # fmt: skip
_FEED_NAMES = {"summary": "description", "content": "description"}
"""Names of RSS and Atom that Google's vocabulary calls otherwise."""

Members = dict[str, Any]
_encoder = msgspec.json.Encoder()


class UnreadableXmlError(Exception):
    """The document contains what is never read; says what."""


class Node:
    """An element of a record while it is read."""

    __slots__ = ("key", "members", "texts", "unit")

    def __init__(self, key: str | None) -> None:
        self.key = key
        """Its name in the record; None if it is left out."""
        self.members: Members | None = None
        self.texts: list[str] = []
        """Pieces of its text: adding them one by one to a text would leave holes in the memory of the process."""
        self.unit = ""
        """Currency or unit of a number, from an attribute."""

    def add(self, key: str, value: Any) -> None:
        """Add a member; further ones of the same name make it a list."""
        members = self.members
        if key in OBJECT_LISTS and not isinstance(value, list):
            value = [value]
        if members is None:
            self.members = {key: value}
        elif key not in members:
            members[key] = value
        else:
            had = members[key] if isinstance(members[key], list) else [members[key]]
            members[key] = [*had, *(value if isinstance(value, list) else [value])]

    def value(self) -> Any:
        """Return the text, or the object of the members; empty text if there is nothing."""
        text = "".join(self.texts).strip()
        if self.members is None and self.key in URL_LISTS and len(urls := _BETWEEN_URLS.split(text)) > 1:
            return urls
        if self.members is None:
            return f"{text} {self.unit}" if self.unit and _NUMBER.fullmatch(text) else text
        if text:
            self.add("#text", text)
        return self.members


class XmlDocument:
    """Records of an XML document; the constructor finds the element that holds them."""

    def __init__(self, pieces: Iterator[bytes], reader: PayloadReader, *, encoding: str | None,
                 records_at: str | None) -> None:
        self._reader = reader
        self._limit = reader.limits.line_bytes_max
        sample, self._pieces = first_bytes(_as_utf8(pieces, reader, encoding), min(SAMPLE_BYTES, self._limit))
        self._structure = find_records(sample, reader, records_at=records_at)
        self._keys: dict[str, str] = {}
        self._node: Node | None = None
        self._parents: list[Node] = []
        self._path: list[str] = []
        """Local names of the open elements outside of records."""
        self._default = ""
        """Name of the member that the open element outside of records gives to every record."""
        self._defaults: Members = {}
        self._size = 0
        """Characters of the current record."""
        self._line_number = 0
        self._line = bytearray()
        """Where records are encoded, so that each has just the memory that it needs."""
        self._run = RecordRun([], [], {}, 0)
        self._fed = 0
        self._found = 0
        self._parser = self._create_parser()

    def runs(self) -> Iterator[RecordRun]:
        """Yield the records; what ends the document too early is stored in the reader."""
        structure = self._structure
        if structure is None:
            return
        try:
            for piece in self._pieces:
                self._feed(piece)
                yield self._take(len(piece))
            if self._reader.stopped is None and not has_error(self._reader.notices):
                self._parser.Parse(b"", True)
        except UnreadableXmlError as fault:
            self._reader.stop("payload_corrupt", f"XML: {fault}")
        except expat.ExpatError as fault:
            code = "payload_truncated" if fault.code in _TRUNCATED else "payload_corrupt"
            where = f", in the record that begins in line {self._line_number:,}" if self._node is not None else ""
            self._reader.stop(code, f"XML: {expat.ErrorString(fault.code)} in line {fault.lineno:,}{where}")
        yield self._take(0)
        if not self._found and self._reader.stopped is None and structure.is_given:
            self._reader.add_notice("records_missing", structure.text)

    def _create_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.buffer_size = TEXT_BUFFER_BYTES
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text
        forbid_entities(parser)
        return parser

    def _feed(self, piece: bytes) -> None:
        self._fed += len(piece)
        self._parser.Parse(piece, False)
        if self._fed - self._parser.CurrentByteIndex > self._limit:
            raise UnreadableXmlError(f"a tag or comment of more than {self._limit:,} bytes")

    def _take(self, size: int) -> RecordRun:
        run, self._run = self._run, RecordRun([], [], {}, 0)
        run.size = size
        return run

    def _start(self, name: str, attributes: list[str]) -> None:
        node, structure = self._node, self._structure
        assert structure is not None
        if node is None:
            self._path.append(local_name(name))
            if structure.matches(name, self._path):
                self._node = Node("")
                self._size = 0
                self._line_number = self._parser.CurrentLineNumber
            else:
                self._default = structure.defaults.get("/".join(self._path[-3:]), "")
        else:
            parents = self._parents
            parents.append(node)
            key = self._keys.get(name) or self._key(name)
            self._node = Node(f"\0{key}" if structure.is_feed and len(parents) == 1 and GOOGLE not in name else key)
        if len(self._path) + len(self._parents) > DEPTH_MAX:
            raise UnreadableXmlError(f"elements at more than {DEPTH_MAX} levels")
        if attributes:
            self._add_attributes(name, attributes)

    def _add_attributes(self, name: str, attributes: list[str]) -> None:
        if len(attributes) > ATTRIBUTES_MAX * 2:
            raise UnreadableXmlError(f"an element with more than {ATTRIBUTES_MAX} attributes")
        node, structure = self._node, self._structure
        if node is None or structure is None:
            return
        values = dict(zip(attributes[::2], attributes[1::2], strict=True))
        if structure.is_feed:
            if name == f"{ATOM} link":
                node.texts = [values.get("href", "")]
                node.key = node.key if values.get("rel", "alternate") == "alternate" else None
            return
        target, prefix = (self._parents[-1], f"{node.key}@") if self._parents else (node, "@")
        for attribute, value in values.items():
            if " " not in attribute and value.strip():  # those of a namespace, such as xsi:type, are no data
                if attribute.lower() in UNIT_ATTRIBUTES:
                    node.unit = value.strip()
                target.add(prefix + attribute, value.strip())
                self._size += len(value)

    def _add_text(self, text: str) -> None:
        if self._node is not None:
            self._size += len(text)
            if self._size <= self._limit:
                self._node.texts.append(text)
        elif self._default and len(self._defaults.get(self._default, "")) < DEFAULT_CHARACTERS_MAX:
            self._defaults[self._default] = (self._defaults.get(self._default, "") + text).strip()

    def _end(self, _name: str) -> None:
        node = self._node
        if node is None:
            self._path.pop()
            self._default = ""
            return
        value = node.value()
        if not self._parents:
            self._path.pop()
            self._node = None
            self._add_record(value)
            return
        self._node = parent = self._parents.pop()
        if value != "" and node.key is not None:
            self._size += len(node.key)
            if self._size <= self._limit:
                parent.add(node.key, value)

    def _add_record(self, value: Any) -> None:
        """Add a record, which is an object even if the element holds only text."""
        members: Members = value if isinstance(value, dict) else {"#text": value} if value else {}
        if self._structure is not None and self._structure.is_feed:
            members = _with_google_names(members)
        if self._defaults:
            members = {**self._defaults, **members}
        _encoder.encode_into(members, self._line)
        line = bytes(self._line)
        if self._size > self._limit or len(line) > self._limit:
            self._run.unreadable[len(self._run.records)] = issue(
                "line_too_long", expected=f"at most {self._limit:,} bytes"
            )
            line = truncate_line(line)
        run = self._run
        run.records.append(line)
        run.source_rows.append(self._line_number)
        self._found += 1

    def _key(self, name: str) -> str:
        """Return how an element is called in a record."""
        assert self._structure is not None
        key = self._keys[name] = self._structure.key(name)
        return key


def _as_utf8(pieces: Iterator[bytes], reader: PayloadReader, encoding: str | None) -> Iterator[bytes]:
    """Yield the document in UTF-8: by its byte-order mark, by the `encoding` given, or as it declares itself."""
    head, pieces = first_bytes(_without_blanks(pieces), 1024)
    if detect_charset(head) is not None:
        return utf8(pieces, reader)
    declared = _DECLARED_ENCODING.match(head)
    if encoding is None and declared is not None:
        try:
            encoding = find_encoding(declared[1].decode())
        except UnknownEncodingError as fault:
            reader.stop("payload_corrupt", f"XML: {fault}")
            return iter(())
        if encoding == "utf-8":
            return pieces
    return pieces if encoding is None else utf8(pieces, reader, encoding=encoding)


def _without_blanks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the document without blanks before its declaration, which some shop systems write there."""
    for piece in pieces:
        if rest := piece.lstrip():
            yield rest
            break
    yield from pieces


def _with_google_names(members: Members) -> Members:
    """Return the members of an entry: those of Google's vocabulary, then those of RSS or Atom that it does not have."""
    named = {key: value for key, value in members.items() if key[0] != "\0"}
    for key, value in members.items():
        if key[0] == "\0":
            named.setdefault(_FEED_NAMES.get(key[1:], key[1:]), value)
    return named


def forbid_entities(parser: expat.XMLParserType) -> None:
    """Let the parser raise UnreadableXmlError where a document declares or uses entities of its own, or is HTML."""

    def refuse(name: str, *_: Any) -> None:
        raise UnreadableXmlError(f"the document uses an entity of its own ({name}); entities are not expanded")

    def check_doctype(name: str, *_: Any) -> None:
        if name.lower() == "html":
            raise UnreadableXmlError("this is an HTML page, not product data")

    parser.EntityDeclHandler = refuse
    parser.SkippedEntityHandler = refuse
    parser.StartDoctypeDeclHandler = check_doctype
