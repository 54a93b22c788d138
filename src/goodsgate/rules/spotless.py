"""Looks at decoded records that let the spotless pass: a few microseconds for what is good, no word about what is not.

What is false here is only doubtful; `record` then says what, if anything, is wrong. What is true must be spotless.
A form has promised types, lengths, choices and depth. What it cannot promise is looked at here: damaged wording by the
bytes of the record, blanks at the edges, check digits, amounts, addresses, and what must exist. Records are looked at
many at once, one member of all of them after the other.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import orjson

from goodsgate.model.batch import Kind, Verb
from goodsgate.model.fields import FIELDS, VARIANT_FIELDS, Field
from goodsgate.rules.columns import TRIMMED, Columns, Look, among, doubtful, is_clear, repeated
from goodsgate.rules.context import RuleContext
from goodsgate.rules.currencies import DECIMALS
from goodsgate.rules.typed_decoder import HOT, HOT_OF_VARIANT, Amount, Form
from goodsgate.rules.urls import ORIGIN

MAKING = frozenset({Verb.UPSERT, Verb.CREATE})
ORIGINS_MAX = 10_000
FREQUENT_ORIGINS_MAX = 4
SHAPES_MAX = 1_000

_SUSPECT = re.compile(
    rb'<[a-zA-Z/!?]|&[a-zA-Z#][a-zA-Z0-9]{1,31};|\\[^"\\/n]|\x7f'
    rb"|\xc2[\x80-\xa0]|\xc3[\x82\x83]|\xc3\xa2\xe2|\xc3\xaf\xc2|\xc3\xb0\xc5"
    rb"|\xe1\x9a\x80|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe2\x81[\x9f-\xaf]|\xe3\x80\x80|\xef\xbb\xbf|\xef\xbf\xbd"
)
"""All that wording is told of, as UTF-8, and every blank that is not ASCII."""

_AMOUNT = r"(?:[1-9][0-9]{0,11}(?:\.[0-9][0-9]?)?|0\.(?:0[1-9]|[1-9][0-9]?))"
_amount = re.compile(_AMOUNT).fullmatch
_price = re.compile(rf"{_AMOUNT} [A-Z]{{3}}").fullmatch
_SHAPE = bytes.maketrans(b"123456789", b"111111111")
"""To what `_AMOUNT` sees of an amount."""
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


def ordered(span: str) -> bool:
    """Whether two moments that are written alike are in order."""
    begin, _, end = span.partition("/")
    alike = begin[-1] == end[-1] == "Z" or begin[-6:] == end[-6:]
    return alike and len(begin) == len(end) and begin <= end


ORDERED = Look(lambda spans: all(map(ordered, spans)), ordered)

LOOKED_AT = ("text", "long_text", "url", "money", "span")
"""Types whose values a form cannot promise to be spotless, beside those that are looked at by name."""


class Looks(ABC):
    """What all kinds of records share."""

    hot_kind: Kind

    def __init__(self, context: RuleContext, verb: Verb, form: Form) -> None:
        self.context = context
        self.verb = verb
        self.form = form
        self.in_cents = IN_CENTS if not context.decimal_comma else frozenset()
        self.urls = Look(self._are_addresses, self._is_address)
        self._origins: set[str] = set()
        """Of addresses of this feed."""
        self._frequent: tuple[str, ...] = ()
        """The first few of them; each ends with its slash."""
        self._shapes: dict[bytes, str] = {}
        """Of good amounts, with the currency they name; see `_currencies`."""
        self.looks: dict[str, Look] = {}
        self.looks_at_variants: dict[str, Look] = {}
        self.refit()

    def refit(self) -> None:
        """Follow the form: which members there are decides which looks are needed."""
        seen, named = [*self.form.seen], self._named()
        self.looks = {name: named[name] for name in seen if name in named}
        self.looks.update(self._looks(seen, FIELDS[self.hot_kind], HOT[self.hot_kind]))
        self.looks_at_variants = self._looks(self.form.seen_in_variants, VARIANT_FIELDS, HOT_OF_VARIANT)

    @abstractmethod
    def _named(self) -> dict[str, Look]:
        """Looks at members by their names, where a look at the type is not enough."""

    def _looks(self, names: Iterable[str], fields: Mapping[str, Field], hot: Sequence[str]) -> dict[str, Look]:
        """The looks at other members."""
        known = [fields[name] for name in names if name in fields and name not in hot]
        return {field.name: self._look(field) for field in known if field.type in LOOKED_AT}

    def _look(self, field: Field) -> Look:
        look = TRIMMED
        if field.type == "url":
            look = self.urls
        elif field.type == "money":
            look = self.prices(None)
        elif field.type == "span":
            look = ORDERED
        return repeated(look) if field.repeated else look

    def doubtful(self, columns: Columns) -> set[int]:
        """Places of the decoded records, all of the form as it is, about which there may be something to say."""
        places = {*self._doubtful(columns)}
        for name, look in self.looks.items():
            places.update(doubtful(columns[name], look))
        return places

    @abstractmethod
    def _doubtful(self, columns: Columns) -> Iterable[int]:
        """The same by what several members say together."""

    def _made_without(self, column: tuple[Any, ...], columns: Columns) -> list[int]:
        """Places of records that make an item and have no value in this column."""
        without = [at for at, value in enumerate(column) if value is None]
        verbs = columns["verb"]
        return [at for at in without if (verbs[at] or self.verb) in MAKING]

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

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _are_addresses(self, urls: list[str]) -> bool:
        return " " not in "".join(urls) and all(map(str.startswith, urls, repeat(self._frequent)))

    def _is_address(self, url: str) -> bool:
        """Whether an address has an origin, a path and no blank; remembers the origins of a feed."""
        origin = url[: url.find("/", 8) + 1]
        if origin not in self._origins:
            if not origin.isascii() or not ORIGIN.fullmatch(origin[:-1]):
                return False
            if len(self._origins) < ORIGINS_MAX:
                self._origins.add(origin)
            if len(self._frequent) < FREQUENT_ORIGINS_MAX:
                self._frequent = (*self._frequent, origin)
        return " " not in url

    # -- prices -------------------------------------------------------------------------------------------------------

    def prices(self, currency: str | None) -> Look:
        """Whether prices are above zero, have two decimals at most, and a currency that has cents: this one or the
        submission's, if they name none."""
        named = currency or self.context.currency
        return Look(partial(self._are_prices, currency=named), partial(self._is_price, currency=named))

    def _are_prices(self, prices: list[Any], *, currency: str | None) -> bool:
        kinds = {*map(type, prices)}
        if len(kinds) > 1:
            alike = ([price for price in prices if type(price) is kind] for kind in kinds)
            return all(self._are_prices(some, currency=currency) for some in alike)
        if Amount in kinds:
            values = {price.value for price in prices}
            texts = [value for value in values if type(value) is str]
            return (
                {price.amount for price in prices} == {price.currency_code for price in prices} == {None}
                and self.in_cents.issuperset({price.currency or currency for price in prices})
                and self._currencies(texts) <= {""} and all(map(_is_amount, values.difference(texts)))
            )
        if str in kinds:
            return self.in_cents.issuperset({code or currency for code in self._currencies({*prices})})
        return not prices or (currency in self.in_cents and all(map(_is_amount, prices)))

    def _currencies(self, prices: Collection[str]) -> set[str]:
        """Those that the amounts name, "" where one names none. Raises ValueError if one is no good amount.

        Many amounts are of one shape, in which all digits but 0 are alike, as they are for `_AMOUNT`.
        """
        joined = "\n".join(prices)
        if joined.count("\n") >= max(len(prices), 1):
            raise ValueError("an amount of several lines")
        shapes = {*joined.encode().translate(_SHAPE).split(b"\n")} if prices else set()
        if len(self._shapes) > SHAPES_MAX:
            self._shapes.clear()
        for shape in shapes.difference(self._shapes):
            amount = shape.decode()
            if _amount(amount):
                self._shapes[shape] = ""
            elif _price(amount):
                self._shapes[shape] = amount[-3:]
            else:
                raise ValueError("no good amount")
        return {self._shapes[shape] for shape in shapes}

    def _is_price(self, price: Any, *, currency: str | None) -> bool:
        if type(price) is str and _price(price):
            return price[-3:] in self.in_cents
        if type(price) is Amount:
            if price.value is None or price.amount is not None or price.currency_code is not None:
                return False
            currency, price = price.currency or currency, price.value
        return currency in self.in_cents and _is_amount(price)

    def _doubtful_prices(self, columns: Columns) -> Iterable[int]:
        """Places by price and sale price, each in the record's own currency."""
        prices, sales, currencies = columns["price"], columns["sale_price"], columns["currency"]
        if len({*currencies}) == 1:
            yield from doubtful(prices, self.prices(currencies[0]))
        else:
            for at, (price, currency) in enumerate(zip(prices, currencies, strict=True)):
                if price is not None and not is_clear(self.prices(currency).one, price):
                    yield at
        for at in [at for at, sale in enumerate(sales) if sale is not None]:
            if not is_clear(partial(self.is_sale, price=prices[at], currency=currencies[at]), sales[at]):
                yield at

    def is_sale(self, sale: Any, *, price: Any, currency: str | None) -> bool:
        """Whether a sale price is good and not above a good price."""
        currency = currency or self.context.currency
        if not self._is_price(sale, currency=currency):
            return False
        if price is None:
            return True
        amount, code = _money(price, currency)
        reduced, sale_code = _money(sale, currency)
        return reduced <= amount and code == sale_code


