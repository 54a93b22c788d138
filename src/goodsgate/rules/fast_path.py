"""Fast path: cheap checks that accept most valid records after a typed decode.

The fast path never reports an issue. It accepts a record only if the rules (`record_rules`) would find nothing; every
other record is left to the rules. The typed decode has already checked types, lengths, choices and depth. The rest is
checked here: damaged text by the bytes of the record, blanks at edges, check digits, amounts, URLs, and whether values
exist in the reference data. Valid values that are not in their canonical form (`canonical`) are counted.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS, VARIANT_FIELDS, Field
from goodsgate.rules.context import RuleContext
from goodsgate.rules.currencies import DECIMALS, EXACTLY_TWO_DECIMALS
from goodsgate.rules.placeholders import PLACEHOLDERS
from goodsgate.rules.timestamps import canonical_span, canonical_time
from goodsgate.rules.typed_decoder import MAIN_MEMBERS, MAIN_VARIANT_MEMBERS, Amount, TypedDecoder
from goodsgate.rules.urls import ORIGIN, SEVERAL

ValueCheck = Callable[[Any], bool] | None
"""Whether a value is valid; None stands for the commonest check: `is_plain_text`."""

CREATING_VERBS = frozenset({Verb.UPSERT, Verb.CREATE})
ORIGINS_MAX = 10_000
FREQUENT_ORIGINS_MAX = 4

BACKSLASH, LESS_THAN, AMPERSAND, PLUS, DELETE = b"\\<&+\x7f"
_SUSPECT = re.compile(
    rb'<[a-zA-Z/!?]|&[a-zA-Z#][a-zA-Z0-9]{1,31};|\\[^"\\/n]|\x7f'
    rb"|\xc2[\x80-\xa0]|\xc3[\x82\x83]|\xc3\xa2\xe2|\xc3\xaf\xc2|\xc3\xb0\xc5"
    rb"|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80|\xef\xbb\xbf|\xef\xbf\xbd"
)
"""Everything that text checks report, as UTF-8, and every blank that is not ASCII."""

_AMOUNT = r"(?:[1-9][0-9]{0,11}(?:\.[0-9][0-9]?)?|0\.(?:0[1-9]|[1-9][0-9]?))"
_is_amount = re.compile(_AMOUNT).fullmatch
_is_price = re.compile(rf"{_AMOUNT} [A-Z]{{3}}").fullmatch
_is_canonical_price = re.compile(r"(?:[1-9][0-9]{0,11}\.[0-9][0-9]|0\.(?:0[1-9]|[1-9][0-9])) [A-Z]{3}").fullmatch
_is_canonical_measure = re.compile(r"(?:[1-9][0-9]*|0)(?:\.[0-9]*[1-9])? [a-z]+").fullmatch
TWO_DECIMALS = frozenset(code for code, decimals in DECIMALS.items() if decimals >= 2)
"""Currencies with at least two decimals."""
URL_FIELDS = tuple(name for name, field in FIELDS[Kind.PRODUCT].items() if field.type == "url")
CHECKED_TYPES = ("text", "long_text", "url", "money", "span", "measure", "moment", "yes_no")
"""Types of fields whose values the typed decode cannot check completely, or accepts in more forms than one."""
LISTED_TYPES = ("choice", "country")
"""Types of further fields that are checked if they hold lists."""


def has_suspect_bytes(document: bytes) -> bool:
    """Return whether a record holds a byte that may need a text check.

    These are escapes, markup, entities and everything that is not ASCII. A plus sign may be that of a number that a
    spreadsheet has rounded.
    """
    return (  # numbers: bytes find a number several times faster than a text of one byte
        BACKSLASH in document or LESS_THAN in document or AMPERSAND in document or PLUS in document
        or DELETE in document or not document.isascii()
    )


def is_plain_text(text: str) -> bool:
    """Return whether a text has no blank at its edges and is no word for nothing."""
    return text == text.strip() and text not in PLACEHOLDERS


def is_trimmed(text: str) -> bool:
    """Return whether a text has no blank at its edges."""
    return text == text.strip()


def is_decoded(value: Any) -> bool:  # noqa: ARG001 - a check like the others
    """Return that a value is valid, as the typed decode has found."""
    return True


def is_ordered(span: str) -> bool:
    """Return whether two timestamps in the same notation are in order."""
    begin, _, end = span.partition("/")
    same_notation = begin[-1] == end[-1] == "Z" or begin[-6:] == end[-6:]
    return same_notation and len(begin) == len(end) and begin <= end


class FastPath(ABC):
    """Checks that all kinds of records share."""

    kind: ClassVar[Kind]

    def __init__(self, context: RuleContext, verb: Verb, decoder: TypedDecoder) -> None:
        self.context = context
        self.verb = verb
        self.decoder = decoder
        self._price_currencies = TWO_DECIMALS if not context.decimal_comma else frozenset()
        self._canonical_currencies = EXACTLY_TWO_DECIMALS if not context.decimal_comma else frozenset()
        self.deviations = 0
        """Values of the last record that are not in their canonical form; metadata counts as one."""
        self.price_deviations = 0
        """How many of them are its price, 0 or 1."""
        self.has_variants = False
        """Set when a record has variants."""
        self._origins: set[str] = set()
        """Origins of URLs seen in this feed."""
        self._frequent_origins: tuple[str, ...] = ()
        """The first few of them, each with its slash."""
        self.update_members()

    def update_members(self) -> None:
        """Select the checks for the members that the decoder knows now."""
        self.checks = self._checks_for(self.decoder.members, FIELDS[self.kind], MAIN_MEMBERS[self.kind])
        self.variant_checks = self._checks_for(self.decoder.variant_members, VARIANT_FIELDS, MAIN_VARIANT_MEMBERS)

    def _checks_for(
        self, names: Iterable[str], fields: Mapping[str, Field], main: Sequence[str]
    ) -> list[tuple[str, ValueCheck]]:
        """Return the checks of members that are not checked by name."""
        known = [fields[name] for name in names if name in fields and name not in main]
        return [
            (field.name, self._check_for(field)) for field in known
            if field.type in CHECKED_TYPES or (field.repeated and field.type in LISTED_TYPES)
        ]

    def _check_for(self, field: Field) -> ValueCheck:
        checks: dict[str, Callable[[Any], bool]] = {
            "url": self.is_url, "money": self.is_price, "span": self._is_span, "measure": self._is_measure,
            "moment": self._is_time, "yes_no": self._is_yes_no, "choice": is_decoded, "country": is_decoded,
        }
        check = checks.get(field.type, is_plain_text)
        if not field.repeated:
            return None if check is is_plain_text else check
        return partial(self._are_valid, check, field.splits)

    def _are_valid(self, check: Callable[[Any], bool], is_list: bool, value: Any) -> bool:
        if type(value) is list:
            return all(map(check, value))
        self.deviations += is_list
        return check(value)

    def _is_span(self, span: str) -> bool:
        self.deviations += canonical_span(span) != span
        return is_ordered(span)

    def _is_time(self, time: str) -> bool:
        self.deviations += canonical_time(time) != time
        return True

    def _is_measure(self, measure: str) -> bool:
        """Return whether a measure, which the typed decode reads with a decimal point, can have one."""
        self.deviations += _is_canonical_measure(measure) is None
        return not self.context.decimal_comma or "." not in measure

    def _is_yes_no(self, value: Any) -> bool:
        self.deviations += type(value) is not bool
        return True

    def is_valid(self, document: bytes, record: Any) -> bool:
        """Return whether the rules would certainly find nothing in a decoded record; count its `deviations`."""
        self.deviations = self.price_deviations = 0
        if has_suspect_bytes(document) and not self._has_clean_texts(document, record):
            return False
        if not self._has_valid_members(record) or (self.checks and not self._pass(self.checks, record)):
            return False
        if record.version_number is not None or record.observed_at is not None or record.verb is not None:
            self.deviations += 1
        return True

    @abstractmethod
    def _has_valid_members(self, record: Any) -> bool:
        """Return whether the main members are valid; the price comes first, which counts its deviation."""

    @staticmethod
    def _pass(checks: Iterable[tuple[str, ValueCheck]], record: Any) -> bool:
        for name, check in checks:
            value = getattr(record, name)
            if value is not None and (
                value != value.strip() or value in PLACEHOLDERS if check is None else not check(value)
            ):
                return False
        return True

    def creates(self, record: Any) -> bool:
        """Return whether the record may create an item, so that its required members must be there."""
        return (record.verb or self.verb) in CREATING_VERBS

    def _has_clean_texts(self, document: bytes, record: Any) -> bool:
        """Return whether the bytes of a record hold nothing that text checks report."""
        if b"\\u" in document:
            document = orjson.dumps(orjson.loads(document))  # the same text with the characters in place of escapes
        if _SUSPECT.search(document):
            return False
        if b"\\n" in document:
            line_breaks = (getattr(record, "description", None) or "").count("\n")
            if document.count(b"\\n") != line_breaks:
                return False
        if PLUS in document or not document.isascii():
            return self._has_plain_keys_and_urls(record)
        return True

    def _has_plain_keys_and_urls(self, record: Any) -> bool:
        """Return whether keys and URLs are ASCII, and no key looks rounded."""
        for holder in (record, *(getattr(record, "variants", None) or ())):
            if "+" in holder.id or not holder.id.isascii():
                return False
            for name in URL_FIELDS:
                url = getattr(holder, name, None)
                if url is not None and not (url.isascii() if type(url) is str else all(map(str.isascii, url))):
                    return False
        return (getattr(record, "location", None) or "").isascii()

    def is_url(self, url: str) -> bool:
        """Return whether a URL has a valid origin, a path and no blank; the origins of a feed are remembered."""
        if " " in url or (url.count(":") > 1 and SEVERAL.search(url)):
            return False
        if url.startswith(self._frequent_origins):
            return True
        origin = url[: url.find("/", 8) + 1]
        if origin not in self._origins:
            if not origin.isascii() or not ORIGIN.fullmatch(origin[:-1]):
                return False
            if len(self._origins) < ORIGINS_MAX:
                self._origins.add(origin)
            if len(self._frequent_origins) < FREQUENT_ORIGINS_MAX:
                self._frequent_origins = (*self._frequent_origins, origin)
        return True

    def is_price(self, price: Any, currency: str | None = None) -> bool:
        """Return whether a price is above zero, with at most two decimals that its currency has.

        ``currency`` is the record's own, and no price names another one; without it the submission's applies to a
        price that names none.
        """
        if type(price) is str:
            if _is_canonical_price(price) and price[-3:] in self._canonical_currencies:
                return currency is None or price[-3:] == currency
            self.deviations += 1
            if _is_price(price):
                return price[-3:] in self._price_currencies and (currency is None or price[-3:] == currency)
        else:
            self.deviations += 1
        if type(price) is Amount:
            if price.value is None or price.amount is not None or price.currency_code is not None:
                return False
            if currency is not None and price.currency is not None and price.currency != currency:
                return False
            currency, price = price.currency or currency, price.value
        currency = currency or self.context.currency
        if currency not in self._price_currencies:
            return False
        if type(price) is str:
            return _is_amount(price) is not None
        return bool(0.01 <= price < 1e11 and round(price, 2) == price)

    def _has_valid_price(self, record: Any) -> bool:
        """Return whether the price of a record is valid; to be called before anything else is counted."""
        if not self.is_price(record.price, record.currency):
            return False
        self.price_deviations = self.deviations
        return True

    def is_sale_price(self, sale: Any, price: Any, currency: str | None) -> bool:
        """Return whether a sale price is valid and not above a valid price."""
        if not self.is_price(sale, currency):
            return False
        if price is None:
            return True
        amount, code = self._money(price, currency)
        sale_amount, sale_code = self._money(sale, currency)
        return sale_amount <= amount and code == sale_code

    def _money(self, price: Any, currency: str | None) -> tuple[float, str | None]:
        currency = currency or self.context.currency
        if type(price) is Amount:
            currency, price = price.currency or currency, price.value
        if type(price) is not str:
            return price, currency
        return (float(price[:-4]), price[-3:]) if price[-1] >= "A" else (float(price), currency)


class StockFastPath(FastPath):
    """Checks of stock, of which the typed decode leaves little."""

    kind = Kind.STOCK

    def __init__(self, context: RuleContext, verb: Verb, decoder: TypedDecoder) -> None:
        reference = context.reference if context.lookup_severity else None
        self._locations = reference.location.codes if reference and reference.location else None
        super().__init__(context, verb, decoder)

    def _has_valid_members(self, record: Any) -> bool:
        return (record.quantity is not None or not self.creates(record)) and self._has_valid_key(record)

    def _has_valid_key(self, record: Any) -> bool:
        if record.id in PLACEHOLDERS or not is_trimmed(record.id):
            return False
        location = record.location
        if location is None:
            return True
        return is_plain_text(location) if self._locations is None else location in self._locations


class PriceFastPath(StockFastPath):
    """Checks of prices."""

    kind = Kind.PRICE

    def _has_valid_members(self, record: Any) -> bool:
        price, sale = record.price, record.sale_price
        if price is None:
            if self.creates(record):
                return False
        elif not self._has_valid_price(record):
            return False
        return self._has_valid_key(record) and (sale is None or self.is_sale_price(sale, price, record.currency))
