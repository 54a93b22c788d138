"""Global products and datasets, in the minimal form that their names suggest."""

from tests.protocols.mircate.client import message
from tests.protocols.mircate.pim.client import Manager


def test_global_products_are_added_and_removed(manager: Manager) -> None:
    """They are separate from the merchant's own products."""
    arguments = {"products": [{"sku": "g2", "name": "Two"}, {"sku": "g1"}, {"name": "none"}]}
    accepted = manager.call("MerchantAPI/receiveProducts", arguments).json()
    manager.idle()
    result = manager.pim("checkBatchStatus", accepted).json()
    assert (result["successCount"], result["failCount"]) == (2, 1)
    page = manager.call("MerchantAPI/getGlobalProducts", {"pageSize": 1, "pageFrom": 1}).json()
    larger = manager.call("MerchantAPI/getGlobalProducts", {"pageSize": 501}).json()
    assert (larger["pageSize"], larger["totalProducts"]) == (500, 2)
    assert page == {"pageFrom": 1, "pageSize": 1, "totalProducts": 2, "products": [{"sku": "g2", "name": "Two"}]}
    assert manager.ids() == []
    manager.call("MerchantAPI/removeGlobalProducts", {"products": [{"sku": "g2"}]})
    manager.idle()
    assert manager.call("MerchantAPI/getGlobalProducts").json()["products"] == [{"sku": "g1"}]
    assert manager.call("MerchantAPI/receiveProducts", {"products": []}).status_code == 400


def test_a_dataset_has_values(manager: Manager, beginner: Manager) -> None:
    """They have keys, are read in pages, and belong to one merchant."""
    dataset = manager.call("DatasetAPI/create", {"name": "colours"}).json()
    values = [{"key": key, "value": {"name": key}} for key in ("c", "a", "b")]
    assert manager.call("DatasetAPI/valueUpsert", {**dataset, "values": values}).status_code == 204
    assert manager.call("DatasetAPI/valueUpsert", {**dataset, "values": [{"key": "a", "value": 1}]}).status_code == 204
    assert manager.call("DatasetAPI/valueDelete", {**dataset, "keys": ["c", "z"]}).status_code == 204
    result = manager.call("DatasetAPI/listValues", {**dataset, "pageSize": 1}).json()
    assert result == {"values": [{"key": "a", "value": 1}], "pageFrom": 0, "pageSize": 1, "total": 2}
    assert manager.call("DatasetAPI/update", {**dataset, "name": "paints"}).status_code == 204
    assert manager.call("DatasetAPI/listSources").json() == {"sources": [{**dataset, "name": "paints"}]}
    assert beginner.call("DatasetAPI/listSources").json() == {"sources": []}
    assert message(beginner.call("DatasetAPI/listValues", dataset), 404) == "Dataset not found!"
    assert message(manager.call("DatasetAPI/create", {"name": "paints"}), 400) == "Dataset already exist!"
    assert manager.call("DatasetAPI/delete", dataset).status_code == 204
    assert manager.call("DatasetAPI/delete", dataset).status_code == 404
