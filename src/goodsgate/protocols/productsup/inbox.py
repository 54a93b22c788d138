"""A stream as it is kept: a resource whose body this protocol reads, under the stream's name."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.productsup.answers import moment
from goodsgate.protocols.productsup.guesses import ID_MAX, RESERVED_DAYS, STREAMS_MAX, account_of
from goodsgate.store.contract import ResourcesFullError, Store

SORT = "productsup/stream"
STREAM_TYPES = ("chunked", "referenced")


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What of a stream is in the body of its resource."""

    type: str
    created_at: datetime
    updated_at: datetime
    start: Literal["now", "held"] = "now"
    """Whether uploads wait until a site imports."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One inbox of a merchant."""

    resource: Resource
    kept: Kept

    @property
    def path(self) -> str:
        """Where it is."""
        return path_of(self.resource.number)

    @property
    def words(self) -> dict[str, Any]:
        """As a JSON:API resource; ids are texts."""
        account = {"data": {"type": "account", "id": account_of(self.resource.merchant)}}
        return {
            "type": "stream", "id": str(self.resource.number),
            "attributes": {
                "name": self.resource.name, "type": self.kept.type, "createdAt": moment(self.kept.created_at),
                "updatedAt": moment(self.kept.updated_at),
            },
            "relationships": {"account": account},
        }


def path_of(number: int) -> str:
    """``/streams/8743``."""
    return f"/streams/{number}"


def collection_of(number: int) -> str:
    """Where the products of a stream are."""
    return f"productsup-{number}"


class Streams:
    """The streams of every merchant, in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, merchant: str) -> list[Stream]:
        """By ascending id; there are not many."""
        return [_stream(found) for found in self._store.resources(merchant, SORT, limit=STREAMS_MAX)]

    def one(self, merchant: str, number: int) -> Stream:
        """Raises item_unknown, also for one that was deleted."""
        found = self._store.resource(merchant, SORT, number)
        if found is None or found.expires_at is not None:
            raise Refusal("item_unknown")
        return _stream(found)

    def add(self, merchant: str, name: str, type: str) -> Stream:
        """Raises NameTakenError, ResourcesFullError."""
        made_at = now()
        body = msgspec.json.encode(Kept(type=type, created_at=made_at, updated_at=made_at))
        made = self._store.add_resource(merchant, SORT, name=name, body=body, resources_max=STREAMS_MAX)
        if made.number > ID_MAX:  # streams may have been made and deleted all the time, for years
            self._store.put_resource(msgspec.structs.replace(made, expires_at=now()))
            raise ResourcesFullError
        return _stream(made)

    def rename(self, merchant: str, number: int, name: str) -> Stream:
        """Raises NameTakenError, item_unknown."""

        def renamed(stream: Stream) -> Resource:
            body = msgspec.json.encode(msgspec.structs.replace(stream.kept, updated_at=now()))
            return msgspec.structs.replace(stream.resource, name=name, body=body)

        return self._changed(merchant, number, renamed)

    def set_start(self, merchant: str, number: int, start: Literal["now", "held"]) -> bool:
        """False where the stream is gone."""

        def started(stream: Stream) -> Resource:
            body = msgspec.json.encode(msgspec.structs.replace(stream.kept, start=start))
            return msgspec.structs.replace(stream.resource, body=body)

        try:
            if self.one(merchant, number).kept.start != start:
                self._changed(merchant, number, started)
        except Refusal:
            return False
        return True

    def delete(self, merchant: str, number: int) -> None:
        """From now on it is unknown; its name stays taken for a while. Raises item_unknown."""

        def ending(stream: Stream) -> Resource:
            return msgspec.structs.replace(stream.resource, expires_at=now() + timedelta(days=RESERVED_DAYS))

        self._changed(merchant, number, ending)

    def _changed(self, merchant: str, number: int, change: Callable[[Stream], Resource]) -> Stream:
        """After the change, which is made again where somebody else was quicker."""
        while True:
            changed = self._store.put_resource(change(self.one(merchant, number)))
            if changed is not None:
                return _stream(changed)


def _stream(resource: Resource) -> Stream:
    return Stream(resource=resource, kept=msgspec.json.decode(resource.body, type=Kept))


def number_of(text: str) -> int:
    """Of a path parameter that was checked; raises item_unknown for what is not written as ids are."""
    if str(int(text)) != text:
        raise refuse("item_unknown")
    return int(text)
