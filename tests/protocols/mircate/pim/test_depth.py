"""Deeply nested values are refused and never cause a fault."""

from typing import Any

import pytest

from tests.protocols.mircate.client import ONE_STORE
from tests.protocols.mircate.pim.client import Manager

pytestmark = ONE_STORE

CALLS = [
    ("PIMAPI/upsertProduct", '{"dataType": "PRODUCT", "data": {"sku": "s", "status": "DRAFT", "x": %s}}'),
    ("PIMAPI/bulkProductUpsert", '{"products": [{"dataType": "PRODUCT", "data": {"sku": "s", "x": %s}}]}'),
    ("PIMAPI/bulkProductUpsert", "[%s]"),
    ("PIMAPI/upsertCategory", '{"category": {"code": "c", "description": %s}}'),
    ("PIMAPI/upsertCategory", '{"category": {"code": "c", "meta": {"x": %s}}}'),
    ("PIMAPI/upsertAttributes", '{"attributes": [{"code": "a", "type": "TEXT", "group": "other", "label": %s}]}'),
    ("PIMAPI/getProducts", '{"filters": {"idList": %s}}'),
    ("MerchantAPI/receiveProducts", '{"products": [{"sku": "s", "x": %s}]}'),
    ("DatasetAPI/valueUpsert", '{"datasetId": "1", "values": [{"key": "k", "value": %s}]}'),
]


@pytest.mark.parametrize("depth", [20, 200, 900, 1010, 100_000])
@pytest.mark.parametrize(("name", "body"), CALLS)
def test_deep_arguments_are_refused_or_stored(manager: Manager, name: str, body: str, depth: int) -> None:
    """Stored values can be read again."""
    manager.call("DatasetAPI/create", {"name": "d"})
    response = manager.post(manager.path(name), content=(body % ("[" * depth + "]" * depth)).encode())
    assert response.status_code in (200, 204, 400), (response.status_code, response.text[:200])
    manager.idle()
    reads: list[tuple[str, Any]] = [
        ("PIMAPI/getProducts", {}), ("PIMAPI/getCatalogSettings", {}), ("MerchantAPI/getGlobalProducts", {}),
        ("DatasetAPI/listValues", {"datasetId": "1"}),
    ]
    for read, arguments in reads:
        assert manager.call(read, arguments).status_code == 200, read
