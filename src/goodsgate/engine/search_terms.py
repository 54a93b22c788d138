"""The terms by which products are found, and those that a search asks for.

A term is a word without case and accents, or a whole value behind a mark that no word contains. The same functions read
an item and a search, in every store, so that it does not matter which of them compares the terms.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

import msgspec
import orjson

from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.json_text import is_number, read_json
from goodsgate.store.contract import SearchTerm

WORDS_MAX = 1_000
"""Words of one item; further ones are not found."""
TEXT_CHARACTERS_MAX = 200
"""Of a word; longer ones are cut. A text that is no longer needs no check."""
DEPTH_MAX = 8
GTIN_MARK = "e¦"
BRAND_MARK = "b¦"
NOTHING = "¦"
"""Behind a mark in a search that no item meets."""

_SINGLES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\U00020000-\U0003ffff"
)
"""Characters of scripts that are written without spaces: each is a word."""
_ASCII_WORDS = bytes(
    ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 if code else 0 for code in range(256)
)
"""Turns ASCII into words with spaces between; NUL stays."""
_find_spaces = re.compile(" {2,}").sub
_find_words = re.compile(rf"[{_SINGLES}]|[^\W_{_SINGLES}]+").findall
_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i"}
)
"""Letters that do not decompose, as they are typed without accents."""
_CACHED_BELOW = 0x3000
"""The characters of alphabets."""


class _Folding(dict[int, str | int | None]):
    """A table for `str.translate` that removes marks."""

    def __missing__(self, code: int) -> int | None:
        folded = None if unicodedata.category(chr(code)).startswith("M") else code
        if code < _CACHED_BELOW:
            self[code] = folded
        return folded


_folding = _Folding(_LETTERS)


class _SearchedVariant(msgspec.Struct, gc=False):
    gtin: str | None = None


class _SearchedProduct(msgspec.Struct, gc=False):
    title: str
    brand: str | None = None
    gtin: str | None = None
    item_group_id: str | None = None


class _SearchedVariants(msgspec.Struct, gc=False):
    variants: list[_SearchedVariant] | None = None


_decode = msgspec.json.Decoder(_SearchedProduct).decode
_decode_variants = msgspec.json.Decoder(_SearchedVariants).decode


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order, without case and accents."""
    if text.isascii():
        words = text.encode().translate(_ASCII_WORDS).replace(b"\0", b" ").decode().split()
        return words if len(text) <= TEXT_CHARACTERS_MAX else _cut(words)
    return _cut(_find_words(unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_folding)))


def _cut(words: list[str]) -> list[str]:
    return [word[:TEXT_CHARACTERS_MAX] for word in words[:WORDS_MAX]]


def item_terms(kind: Kind, keys: Sequence[str], documents: Sequence[bytes]) -> list[str]:
    """Return, for each item, its terms with spaces between; empty for prices and stock."""
    if kind is not Kind.PRODUCT:
        return [""] * len(keys)
    texts, values = list[str](), list[str]()
    for document in documents:
        _read(document, texts, values)
    return [f"{words}{value}".lstrip() for words, value in zip(_join_words(texts), values, strict=True)]


def _join_words(texts: Sequence[str]) -> list[str]:
    """Return the words of each text with spaces between: of nearly all texts at once."""
    plain = [text for text in texts if _is_plain(text)]
    whole = _find_spaces(" ", b"\0".join(map(str.encode, plain)).translate(_ASCII_WORDS).decode())
    lines = iter(whole.replace(" \0", "\0").replace("\0 ", "\0").split("\0"))
    if len(plain) == len(texts):
        return [line.strip() for line in lines] if texts else []
    return [
        next(lines).strip() if _is_plain(text) else " ".join(words_of(text)) for text in texts
    ]


def _is_plain(text: str) -> bool:
    return text.isascii() and len(text) <= TEXT_CHARACTERS_MAX and "\0" not in text