def _is_amount(value: Any) -> bool:
    if type(value) is str:
        return _amount(value) is not None
    return bool(0.01 <= value < 1e11 and round(value, 2) == value)


def _money(price: Any, currency: str | None) -> tuple[float, str | None]:
    if type(price) is Amount:
        currency, price = price.currency or currency, price.value
    if type(price) is not str:
        return price, currency
    return (float(price[:-4]), price[-3:]) if price[-1] >= "A" else (float(price), currency)


ADDRESSES = tuple(name for name, field in FIELDS[Kind.PRODUCT].items() if field.type == "url")


class StockLooks(Looks):
    """Looks at stock, where the form has promised almost everything."""

    hot_kind = Kind.STOCK

    def _named(self) -> dict[str, Look]:
        locations = self.context.reference.location if self.context.lookup_severity else None
        return {"id": TRIMMED, "location": TRIMMED if locations is None else among(locations.codes)}

    def _doubtful(self, columns: Columns) -> Iterable[int]:
        return self._made_without(columns["quantity"], columns)


class PriceLooks(StockLooks):
    """Looks at prices."""

    hot_kind = Kind.PRICE

    def _doubtful(self, columns: Columns) -> Iterable[int]:
        return [*self._made_without(columns["price"], columns), *self._doubtful_prices(columns)]
