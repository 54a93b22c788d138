"""A site as it is kept: what imports streams, when, and of which it shows products."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import NewMessage
from goodsgate.protocols.productsup.guesses import IMPORT, SETTLE, SITES_MAX, SOURCES_MAX
from goodsgate.protocols.productsup.inbox import Streams, collection_of
from goodsgate.protocols.productsup.schedule import ALWAYS, Schedule
from goodsgate.store.contract import Store

SORT = "productsup/site"
MAIN, ADDITIONAL = 1, 2
"""Sources whose products are rows, and those that add members to rows."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that a site imports."""

    id: int
    stream: int
    import_type: Literal[1, 2]
    description: str
    status: Literal["active", "paused"]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What of a site is in the body of its resource."""

    title: str
    project: str
    id_column: str
    schedule: str
    """Empty: on trigger; `ALWAYS`: at once; else a cron entry."""
    made_at: datetime
    sources: list[Source] = []
    sources_made: int = 0
    epoch: int = 0
    """Grows with every change of the schedule: what was due by an older one is not."""

    @property
    def name(self) -> str:
        """By which it is unique: the title as JSON, which may hold anything."""
        return msgspec.json.encode(self.title).decode()

    def active(self, *types: int) -> list[Source]:
        """Sources that are imported, in order."""
        return [one for one in self.sources if one.status == "active" and one.import_type in (types or (1, 2))]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A site with the resource that it is."""

    resource: Resource
    site: Site

    @property
    def number(self) -> int:
        """Its id."""
        return self.resource.number


class Sites:
    """The sites of every merchant, in the store; they settle when their streams are worked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams = Streams(store)

    def all(self, merchant: str) -> list[Placed]:
        """By id; there are not many."""
        return [_placed(found) for found in self._store.resources(merchant, SORT, limit=SITES_MAX)]

    def one(self, merchant: str, number: int) -> Placed:
        """Raises item_unknown."""
        found = self._store.resource(merchant, SORT, number)
        if found is None or found.expires_at is not None:
            raise Refusal("item_unknown")
        return _placed(found)

    def add(self, merchant: str, site: Site) -> Placed:
        """Raises NameTakenError, ResourcesFullError."""
        body = msgspec.json.encode(msgspec.structs.replace(site, schedule=""))
        made = _placed(
            self._store.add_resource(merchant, SORT, name=site.name, body=body, resources_max=SITES_MAX)
        )
        if not site.schedule:
            return made
        return self.change(merchant, made.number, lambda _: msgspec.structs.replace(site, epoch=1))

    def change(self, merchant: str, number: int, change: Callable[[Site], Site]) -> Placed:
        """After the change, which is made again where somebody else was quicker. Raises NameTakenError,
        item_unknown."""
        while True:
            before = self.one(merchant, number)
            site = change(before.site)
            touched = {one.stream for one in [*before.site.sources, *site.sources]}
            messages = _to_settle(touched)
            if site.schedule != before.site.schedule:
                site = msgspec.structs.replace(site, epoch=before.site.epoch + 1)
                messages += due(number, site, after=now())
            kept = self._put(before, site, messages)
            if kept is not None:
                self.settle_starts(merchant, touched)
                return kept

    def again(self, merchant: str, number: int, epoch: int) -> None:
        """Keep when a site imports next, once for each time that was due; nothing where its schedule is another."""
        while True:
            try:
                before = self.one(merchant, number)
            except Refusal:
                return
            if before.site.epoch != epoch:
                return
            site = msgspec.structs.replace(before.site, epoch=epoch + 1)
            if self._put(before, site, due(number, site, after=now())) is not None:
                return

    def delete(self, merchant: str, number: int) -> None:
        """Its streams are imported by the other sites, or at once. Raises item_unknown."""
        while True:
            before = self.one(merchant, number)
            touched = {one.stream for one in before.site.sources}
            ended = msgspec.structs.replace(before.resource, expires_at=now())
            if self._store.put_resource(ended, messages=_to_settle(touched)) is not None:
                break
        self.settle_starts(merchant, touched)

    def settle_starts(self, merchant: str, streams: set[int]) -> None:
        """Uploads wait where sites have the stream of which none imports at once; what need not wait is started."""
        for number in sorted(streams):
            start = None
            while start != (wanted := self._start(merchant, number)):  # a site may change meanwhile
                start = wanted
                if self._streams.set_start(merchant, number, start) and start == "now":
                    self._store.release_rounds(merchant, Kind.PRODUCT, collection_of(number))

    def _start(self, merchant: str, stream: int) -> Literal["now", "held"]:
        sites = [placed.site for placed in self.all(merchant)]
        holders = [site for site in sites if any(one.stream == stream for one in site.sources)]
        if any(site.schedule == ALWAYS and any(one.stream == stream for one in site.active()) for site in holders):
            return "now"
        return "held" if holders else "now"

    def _put(self, before: Placed, site: Site, messages: list[NewMessage]) -> Placed | None:
        resource = msgspec.structs.replace(before.resource, name=site.name, body=msgspec.json.encode(site))
        kept = self._store.put_resource(resource, messages=messages)
        return _placed(kept) if kept is not None else None


def _to_settle(streams: set[int]) -> list[NewMessage]:
    """What the outbox brings back at once, should this process end before it has settled how uploads start."""
    body = msgspec.json.encode(sorted(streams))
    return [NewMessage(topic=SETTLE, subject="starts", body=body)] if streams else []


def due(number: int, site: Site, *, after: datetime) -> list[NewMessage]:
    """What the outbox is to bring back when a site on a schedule imports next."""
    if site.schedule in ("", ALWAYS):
        return []
    body = msgspec.json.encode({"epoch": site.epoch})
    return [NewMessage(topic=IMPORT, subject=str(number), body=body, due_at=Schedule(site.schedule).next(after))]


def with_source(site: Site, *, stream: int, import_type: Literal[1, 2], description: str,
                status: Literal["active", "paused"]) -> Site:
    """The site with one more source; raises parameter_invalid where it has as many as it may have."""
    if len(site.sources) >= SOURCES_MAX:
        raise Refusal("parameter_invalid", f"A site has at most {SOURCES_MAX} data sources.")
    source = Source(
        id=site.sources_made + 1, stream=stream, import_type=import_type, description=description, status=status
    )
    return msgspec.structs.replace(site, sources=[*site.sources, source], sources_made=source.id)


def _placed(resource: Resource) -> Placed:
    return Placed(resource=resource, site=msgspec.json.decode(resource.body, type=Site))