def _read(document: bytes, texts: list[str], values: list[str]) -> None:
    """Add the text whose words count, and the terms of whole values, each with a space before it."""
    try:
        product = _decode(document)
        has_more = document.count(b'"gtin"') > (product.gtin is not None)
        variants = (_decode_variants(document).variants or ()) if has_more else ()
    except msgspec.DecodeError:
        _read_members(document, texts, values)
        return
    text, brand, gtin = product.title, product.brand, product.gtin
    value = ""
    if brand is not None:
        text, value = f"{text} {brand}", f" {_brand_value(brand)}"
    if product.item_group_id is not None:
        text = f"{text} {product.item_group_id}"
    if gtin is not None:
        value = f"{value} {GTIN_MARK}{_digits_of(gtin)}"
    for variant in variants:
        if variant.gtin is not None:
            value = f"{value} {GTIN_MARK}{_digits_of(variant.gtin)}"
    texts.append(text)
    values.append(value)


@lru_cache(10_000)
def _brand_value(brand: str) -> str:
    """Return the term of a brand; the brands of a catalogue are few."""
    return BRAND_MARK + _name_of(brand)


def _read_members(document: bytes, texts: list[str], values: list[str]) -> None:
    """Do the same for a record in the words of a protocol or a submitter, by whatever names its members have."""
    found: dict[str, list[str]] = {"brand": [], "gtin": [], "text": []}
    with suppress(orjson.JSONDecodeError):
        _collect(read_json(document), found, 0)
    texts.append(" ".join([*found["text"], *found["brand"]]))
    terms = [*map(_brand_value, found["brand"]), *(GTIN_MARK + _digits_of(gtin) for gtin in found["gtin"])]
    values.append("".join(f" {term}" for term in terms))


def _collect(node: object, texts: dict[str, list[str]], depth: int) -> None:
    if depth > DEPTH_MAX:
        return
    if isinstance(node, list):
        for value in node:
            _collect(value, texts, depth + 1)
    elif isinstance(node, dict):
        for name, value in node.items():
            field = _field_of(name)
            if field in ("brand", "gtin"):
                texts[field] += _texts(value, depth)
            elif field in ("title", "item_group_id"):
                texts["text"] += _texts(value, depth)
            elif isinstance(value, dict | list):
                _collect(value, texts, depth + 1)


@lru_cache(10_000)
def _field_of(name: str) -> str | None:
    """Return the field for a member; the names of a collection are few."""
    return fields.resolve(name, Kind.PRODUCT) if len(name) <= TEXT_CHARACTERS_MAX else None


def _texts(node: object, depth: int) -> Iterator[str]:
    """Yield every text and number inside the node, as text."""
    if isinstance(node, str):
        yield node
    elif is_number(node):
        yield str(node)
    elif isinstance(node, dict | list) and depth <= DEPTH_MAX:
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value, depth + 1)


def _name_of(brand: str) -> str:
    """Return a brand as it is compared: without case, accents, signs and spaces."""
    return "".join(words_of(brand))[:TEXT_CHARACTERS_MAX]


def _digits_of(gtin: str) -> str:
    """Return a GTIN as it is compared: without what groups its digits, and without leading zeros."""
    digits = gtin.replace(" ", "").replace("-", "").lstrip("0")
    return digits if digits.isascii() and digits.isdigit() and len(digits) <= TEXT_CHARACTERS_MAX else ""


def text_terms(text: str) -> list[tuple[SearchTerm, ...]]:
    """Return what a text asks for: each of its words, or a word that begins with it, or a GTIN that does.

    A single character asks for itself.
    """
    wanted = []
    for word in dict.fromkeys(words_of(text)):
        alternatives = [SearchTerm(word, is_prefix=len(word) > 1)]
        if len(word) > 1 and (digits := _digits_of(word)):
            alternatives.append(SearchTerm(GTIN_MARK + digits, is_prefix=True))
        wanted.append(tuple(alternatives))
    return wanted


def gtin_term(gtin: str) -> tuple[SearchTerm, ...]:
    """Return what a search for a GTIN asks for; leading zeros do not count."""
    return (SearchTerm(GTIN_MARK + (_digits_of(gtin) or NOTHING), is_prefix=False),)


def brand_term(brand: str) -> tuple[SearchTerm, ...]:
    """Return what a search for a brand asks for: the whole name, but for case, accents, signs and spaces."""
    return (SearchTerm(BRAND_MARK + (_name_of(brand) or NOTHING), is_prefix=False),)
