"""Order lines from the merchant's catalogue: name, price and tax of a SKU at a location."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, item_key, split_key
from goodsgate.model.json_text import read_json
from goodsgate.protocols.konnect.orders.shipment import ShipmentLine
from goodsgate.protocols.konnect.reference_data import ReferenceCache
from goodsgate.protocols.konnect.reference_serializers import serialize_tax_rule
from goodsgate.protocols.konnect.unpublished import COLLECTION
from goodsgate.store.contract import Store

AMOUNT_MAX = 10**12
"""Highest price of one piece, in rupees."""
RATE_MAX = 1_000
"""Highest tax rate in percent; a higher or negative rate counts as none."""
LOCATIONS_MAX = 100
"""Limit of the locations considered for one SKU."""


class UnknownSkuError(LookupError):
    """The catalogue has no such SKU."""


class UnusablePriceError(ValueError):
    """The price is out of bounds; the message names the SKU."""


class CataloguePricing:
    """Reads SKUs, prices and tax rules of a catalogue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reference = ReferenceCache(store)

    def line(self, merchant: str, location: str, sku: str, *, id: str, quantity: int) -> ShipmentLine:
        """Return an order line; raise UnknownSkuError, UnusablePriceError."""
        entry = ("sku", sku)
        keys = self._store.find_by_index(merchant, Kind.PRODUCT, COLLECTION, [entry]).get(entry, [])
        item = self._store.item(merchant, Kind.PRODUCT, COLLECTION, keys[0]) if keys else None
        if item is None:
            raise UnknownSkuError(sku)
        product: dict[str, Any] = read_json(item.document)
        sizes: list[dict[str, Any]] = product["sizes"]
        size = next((each for each in sizes if each.get("primary_identifier") == sku), None)
        if size is None:
            raise UnknownSkuError(sku)
        own = self._store.item(merchant, Kind.PRICE, COLLECTION, item_key(sku, location))
        price: Mapping[str, Any] = read_json(own.document) if own is not None else {}
        esp = _parse_amount(price.get("esp", size.get("price_effective")))
        mrp = _parse_amount(price.get("mrp", size.get("price")))
        if max(esp, mrp) > AMOUNT_MAX:
            raise UnusablePriceError(f"the price of {sku} exceeds {AMOUNT_MAX}")
        return ShipmentLine(
            id=id, sku=sku, name=str(product.get("name", "")), size=str(size.get("size", "")), quantity=quantity,
            hsn=str(product.get("hs_code", "")), mrp=mrp, esp=esp,
            tax_rate=self._tax_rate(merchant, product, esp),
        )

    def _tax_rate(self, merchant: str, product: Mapping[str, Any], price: Decimal) -> Decimal:
        """Return the percentage of the tax slab that a price falls into; 0 if the product has no known tax rule."""
        code = (product.get("tax_identifier") or {}).get("tax_rule_id")
        rules = self._reference.all(merchant, "tax_rule")
        entry = next((rule for rule in rules if rule.code == code), None)
        if entry is None:
            return Decimal()
        versions = serialize_tax_rule(entry, 0)["versions"]
        current = [version for version in versions if version["version_status"] == "CURRENT"][:1]
        components = [component for version in current for component in version["components"]]
        return sum((_slab_rate(component.get("slabs") or (), price) for component in components), Decimal())

    def count(self, merchant: str) -> int:
        """Return the number of SKUs."""
        return self._store.list_index(merchant, Kind.PRODUCT, COLLECTION, "sku", limit=1)[0]

    def sku(self, merchant: str, index: int) -> str | None:
        """Return one SKU by its index in the sorted list; None beyond the last."""
        rows = self._store.list_index(merchant, Kind.PRODUCT, COLLECTION, "sku", offset=index, limit=1)[1]
        return rows[0][0] if rows else None

    def locations(self, merchant: str, sku: str) -> Iterator[str]:
        """Yield the locations that have stock of a SKU, by code."""
        page = self._store.items(merchant, Kind.STOCK, COLLECTION, prefix=sku + KEY_SEPARATOR, limit=LOCATIONS_MAX)
        for item in page.rows:
            location = split_key(item.key)[1]
            if location is not None and read_json(item.document).get("quantity", 0) > 0:
                yield location


def _slab_rate(slabs: Any, price: Decimal) -> Decimal:
    """Return the percentage of the highest slab at or below the price; rates up to 1 are fractions."""
    applicable = [slab for slab in slabs if _parse_amount(slab.get("value")) <= price]
    if not applicable:
        return Decimal()
    rate = _parse_amount(max(applicable, key=lambda slab: _parse_amount(slab.get("value"))).get("rate"))
    percent = rate * 100 if rate <= 1 else rate
    return percent if 0 <= percent <= RATE_MAX else Decimal()


def _parse_amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return Decimal()
    return amount if amount.is_finite() else Decimal()
