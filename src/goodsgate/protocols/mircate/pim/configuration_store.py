"""A merchant's configuration in the store: one resource of each merchant."""

from collections.abc import Callable

from goodsgate.engine.merchant_documents import read_merchant_document, update_merchant_document
from goodsgate.protocols.mircate.pim.configuration import PimConfiguration, decode, encode
from goodsgate.protocols.mircate.pim.unpublished import CONFIGURATION_BYTES_MAX, RESOURCE_TYPE
from goodsgate.protocols.mircate.responses import bad_request
from goodsgate.store.contract import Store

Change = Callable[[PimConfiguration], PimConfiguration]


class ConfigurationStore:
    """The configurations of all merchants."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, merchant: str) -> PimConfiguration:
        """Return the current configuration of a merchant."""
        return _decode(read_merchant_document(self._store, merchant, RESOURCE_TYPE))

    def change(self, merchant: str, change: Change) -> bytes:
        """Store a changed configuration and return it; repeat the change if another process was faster.

        Raises what `change` raises.
        """

        def change_body(body: bytes | None) -> bytes:
            changed = encode(change(_decode(body)))
            if len(changed) > CONFIGURATION_BYTES_MAX:
                raise bad_request(f"More than {CONFIGURATION_BYTES_MAX} bytes cannot be settled.")
            return changed

        return update_merchant_document(self._store, merchant, RESOURCE_TYPE, change_body)


def _decode(body: bytes | None) -> PimConfiguration:
    return decode(body) if body is not None else PimConfiguration()
