"""Sites in the store: which streams a site imports, and when."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from goodsgate.engine.cron import next_time
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.model.message import NewMessage
from goodsgate.protocols.productsup.schedule import ALWAYS
from goodsgate.protocols.productsup.stream_store import StreamStore, collection_of
from goodsgate.protocols.productsup.unpublished import IMPORT, SITES_MAX, SOURCES_MAX, UPDATE_STARTS
from goodsgate.store.contract import Store

RESOURCE_TYPE = "productsup/site"
MAIN, ADDITIONAL = 1, 2
"""Import types: the products of main sources are rows; those of additional sources add members to rows."""


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that a site imports."""

    id: int
    stream: int
    import_type: Literal[1, 2]
    description: str
    status: Literal["active", "paused"]


class SiteState(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a site's resource."""

    title: str
    project: str
    id_column: str
    schedule: str
    """Empty: import on request; `ALWAYS`: at once; else a cron entry."""
    created_at: datetime
    sources: list[DataSource] = []
    last_source_id: int = 0
    schedule_version: int = 0
    """Grows with each change of the schedule; messages of an older version are ignored."""

    @property
    def resource_name(self) -> str:
        """The unique name of the resource: the title as JSON, which may contain any character."""
        return msgspec.json.encode(self.title).decode()

    def active_sources(self, *types: int) -> list[DataSource]:
        """Return the sources that are imported, in order."""
        return [
            source for source in self.sources if source.status == "active" and source.import_type in (types or (1, 2))
        ]


class StoredSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site with its resource."""

    resource: Resource
    state: SiteState

    @property
    def number(self) -> int:
        """The id of the site."""
        return self.resource.number


class SiteStore:
    """The sites of every merchant, which decide when uploads to their streams are processed."""

    def __init__(self, store: Store, *, at_once: bool = False) -> None:
        """With `at_once`, streams without a site are imported when uploads arrive."""
        self._store = store
        self._at_once = at_once
        self._streams = StreamStore(store)

    def list_all(self, merchant: str) -> list[StoredSite]:
        """Return all sites of a merchant by id; their number is bounded."""
        return [_site(resource) for resource in self._store.resources(merchant, RESOURCE_TYPE, limit=SITES_MAX)]

    def get(self, merchant: str, number: int) -> StoredSite:
        """Return a site; raise item_unknown if there is none."""
        resource = self._store.resource(merchant, RESOURCE_TYPE, number)
        if resource is None or resource.expires_at is not None:
            raise Refusal("item_unknown")
        return _site(resource)

    def add(self, merchant: str, state: SiteState) -> StoredSite:
        """Create a site. Raises NameTakenError and ResourcesFullError."""
        body = msgspec.json.encode(msgspec.structs.replace(state, schedule=""))
        site = _site(self._store.add_resource(
            merchant, RESOURCE_TYPE, name=state.resource_name, body=body, resources_max=SITES_MAX, common_numbers=True
        ))
        if not state.schedule:
            return site
        return self.change(merchant, site.number, lambda _: msgspec.structs.replace(state, schedule_version=1))

    def change(self, merchant: str, number: int, change: Callable[[SiteState], SiteState]) -> StoredSite:
        """Store a changed site; repeat the change if another process was faster.

        Raises NameTakenError and item_unknown.
        """
        while True:
            before = self.get(merchant, number)
            state = change(before.state)
            streams = {source.stream for source in [*before.state.sources, *state.sources]}
            messages = _update_starts_messages(streams)
            if state.schedule != before.state.schedule:
                state = msgspec.structs.replace(state, schedule_version=before.state.schedule_version + 1)
                messages += _import_messages(number, state, after=now())
            site = self._put(before, state, messages)
            if site is not None:
                self.update_starts(merchant, streams)
                return site

    def schedule_next(self, merchant: str, number: int, schedule_version: int) -> None:
        """Store the message of the next import; do nothing if the schedule has changed."""
        while True:
            try:
                before = self.get(merchant, number)
            except Refusal:
                return
            if before.state.schedule_version != schedule_version:
                return
            state = msgspec.structs.replace(before.state, schedule_version=schedule_version + 1)
            if self._put(before, state, _import_messages(number, state, after=now())) is not None:
                return

    def delete(self, merchant: str, number: int) -> None:
        """Delete a site; what waits is imported by other sites that have its streams. Raises item_unknown."""
        while True:
            before = self.get(merchant, number)
            streams = {source.stream for source in before.state.sources}
            resource = msgspec.structs.replace(before.resource, expires_at=now())
            if self._store.put_resource(resource, messages=_update_starts_messages(streams)) is not None:
                break
        self.update_starts(merchant, streams)

    def update_starts(self, merchant: str, streams: set[int]) -> None:
        """Set whether uploads to the streams wait for an import, and release those that need not wait any more.

        Uploads wait unless a site imports the stream at once. Streams without a site stay as they are, so that nothing
        is imported because a site or a data source is deleted.
        """
        for number in sorted(streams):
            self._update_start(merchant, number, without_site=None)

    def import_without_site(self, merchant: str, number: int) -> None:
        """Release what waits in a stream that no site has, if such streams are imported as uploads arrive."""
        if self._at_once:
            self._update_start(merchant, number, without_site="now")

    def _update_start(self, merchant: str, number: int, *, without_site: Literal["now"] | None) -> None:
        start = None
        while start != (required := self._start(merchant, number) or without_site):  # a site may change in between
            start = required
            if start is not None and self._streams.set_start(merchant, number, start) and start == "now":
                self._store.release_rounds(merchant, Kind.PRODUCT, collection_of(number))

    def _start(self, merchant: str, stream: int) -> Literal["now", "held"] | None:
        """Return what the sites of a stream require; None if it has none."""
        sites = [
            site.state for site in self.list_all(merchant)
            if any(source.stream == stream for source in site.state.sources)
        ]
        imported_at_once = any(
            site.schedule == ALWAYS and any(source.stream == stream for source in site.active_sources())
            for site in sites
        )
        if imported_at_once:
            return "now"
        return "held" if sites or not self._at_once else None

    def _put(self, before: StoredSite, state: SiteState, messages: list[NewMessage]) -> StoredSite | None:
        body = msgspec.json.encode(state)
        resource = msgspec.structs.replace(before.resource, name=state.resource_name, body=body)
        stored = self._store.put_resource(resource, messages=messages)
        return _site(stored) if stored is not None else None


def _update_starts_messages(streams: set[int]) -> list[NewMessage]:
    """Return the message that updates the streams if this process ends before it has done so itself."""
    body = msgspec.json.encode(sorted(streams))
    return [NewMessage(topic=UPDATE_STARTS, subject="starts", body=body)] if streams else []


def _import_messages(number: int, state: SiteState, *, after: datetime) -> list[NewMessage]:
    """Return the message that starts the next scheduled import of a site."""
    if state.schedule in ("", ALWAYS):
        return []
    body = msgspec.json.encode({"schedule_version": state.schedule_version})
    return [NewMessage(topic=IMPORT, subject=str(number), body=body, due_at=next_time(state.schedule, after))]


def add_source(site: SiteState, *, stream: int, import_type: Literal[1, 2], description: str,
               status: Literal["active", "paused"]) -> SiteState:
    """Return the site with one more source; raise parameter_invalid if it has the maximum number."""
    if len(site.sources) >= SOURCES_MAX:
        raise Refusal("parameter_invalid", f"A site has at most {SOURCES_MAX} data sources.")
    source = DataSource(
        id=site.last_source_id + 1, stream=stream, import_type=import_type, description=description, status=status
    )
    return msgspec.structs.replace(site, sources=[*site.sources, source], last_source_id=source.id)


def _site(resource: Resource) -> StoredSite:
    return StoredSite(resource=resource, state=msgspec.json.decode(resource.body, type=SiteState))
