"""Streams in the store: each is a resource under the stream's name."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.productsup.responses import format_time
from goodsgate.protocols.productsup.unpublished import ID_MAX, RESERVED_DAYS, STREAMS_MAX, account_of
from goodsgate.store.contract import ResourcesFullError, Store

RESOURCE_TYPE = "productsup/stream"
STREAM_TYPES = ("chunked", "referenced")


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a stream's resource."""

    type: str
    created_at: datetime
    updated_at: datetime
    start: Literal["now", "held"] = "now"
    """Whether uploads are processed at once, or wait until a site imports."""


class ProductStream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of a merchant."""

    resource: Resource
    state: StreamState

    @property
    def path(self) -> str:
        """The URL path of the stream."""
        return stream_path(self.resource.number)

    def serialize(self) -> dict[str, Any]:
        """Return the stream as a JSON:API resource, whose ids are texts."""
        account = {"data": {"type": "account", "id": account_of(self.resource.merchant)}}
        return {
            "type": "stream", "id": str(self.resource.number),
            "attributes": {
                "name": self.resource.name, "type": self.state.type, "createdAt": format_time(self.state.created_at),
                "updatedAt": format_time(self.state.updated_at),
            },
            "relationships": {"account": account},
        }


def stream_path(number: int) -> str:
    """Return the URL path of a stream, such as ``/streams/8743``."""
    return f"/streams/{number}"


def collection_of(number: int) -> str:
    """Return the collection that holds the products of a stream."""
    return f"productsup-{number}"


def parse_stream_id(text: str) -> int:
    """Return the number in a path parameter of digits; raise item_unknown if it has leading zeros."""
    if str(int(text)) != text:
        raise refuse("item_unknown")
    return int(text)


class StreamStore:
    """The streams of every merchant."""

    def __init__(self, store: Store, *, at_once: bool = False) -> None:
        """With `at_once`, a new stream is imported as uploads arrive, until a site has it."""
        self._store = store
        self._first_start: Literal["now", "held"] = "now" if at_once else "held"

    def list_all(self, merchant: str) -> list[ProductStream]:
        """Return all streams of a merchant by ascending id; their number is bounded."""
        return [_stream(resource) for resource in self._store.resources(merchant, RESOURCE_TYPE, limit=STREAMS_MAX)]

    def get(self, merchant: str, number: int) -> ProductStream:
        """Return a stream; raise item_unknown if there is none or it was deleted."""
        resource = self._store.resource(merchant, RESOURCE_TYPE, number)
        if resource is None or resource.expires_at is not None:
            raise Refusal("item_unknown")
        return _stream(resource)

    def exists(self, merchant: str, number: int) -> bool:
        """Return whether there is a stream that was not deleted."""
        resource = self._store.resource(merchant, RESOURCE_TYPE, number)
        return resource is not None and resource.expires_at is None

    def add(self, merchant: str, name: str, type: str) -> ProductStream:
        """Create a stream. Raises NameTakenError and ResourcesFullError."""
        created_at = now()
        body = msgspec.json.encode(StreamState(
            type=type, created_at=created_at, updated_at=created_at, start=self._first_start
        ))
        resource = self._store.add_resource(
            merchant, RESOURCE_TYPE, name=name, body=body, resources_max=STREAMS_MAX, common_numbers=True
        )
        if resource.number > ID_MAX:  # possible after years of creating and deleting streams
            self._store.put_resource(msgspec.structs.replace(resource, expires_at=now()))
            raise ResourcesFullError
        return _stream(resource)

    def rename(self, merchant: str, number: int, name: str) -> ProductStream:
        """Rename a stream. Raises NameTakenError and item_unknown."""

        def with_name(stream: ProductStream) -> Resource:
            body = msgspec.json.encode(msgspec.structs.replace(stream.state, updated_at=now()))
            return msgspec.structs.replace(stream.resource, name=name, body=body)

        return self._change(merchant, number, with_name)

    def set_start(self, merchant: str, number: int, start: Literal["now", "held"]) -> bool:
        """Set whether uploads wait for an import; return False if the stream does not exist."""

        def with_start(stream: ProductStream) -> Resource:
            body = msgspec.json.encode(msgspec.structs.replace(stream.state, start=start))
            return msgspec.structs.replace(stream.resource, body=body)

        try:
            if self.get(merchant, number).state.start != start:
                self._change(merchant, number, with_start)
        except Refusal:
            return False
        return True

    def delete(self, merchant: str, number: int) -> None:
        """Delete a stream, whose name stays reserved for a while. Raises item_unknown."""
        expires_at = now() + timedelta(days=RESERVED_DAYS)
        self._change(merchant, number, lambda stream: msgspec.structs.replace(stream.resource, expires_at=expires_at))

    def _change(self, merchant: str, number: int, change: Callable[[ProductStream], Resource]) -> ProductStream:
        """Store a changed stream; repeat the change if another process was faster."""
        while True:
            resource = self._store.put_resource(change(self.get(merchant, number)))
            if resource is not None:
                return _stream(resource)


def _stream(resource: Resource) -> ProductStream:
    return ProductStream(resource=resource, state=msgspec.json.decode(resource.body, type=StreamState))
