"""Global products and datasets, in the minimal form that their names allow."""

from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import Manager


def test_global_products_come_and_go(manager: Manager) -> None:
    """In batches; apart from the merchant's own products."""
    words = {"products": [{"sku": "g2", "name": "Two"}, {"sku": "g1"}, {"name": "none"}]}
    accepted = manager.call("MerchantAPI/receiveProducts", words).json()
    manager.idle()
    told = manager.pim("checkBatchStatus", accepted).json()
    assert (told["successCount"], told["failCount"]) == (2, 1)
    found = manager.call("MerchantAPI/getGlobalProducts", {"pageSize": 1, "pageFrom": 1}).json()
    assert found == {"pageFrom": 1, "pageSize": 1, "totalProducts": 2, "products": [{"sku": "g2", "name": "Two"}]}
    assert manager.ids() == []
    manager.call("MerchantAPI/removeGlobalProducts", {"products": [{"sku": "g2"}]})
    manager.idle()
    assert manager.call("MerchantAPI/getGlobalProducts").json()["products"] == [{"sku": "g1"}]
    assert manager.call("MerchantAPI/receiveProducts", {"products": []}).status_code == 400


def test_a_dataset_has_values(manager: Manager, beginner: Manager) -> None:
    """By their keys, in pages; it is one merchant's."""
    made = manager.call("DatasetAPI/create", {"name": "colours"}).json()
    values = [{"key": key, "value": {"name": key}} for key in ("c", "a", "b")]
    assert manager.call("DatasetAPI/valueUpsert", {**made, "values": values}).status_code == 204
    assert manager.call("DatasetAPI/valueUpsert", {**made, "values": [{"key": "a", "value": 1}]}).status_code == 204
    assert manager.call("DatasetAPI/valueDelete", {**made, "keys": ["c", "z"]}).status_code == 204
    told = manager.call("DatasetAPI/listValues", {**made, "pageSize": 1}).json()
    assert told == {"values": [{"key": "a", "value": 1}], "pageFrom": 0, "pageSize": 1, "total": 2}
    assert manager.call("DatasetAPI/update", {**made, "name": "paints"}).status_code == 204
    assert manager.call("DatasetAPI/listSources").json() == {"sources": [{**made, "name": "paints"}]}
    assert beginner.call("DatasetAPI/listSources").json() == {"sources": []}
    assert message(beginner.call("DatasetAPI/listValues", made), 404) == "Dataset not found!"
    assert message(manager.call("DatasetAPI/create", {"name": "paints"}), 400) == "Dataset already exist!"
    assert manager.call("DatasetAPI/delete", made).status_code == 204
    assert manager.call("DatasetAPI/delete", made).status_code == 404
