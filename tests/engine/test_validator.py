"""Which rules check the records of a merchant."""

import orjson

from goodsgate.engine.settings import CheckLimits
from goodsgate.engine.validator import Validator
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import Checker, SchemaChecker
from goodsgate.store.contract import Page
from tests.factories import product


class ReferenceReads:
    """A store with reference data only, which counts its reads."""

    def __init__(self, **brands: list[str]) -> None:
        self.brands = brands
        self.reads = 0

    def reference_version(self, merchant: str) -> int:
        """Return 0 for a merchant without reference data."""
        return len(self.brands.get(merchant, ()))

    def reference(self, merchant: str, kind: str, *, after: str | None, limit: int) -> Page[ReferenceEntry]:
        """Return one page of brands."""
        self.reads += 1
        assert (after, limit > 1) == (None, True)
        return Page([ReferenceEntry(code=code) for code in self.brands.get(merchant, ()) if kind == "brand"], None)


def test_merchants_without_reference_data_share_their_rules() -> None:
    """Nothing is read for them; a merchant with reference data is checked by its own alone."""
    store = ReferenceReads(acme=["Bolt"])
    validator = Validator(store, CheckLimits(), {})  # type: ignore[arg-type]
    record = [orjson.dumps(product(brand="Other"))]

    def rules(merchant: str) -> Checker | SchemaChecker:
        return validator.rules(merchant, Kind.PRODUCT, Policy())

    for number in range(100):
        assert rules(f"m{number}") is rules("m0")
    assert store.reads == 0
    assert not rules("m0").check(record).issues
    assert rules("acme").check(record).issues
    assert store.reads > 0
    store.brands["m0"] = ["Bolt"]
    assert not rules("m0").check(record).issues
    validator.refresh()
    assert rules("m0").check(record).issues
    assert not rules("m1").check(record).issues
