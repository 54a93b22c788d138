"""Looks at decoded records that let the spotless pass: a few microseconds for what is good, no word about what is not.

What is false here is only doubtful; `record` then says what, if anything, is wrong. What is true must be spotless.
A form has promised types, lengths, choices and depth. What it cannot promise is looked at here: damaged wording by the
bytes of the record, blanks at the edges, check digits, amounts, addresses, and what must exist.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS, VARIANT_FIELDS, Field
from goodsgate.rules.addresses import ORIGIN
from goodsgate.rules.currencies import DECIMALS
from goodsgate.rules.forms import HOT, HOT_OF_VARIANT, Amount, Form
from goodsgate.rules.terms import Terms

Accept = Callable[[Any], bool] | None
"""A look at one value; None stands for the commonest, whether a text has no blanks at its edges."""

MAKING = frozenset({Verb.UPSERT, Verb.CREATE})
ORIGINS_MAX = 10_000
FREQUENT_ORIGINS_MAX = 4

_SUSPECT = re.compile(
    rb'<[a-zA-Z/!?]|&[a-zA-Z#][a-zA-Z0-9]{1,31};|\\[^"\\/n]|\x7f'
    rb"|\xc2[\x80-\xa0]|\xc3[\x82\x83]|\xc3\xa2\xe2|\xc3\xaf\xc2|\xc3\xb0\xc5"
    rb"|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80|\xef\xbb\xbf|\xef\xbf\xbd"
)
"""All that wording is told of, as UTF-8, and every blank that is not ASCII."""

_AMOUNT = r"(?:[1-9][0-9]{0,11}(?:\.[0-9][0-9]?)?|0\.(?:0[1-9]|[1-9][0-9]?))"
_amount = re.compile(_AMOUNT).fullmatch
_price = re.compile(rf"{_AMOUNT} [A-Z]{{3}}").fullmatch
IN_CENTS = frozenset(code for code, decimals in DECIMALS.items() if decimals >= 2)


def is_dirty(joined: bytes) -> bool:
    """Whether any of many records, joined, holds a byte for which its record must be looked at by itself.

    Escapes, markup, entities; a plus sign may be that of a number that a spreadsheet has rounded. Looking for single
    bytes in many records at once costs next to nothing.
    """
    return (
        b"\\" in joined or b"<" in joined or b"&" in joined or b"+" in joined or b"\x7f" in joined
        or not joined.isascii()
    )


def trimmed(text: str) -> bool:
    """Whether no blank stands at an edge."""
    return text == text.strip()


def ordered(span: str) -> bool:
    """Whether two moments that are written alike are in order."""
    begin, _, end = span.partition("/")
    alike = begin[-1] == end[-1] == "Z" or begin[-6:] == end[-6:]
    return alike and len(begin) == len(end) and begin <= end


LOOKED_AT = ("text", "long_text", "url", "money", "span")
"""Types whose values a form cannot promise to be spotless, beside those that are looked at by name."""


class Looks(ABC):
    """What all kinds of records share."""

    hot_kind: Kind

    def __init__(self, terms: Terms, verb: Verb, form: Form) -> None:
        self.terms = terms
        self.verb = verb
        self.form = form
        self.in_cents = IN_CENTS if not terms.comma else frozenset()
        self.locations = terms.reference.location.codes if terms.doubt and terms.reference.location else None
        self._origins: set[str] = set()
        self.origins: tuple[str, ...] = ()
        """The first few, for a look without a call; each ends with its slash."""
        self.warm: list[tuple[str, Accept]] = []
        self.warm_of_variants: list[tuple[str, Accept]] = []
        self.refit()

    def refit(self) -> None:
        """Follow the form: which members there are decides which looks are needed."""
        self.warm = self._looks(self.form.seen, FIELDS[self.hot_kind], HOT[self.hot_kind])
        self.warm_of_variants = self._looks(self.form.seen_in_variants, VARIANT_FIELDS, HOT_OF_VARIANT)

    def _looks(self, names: Iterable[str], fields: dict[str, Field], hot: tuple[str, ...]) -> list[tuple[str, Accept]]:
        """The looks at members that are not looked at by name."""
        known = [fields[name] for name in names if name in fields and name not in hot]
        return [(field.name, self._look(field)) for field in known if field.type in LOOKED_AT]

    def _look(self, field: Field) -> Accept:
        if field.type in ("text", "long_text") and not field.repeated:
            return None
        one: Callable[[Any], bool] = trimmed
        if field.type == "url":
            one = self.address
        elif field.type == "money":
            one = self.price
        elif field.type == "span":
            one = ordered
        if not field.repeated:
            return one
        return lambda value: all(map(one, value)) if type(value) is list else one(value)

    @abstractmethod
    def spotless(self, record: Any) -> bool:
        """Whether there is nothing to say about a decoded record."""

    def acquits(self, document: bytes, record: Any) -> bool:
        """Whether the bytes of a record are clear of all that wording is told of."""
        if not is_dirty(document):
            return True
        if b"\\u" in document:
            document = orjson.dumps(orjson.loads(document))  # the same text with the characters in place of escapes
        if _SUSPECT.search(document):
            return False
        if b"\\n" in document:
            breaks = (getattr(record, "description", None) or "").count("\n")
            if document.count(b"\\n") != breaks:
                return False
        if b"+" in document or not document.isascii():
            return self._acquits_names(record)
        return True

    def _acquits_names(self, record: Any) -> bool:
        """Whether keys and addresses are ASCII, and no key looks rounded."""
        for holder in (record, *(getattr(record, "variants", None) or ())):
            if "+" in holder.id or not holder.id.isascii():
                return False
            for name in ADDRESSES:
                url = getattr(holder, name, None)
                if url is not None and not (url.isascii() if type(url) is str else all(map(str.isascii, url))):
                    return False
        return (getattr(record, "location", None) or "").isascii()

    def address(self, url: str) -> bool:
        """Whether an address has an origin, a path and no blank; remembers the origins of a feed."""
        origin = url[: url.find("/", 8) + 1]
        if origin not in self._origins:
            if not origin.isascii() or not ORIGIN.fullmatch(origin[:-1]):
                return False
            if len(self._origins) < ORIGINS_MAX:
                self._origins.add(origin)
            if len(self.origins) < FREQUENT_ORIGINS_MAX:
                self.origins = (*self.origins, origin)
        return " " not in url

    def price(self, price: Any, currency: str | None = None) -> bool:
        """Whether a price is above zero, has two decimals at most, and a currency that has cents."""
        if type(price) is str and _price(price):
            return price[-3:] in self.in_cents
        currency = currency or self.terms.currency
        if type(price) is Amount:
            if price.value is None or price.amount is not None or price.currency_code is not None:
                return False
            currency, price = price.currency or currency, price.value
        if currency not in self.in_cents:
            return False
        if type(price) is str:
            return _amount(price) is not None
        return bool(0.01 <= price < 1e11 and round(price, 2) == price)

    def sale(self, sale: Any, price: Any, currency: str | None) -> bool:
        """Whether a sale price is good and not above a good price."""
        if not self.price(sale, currency):
            return False
        if price is None:
            return True
        amount, code = self._money(price, currency)
        reduced, sale_code = self._money(sale, currency)
        return reduced <= amount and code == sale_code

    def _money(self, price: Any, currency: str | None) -> tuple[float, str | None]:
        currency = currency or self.terms.currency
        if type(price) is Amount:
            currency, price = price.currency or currency, price.value
        if type(price) is not str:
            return price, currency
        return (float(price[:-4]), price[-3:]) if price[-1] >= "A" else (float(price), currency)


ADDRESSES = tuple(name for name, field in FIELDS[Kind.PRODUCT].items() if field.type == "url")


class StockLooks(Looks):
    """Looks at stock, where the form has promised almost everything."""

    hot_kind = Kind.STOCK

    def spotless(self, record: Any) -> bool:
        """Whether there is nothing to say about a decoded record."""
        return (record.quantity is not None or (record.verb or self.verb) not in MAKING) and self.placed(record)

    def placed(self, record: Any) -> bool:
        """Whether SKU and location are clean, and the location exists."""
        if not trimmed(record.id):
            return False
        location = record.location
        if location is None:
            return True
        return trimmed(location) if self.locations is None else location in self.locations


class PriceLooks(StockLooks):
    """Looks at prices."""

    hot_kind = Kind.PRICE

    def spotless(self, record: Any) -> bool:
        """Whether there is nothing to say about a decoded record."""
        if not self.placed(record):
            return False
        price, sale = record.price, record.sale_price
        if price is None:
            if (record.verb or self.verb) in MAKING:
                return False
        elif not self.price(price, record.currency):
            return False
        span = getattr(record, "sale_price_effective_date", None)
        return (span is None or ordered(span)) and (sale is None or self.sale(sale, price, record.currency))
