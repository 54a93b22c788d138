"""Get Products: every filter, every sort, every page."""

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import effort
from tests.http_gate import HttpGate
from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import SHIRTS, model, product, variant

ALL = ["A1", "B2", "C3", "m1", "m2", "v1", "v2"]


def _enabled(record: dict[str, Any]) -> dict[str, Any]:
    record["data"]["enabled"] = True
    return record


@pytest.fixture(scope="module")
def shop(gate: HttpGate) -> Iterator[Manager]:
    """Return a shop with three products, two models and two variants, sent one by one for distinct times."""
    with closing(Manager(gate, gate.merchant(), configuration=SHIRTS)) as manager:
        manager.put_all(
            product("B2", title="Zebra", groups=["summer"]), _enabled(product("A1", title="Ape")), model("m1"),
            model("m2"), variant("v1", "m1", colour="red"), _enabled(variant("v2", "m2", colour="blue")),
            product("C3", title="Mole", groups=["summer"], categories=["shirts"]),
        )
        yield manager


@pytest.mark.parametrize(("filters", "ids"), [
    ({}, ALL),
    ({"idList": ["v2", "A1", "none", "A1"]}, ["A1", "v2"]),
    ({"idList": []}, []),
    ({"sku": "A1"}, ["A1"]), ({"sku": "a1"}, []),
    ({"family": "shirts"}, ALL), ({"family": "hats"}, []),
    ({"parent": "m1"}, ["v1"]), ({"variant": "by_colour"}, ["m1", "m2"]),
    ({"group": "summer"}, ["B2", "C3"]), ({"group": "winter"}, []),
    ({"group": "winter", "forceGroupFilter": False}, ALL),
    ({"dataType": "PRODUCT_MODEL"}, ["m1", "m2"]), ({"dataType": "PRODUCT,PRODUCT_MODEL"}, ALL),
    ({"dataType": "PRODUCT, NONE"}, ["A1", "B2", "C3", "v1", "v2"]),
    ({"enabled": "true"}, ["A1", "v2"]), ({"enabled": True}, ["A1", "v2"]),
    ({"enabled": "false"}, ["B2", "C3", "m1", "m2", "v1"]),
    ({"isVariant": True}, ["v1", "v2"]), ({"isVariant": False}, ["A1", "B2", "C3", "m1", "m2"]),
    ({"isVariant": True, "enabled": "true", "family": "shirts"}, ["v2"]),
    ({"createdAt": {"gte": "2020-01-01T00:00:00Z"}}, ALL), ({"createdAt": {"lte": "2020-01-01T00:00:00Z"}}, []),
    ({"createdAt": {}}, ALL), ({"sku": None}, ALL),
])
def test_filters(shop: Manager, filters: dict[str, Any], ids: list[str]) -> None:
    """All filters of a call must match."""
    response = shop.pim("getProducts", {"filters": {k: v for k, v in filters.items() if v is not None}}).json()
    assert [one["id"] for one in response["products"]] == ids
    assert response["totalProducts"] == len(ids)
    assert "NUL" in message(shop.pim("getProducts", {"filters": {"sku": "\0"}}), 400)


@pytest.mark.parametrize(("text", "ids"), [("v", ["v1", "v2"]), ("V1", ["v1"]), ("2", ["B2", "m2", "v2"]), ("*", [])])
def test_a_text_is_searched_in_ids(shop: Manager, text: str, ids: list[str]) -> None:
    """Case is ignored; there are no wildcards."""
    assert shop.ids(searchText=text) == ids


@pytest.mark.parametrize(("sorts", "ids"), [
    ({"id": "desc"}, ALL[::-1]),
    ({"createdAt": "asc"}, ["B2", "A1", "m1", "m2", "v1", "v2", "C3"]),
    ({"updatedAt": "desc"}, ["C3", "v2", "v1", "m2", "m1", "A1", "B2"]),
    ({"label": "asc"}, ["A1", "C3", "B2", "m1", "m2", "v1", "v2"]),
    ({"enabled": "desc", "id": "asc"}, ["A1", "v2", "B2", "C3", "m1", "m2", "v1"]),
    ({"family": "asc", "createdAt": "desc"}, ["C3", "v2", "v1", "m2", "m1", "A1", "B2"]),
    ({"enabled": "asc", "label": "desc", "id": "asc"}, ["v1", "m2", "m1", "B2", "C3", "v2", "A1"]),
])
def test_sorts(shop: Manager, sorts: dict[str, str], ids: list[str]) -> None:
    """The first decides, then the next."""
    assert shop.ids(sorts=sorts) == ids


@settings(deadline=None, max_examples=effort.examples(15))
@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([{}, {"id": "desc"}, {"enabled": "asc", "id": "desc"}]))
def test_pages_are_cut_from_one_list(shop: Manager, offset: int, size: int, sorts: dict[str, str]) -> None:
    """The offset counts rows; after the end there are none."""
    whole = shop.ids(sorts=sorts)
    response = shop.pim("getProducts", {"pageFrom": offset, "pageSize": size, "sorts": sorts}).json()
    assert [one["id"] for one in response["products"]] == whole[offset : offset + size]
    assert (response["pageFrom"], response["pageSize"], response["totalProducts"]) == (offset, size, len(ALL))


def test_times_are_inclusive_bounds(shop: Manager) -> None:
    """They are exact to the millisecond."""
    times = {id: shop.source(id)["meta"]["createdAt"] for id in ALL}
    for least, most in itertools.combinations(sorted(times.values()), 2):
        ids = shop.ids(filters={"createdAt": {"gte": least, "lte": most}})
        assert ids == [id for id in ALL if least <= times[id] <= most]
    text = "filters.updatedAt.gte must be a time of ISO 8601."
    assert message(shop.pim("getProducts", {"filters": {"updatedAt": {"gte": "yesterday"}}}), 400) == text


def test_a_request_may_be_empty_or_a_get(shop: Manager) -> None:
    """The platform's own client uses GET, too."""
    assert shop.post(shop.path("PIMAPI/getProducts")).json()["totalProducts"] == 7
    assert shop.call_by_get("PIMAPI/getProducts", {"filters": {"sku": "A1"}}).json()["totalProducts"] == 1
    source = shop.call_by_get("PIMAPI/getProducts", {"filters": {"parent": "m1"}}).json()["products"][0]["source"]
    assert source["parent"] == "m1"
    assert source["axesValues"] == [{"axe": "colour", "value": "red"}, {"axe": "size", "value": "M"}]


def test_strangers_see_nothing(shop: Manager, manager: Manager) -> None:
    """Products belong to one merchant."""
    assert manager.ids() == []
