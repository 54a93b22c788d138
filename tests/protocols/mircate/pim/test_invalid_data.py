"""Any data sent as a product is checked without a fault, and stored products satisfy the rules."""

import itertools
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Batch, Counts
from goodsgate.model.catalogue import Merchant
from goodsgate.protocols.mircate.pim.configuration import encode
from goodsgate.protocols.mircate.pim.products import UPSERT
from goodsgate.protocols.mircate.pim.records import with_id
from goodsgate.protocols.mircate.pim.unpublished import COLLECTION, RESOURCE_TYPE
from tests import effort, factories
from tests.protocols.mircate.pim.shirts import SHIRTS
from tests.shop import Shop

IDS = st.sampled_from(["s1", "s2", "s3", "m1", "m2"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["red", "x.png", "2026-01-01", "", "long " * 9, "\0", "é", "a b", "x" * 101]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2), max_leaves=4,
)


def _mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 39).flatmap(lambda number: good if number else ANY)


def _object(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return an object of these members, mostly valid; those with a trailing ``_`` may be absent."""
    must = {name: _mostly(good) for name, good in members.items() if not name.endswith("_")}
    may = {name[:-1]: _mostly(good) for name, good in members.items() if name.endswith("_")}
    return _mostly(st.fixed_dictionaries(must, optional=may))


VALUES = {
    "title": st.sampled_from(["Shirt", "", "much too long"]), "serial": st.sampled_from(["A", "B"]),
    "colour": st.sampled_from(["red", "blue"]), "washable": st.booleans(), "photo": st.just("x.png"),
    "photos": st.lists(st.just("x.png"), max_size=2), "odd": st.text(max_size=3), "none": ANY,
}
ENTRY = st.sampled_from(sorted(VALUES)).flatmap(
    lambda code: _object(code=st.just(code), data=st.lists(_object(value=VALUES[code]), min_size=1, max_size=1))
)
AXES = st.tuples(st.sampled_from(["red", "blue"]), st.sampled_from(["S", "M"])).map(
    lambda result: [{"axe": axe, "value": value} for axe, value in zip(("colour", "size"), result, strict=True)]
)
STATUS = st.sampled_from(["DRAFT", "ACTIVE", "ARCHIVED"])
PRODUCT = _object(dataType=st.just("PRODUCT"), data=_object(
    sku=IDS, family=st.just("shirts"), status=STATUS, enabled_=st.booleans(),
    groups_=st.just(["summer"]), categories_=st.just(["shirts"]), attributes_=st.lists(ENTRY, max_size=2),
))
MODEL = _object(dataType=st.just("PRODUCT_MODEL"), data=_object(
    code=IDS, family=st.just("shirts"), status=STATUS, variant=st.just("by_colour"),
))
VARIANT = _object(
    dataType=st.just("PRODUCT"), parent=st.sampled_from(["m1", "m2"]), axesValues=AXES,
    data=_object(sku=IDS, status=STATUS, attributes_=st.lists(ENTRY, max_size=1)),
)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return one shop for all examples; each has a merchant of its own."""
    with Shop(tmp_path_factory.mktemp("strange"), kind="sqlite") as shop:
        yield shop


def _sent(shop: Shop, merchant: str, records: list[bytes]) -> Batch:
    policy = {name: value for name, value in msgspec.structs.asdict(UPSERT).items() if value is not None}
    return shop.run(b"\n".join(records), merchant=merchant, collection=COLLECTION, **policy)


@settings(deadline=None, max_examples=effort.examples(60), suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(PRODUCT, MODEL, VARIANT), min_size=1, max_size=12))
def test_every_record_is_checked(shop: Shop, products: list[Any]) -> None:
    """It gets issues and never a fault; a stored product that is sent again is unchanged."""
    merchant = f"strange{next(_numbers)}"
    shop.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=factories.NOW))
    shop.store.add_resource(merchant, RESOURCE_TYPE, name="settled", body=encode(SHIRTS), resources_max=1)
    batch = _sent(shop, merchant, [with_id(orjson.dumps(one)) for one in products])
    codes = [code for result in shop.codes(batch.id, merchant=merchant).values() for code in result]
    assert "internal_fault" not in codes
    assert batch.counts.accounted == len(products)
    records: list[Any] = [*shop.items(COLLECTION, merchant=merchant).values()]
    records.sort(key=lambda record: record["dataType"], reverse=True)  # models first
    if records:
        again = _sent(shop, merchant, [orjson.dumps(record) for record in records])
        assert again.counts == Counts(unchanged=len(records)), shop.findings(again.id, merchant=merchant)
