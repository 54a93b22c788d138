"""Lines of an order from the merchant's own catalogue: what a SKU is called, costs and is taxed at a location."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import KEY_SEPARATOR, item_key, split_key
from goodsgate.protocols.konnect.orders.shipment import ShipmentLine
from goodsgate.protocols.konnect.reference_data import ReferenceCache
from goodsgate.protocols.konnect.reference_serializers import serialize_tax_rule
from goodsgate.protocols.konnect.unpublished import COLLECTION
from goodsgate.store.contract import Store

AMOUNT_MAX = 10**12
"""Rupees of one piece."""
RATE_MAX = 1_000
"""Percent; a rate beyond it, or below nothing, is none."""
LOCATIONS_MAX = 100
"""Of one SKU, that a customer may be served from."""


class UnknownSkuError(LookupError):
    """The catalogue has no such SKU."""


class UnusablePriceError(ValueError):
    """It cannot be reckoned with; the message says of what."""


class CataloguePricing:
    """Reads the catalogue."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries = ReferenceCache(store)

    def line(self, merchant: str, location: str, sku: str, *, id: str, quantity: int) -> ShipmentLine:
        """Raises SkuUnknown, PriceUnusable."""
        mark = ("sku", sku)
        keys = self._store.find_by_index(merchant, Kind.PRODUCT, COLLECTION, [mark]).get(mark, [])
        item = self._store.item(merchant, Kind.PRODUCT, COLLECTION, keys[0]) if keys else None
        if item is None:
            raise UnknownSkuError(sku)
        product: dict[str, Any] = orjson.loads(item.document)
        sizes: list[dict[str, Any]] = product["sizes"]
        size = next((one for one in sizes if one.get("primary_identifier") == sku), None)
        if size is None:
            raise UnknownSkuError(sku)
        own = self._store.item(merchant, Kind.PRICE, COLLECTION, item_key(sku, location))
        price: Mapping[str, Any] = orjson.loads(own.document) if own is not None else {}
        esp = _amount(price.get("esp", size.get("price_effective")))
        mrp = _amount(price.get("mrp", size.get("price")))
        if max(esp, mrp) > AMOUNT_MAX:
            raise UnusablePriceError(f"the price of {sku} is more than anybody pays")
        return ShipmentLine(
            id=id, sku=sku, name=str(product.get("name", "")), size=str(size.get("size", "")), quantity=quantity,
            hsn=str(product.get("hs_code", "")), mrp=mrp, esp=esp,
            tax_rate=self._rate(merchant, product, esp),
        )

    def _rate(self, merchant: str, product: Mapping[str, Any], price: Decimal) -> Decimal:
        """In percent, of the slab of the product's tax rule that a price falls into; none where nothing is known."""
        code = (product.get("tax_identifier") or {}).get("tax_rule_id")
        rules = self._entries.all(merchant, "tax_rule")
        entry = next((rule for rule in rules if rule.code == code), None)
        if entry is None:
            return Decimal()
        versions = serialize_tax_rule(entry, 0)["versions"]
        current = [one for one in versions if one["version_status"] == "CURRENT"][:1]
        components = [component for version in current for component in version["components"]]
        return sum((_slab_rate(component.get("slabs") or (), price) for component in components), Decimal())

    def count(self, merchant: str) -> int:
        """SKUs."""
        return self._store.list_index(merchant, Kind.PRODUCT, COLLECTION, "sku", limit=1)[0]

    def sku(self, merchant: str, place: int) -> str | None:
        """The SKU at a place among all, from 0; None behind the last."""
        found = self._store.list_index(merchant, Kind.PRODUCT, COLLECTION, "sku", offset=place, limit=1)[1]
        return found[0][0] if found else None

    def locations(self, merchant: str, sku: str) -> Iterator[str]:
        """Where there is stock of a SKU, by code."""
        page = self._store.items(merchant, Kind.STOCK, COLLECTION, prefix=sku + KEY_SEPARATOR, limit=LOCATIONS_MAX)
        for item in page.rows:
            location = split_key(item.key)[1]
            if location is not None and orjson.loads(item.document).get("quantity", 0) > 0:
                yield location


def _slab_rate(slabs: Any, price: Decimal) -> Decimal:
    """Of the highest slab that begins at or below the price; rates up to 1 are shares."""
    below = [slab for slab in slabs if _amount(slab.get("value")) <= price]
    rate = _amount(max(below, key=lambda slab: _amount(slab.get("value"))).get("rate")) if below else Decimal()
    percent = rate * 100 if rate <= 1 else rate
    return percent if 0 <= percent <= RATE_MAX else Decimal()


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return Decimal()
    return amount if amount.is_finite() else Decimal()
