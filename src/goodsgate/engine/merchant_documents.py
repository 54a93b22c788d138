"""Single documents of a merchant, such as its settings: one resource of each type, replaced as a whole."""

from collections.abc import Callable, Mapping

import msgspec

from goodsgate.store.contract import NameTakenError, Store

NAME = "document"
SETTINGS = "merchant/settings"


def read_merchant_document(store: Store, merchant: str, type: str) -> bytes | None:
    """Return the document of a type, as JSON; None if there is none."""
    resources = store.resources(merchant, type, limit=1)
    return resources[0].body if resources else None


def update_merchant_document(store: Store, merchant: str, type: str, change: Callable[[bytes | None], bytes]) -> bytes:
    """Replace the document of a type by what `change` returns for it, and return the new document.

    `change` is called again if another process has changed the document in the meantime. Raises StoreError if the
    merchant is unknown.
    """
    while True:
        resources = store.resources(merchant, type, limit=1)
        if resources:
            stored = store.put_resource(msgspec.structs.replace(resources[0], body=change(resources[0].body)))
            if stored is not None:
                return stored.body
            continue
        try:
            return store.add_resource(merchant, type, name=NAME, body=change(None), resources_max=1).body
        except NameTakenError:
            continue


def merchant_settings(store: Store, merchant: str) -> dict[str, str]:
    """Return the settings of a merchant that protocols read, such as its ``account``; the engine reads none."""
    body = read_merchant_document(store, merchant, SETTINGS)
    return msgspec.json.decode(body, type=dict[str, str]) if body is not None else {}


def put_merchant_settings(store: Store, merchant: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Replace settings of a merchant and return all of them; an empty value removes a setting.

    Raises StoreError if the merchant is unknown.
    """

    def merge(body: bytes | None) -> bytes:
        before = msgspec.json.decode(body, type=dict[str, str]) if body is not None else {}
        return msgspec.json.encode({name: text for name, text in {**before, **settings}.items() if text})

    return msgspec.json.decode(update_merchant_document(store, merchant, SETTINGS, merge), type=dict[str, str])
