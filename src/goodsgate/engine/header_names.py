"""Names of columns and members: the field that a name stands for, with the currency, unit or language that it adds.

Names of fields and their English aliases are in the table of fields; those of other languages, words for units and
languages are data of the generic profile.
"""

import functools
import re
from typing import NamedTuple

from goodsgate.model import fields
from goodsgate.model.batch import Kind
from goodsgate.model.nearest import nearest_name
from goodsgate.profiles import GENERIC, Column, fold, load_profile
from goodsgate.rules.currencies import DECIMALS, meant_by

NAMES_CACHED = 10_000
WORDS_MAX = 12
"""Longer names are not taken apart."""
TYPES_WITH_LANGUAGES = ("text", "long_text", "url", "brand", "category")
CURRENCY_SIGNS = ("€", "£", "$", "¥", "zł")
FILLERS = frozenset({"in", "en", "w", "em", "per"})
"""Words between a name and its unit or currency, as in ``Gewicht in kg``."""

_LOCALE = re.compile(r"[\s_\-.:\[(]([a-z]{2})[_\-]([A-Z]{2})(?:[\])]|$|-(?P<scope>\w+)$)")
"""Language and country, and what a PIM calls a channel: ``name-de_DE``, ``description-en_US-ecommerce``."""
_WORD = re.compile(r"[^\W_]+|[€£$¥]")
_CAMEL = re.compile(r"(?<=[a-zà-ÿ])(?=[A-Z])")


class HeaderName(NamedTuple):
    """What a name stands for."""

    field: str
    currency: str | None = None
    unit: str | None = None
    language: str | None = None
    """Language, or language and country, and a channel, as far as they are named; distinguishes columns of a field."""

    @property
    def is_plain(self) -> bool:
        """Whether the name adds nothing."""
        return self.currency is None and self.unit is None and self.language is None


@functools.lru_cache(NAMES_CACHED)
def read_header_name(name: str, kind: Kind) -> HeaderName | None:
    """Return what the name of a column or member stands for; None for an unknown name."""
    field = _field(name, kind)
    if field is not None:
        return HeaderName(field)
    if (localized := _LOCALE.search(name)) is not None:
        field = _field(name[: localized.start()], kind)
        if field is not None and _type(field, kind) in TYPES_WITH_LANGUAGES:
            scope = f" {localized['scope']}" if localized["scope"] else ""
            return HeaderName(field, language=f"{localized[1]}_{localized[2]}{scope}")
    return _read_words(name, kind)


def _read_words(name: str, kind: Kind) -> HeaderName | None:
    """Take a currency, unit or language off either end of a name, until a field is left."""
    words = _words(name)
    if not 2 <= len(words) <= WORDS_MAX:
        return None
    if (field := _field(" ".join(words), kind)) is not None:
        return HeaderName(field)
    for at, rest in ((-1, words[:-1]), (0, words[1:])):
        while len(rest) > 1 and at == -1 and rest[-1].lower() in FILLERS:
            rest = rest[:-1]
        field = _field(" ".join(rest), kind)
        if field is not None and (found := _qualified(field, words[at], kind)) is not None:
            return found
    return None


def read_additions(name: str, field: str, kind: Kind) -> HeaderName:
    """Return the field, to which somebody has mapped a name, with what the name adds: `read_header_name`."""
    for word in reversed(_words(name)[:WORDS_MAX]):
        if (found := _qualified(field, word, kind)) is not None and found.language is None:
            return found
    return HeaderName(field)


def _qualified(field: str, word: str, kind: Kind) -> HeaderName | None:
    """Return the field with what the word adds to it; None if it adds nothing that the field can have."""
    generic, lower, type = load_profile(GENERIC), word.lower(), _type(field, kind)
    if type == "money":
        currency = _currency(word)
        return HeaderName(field, currency=currency) if currency or word == "$" else None
    if type == "measure":
        unit = generic.units.get(lower)
        return HeaderName(field, unit=unit) if unit else None
    if type in TYPES_WITH_LANGUAGES and lower in generic.languages:
        return HeaderName(field, language=generic.languages[lower])
    return None


def _currency(word: str) -> str | None:
    if word in CURRENCY_SIGNS:
        return meant_by(word, None) if word != "$" else None  # a dollar may be one of many
    code = word.upper()
    return code if len(word) == 3 and code in DECIMALS else None


@functools.lru_cache(NAMES_CACHED)
def nearest_field(name: str, kind: Kind) -> str | None:
    """Return the field that an unknown name may stand for; None if none is near.

    A currency, unit or language in the name says nothing about that. A name that begins or ends with that of a field
    is nearer than one that is spelled alike.
    """
    generic = load_profile(GENERIC)
    words = [
        word for word in _words(name)
        if not _currency(word) and word.lower() not in generic.units and word not in CURRENCY_SIGNS
    ]
    for length in range(len(words), 0, -1):
        for part in (words[-length:], words[:length]):
            text = " ".join(part)
            field = _field(text, kind) if length == len(words) or len(text) >= 4 else None
            if field is not None:
                return field
    near = nearest_name(fold(" ".join(words)), _all_names(kind), similarity_min=fields.NEAR_ENOUGH)
    return _all_names(kind)[near] if near is not None else None


def _field(name: str, kind: Kind) -> str | None:
    """Return the field that a name without additions stands for."""
    field = fields.resolve(name, kind)
    if field is None and (column := generic_column(name)) is not None:
        field = next((each for each in column.to if each in fields.FIELDS[kind]), None)
    return field


def generic_column(name: str) -> Column | None:
    """Return what the generic profile says about a name; None if it does not know it."""
    match = load_profile(GENERIC).column(name)
    return match.columns[0] if match is not None else None


def _type(field: str, kind: Kind) -> str | None:
    known = fields.FIELDS[kind].get(field)
    return known.type if known is not None else None


def _words(name: str) -> list[str]:
    return _WORD.findall(_CAMEL.sub(" ", name))


@functools.cache
def _all_names(kind: Kind) -> dict[str, str]:
    """Return every folded name → field."""
    known = fields.FIELDS[kind]
    names = {
        fold(name): field for field, lists in load_profile(GENERIC).names.items() if field in known
        for each in lists for name in each
    }
    for field in known.values():
        names |= {fold(name): field.name for name in (*field.aliases, field.name)}
    return names
