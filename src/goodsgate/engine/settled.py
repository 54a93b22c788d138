"""What is settled of a merchant once and for all of its kind: one resource, changed as a whole."""

from collections.abc import Callable, Mapping

import msgspec

from goodsgate.store.contract import NameTakenError, Store

NAME = "settled"
SETTINGS = "merchant/settings"


def settled(store: Store, merchant: str, sort: str) -> bytes | None:
    """What is settled under a sort, as JSON; None while nothing is."""
    found = store.resources(merchant, sort, limit=1)
    return found[0].body if found else None


def settle(store: Store, merchant: str, sort: str, change: Callable[[bytes | None], bytes]) -> bytes:
    """Put what `change` makes of what is settled; it is asked again where somebody else was quicker.

    Raises StoreError if the merchant is unknown.
    """
    while True:
        found = store.resources(merchant, sort, limit=1)
        if found:
            put = store.put_resource(msgspec.structs.replace(found[0], body=change(found[0].body)))
            if put is not None:
                return put.body
            continue
        try:
            return store.add_resource(merchant, sort, name=NAME, body=change(None), resources_max=1).body
        except NameTakenError:
            continue


def merchant_settings(store: Store, merchant: str) -> dict[str, str]:
    """Return the settings of a merchant that protocols read, such as its ``account``; the engine reads none."""
    body = settled(store, merchant, SETTINGS)
    return msgspec.json.decode(body, type=dict[str, str]) if body is not None else {}


def put_merchant_settings(store: Store, merchant: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Replace settings of a merchant and return all of them; an empty value removes a setting.

    Raises StoreError if the merchant is unknown.
    """

    def changed(body: bytes | None) -> bytes:
        before = msgspec.json.decode(body, type=dict[str, str]) if body is not None else {}
        return msgspec.json.encode({name: text for name, text in {**before, **settings}.items() if text})

    return msgspec.json.decode(settle(store, merchant, SETTINGS, changed), type=dict[str, str])
