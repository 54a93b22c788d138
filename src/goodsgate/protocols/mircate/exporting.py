"""Exports as they are kept, and the making of their files beside the work: one after the other, each by a message.

A file is made by whoever carries the message of its step; the message of the next step is kept in the transaction that
tells of the file, so that a process that dies leaves the step to another, and no step is lost or told twice.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import orjson

from goodsgate import formats
from goodsgate.config import Config
from goodsgate.engine.outbox import Undelivered
from goodsgate.engine.stock import Level, Stock
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Item, Resource, split_key
from goodsgate.model.message import Message, NewMessage
from goodsgate.protocols.mircate.guesses import (
    COLLECTION,
    DONE,
    EXPORT_COLUMNS,
    EXPORT_DAYS,
    EXPORT_PART_ROWS,
    FAILED,
    RUNNING,
    STOCK_FIELD,
    WAITING,
)
from goodsgate.store.contract import Store, StoreError
from goodsgate.store.objects import Objects, open_objects

SORT = TOPIC = "mircate/export"
PAGE = 1_000


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """One export, as it is kept."""

    kinds: tuple[Kind, ...]
    channel: str | None
    asked_at: datetime
    status: str = WAITING
    files: tuple[str, ...] = ()
    """Names of those that are made."""
    trouble: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one message asks for: the next file, or that all of them go."""

    file: int = 0
    """How many files there are before it."""
    kind: int = 0
    """Place in the export's kinds."""
    part: int = 1
    """Of this kind."""
    after: str | None = None
    """Where the part before it has stopped."""
    drop: bool = False

    def message(self, export: str, *, due_at: datetime | None = None) -> NewMessage:
        """To be kept with the export as it stands before this step."""
        return NewMessage(topic=TOPIC, subject=export, body=msgspec.json.encode(self), due_at=due_at)


def export_of(resource: Resource) -> Export:
    """What a resource holds."""
    return msgspec.json.decode(resource.body, type=Export)


def named(store: Store, merchant: str, name: str) -> Resource | None:
    """The export of this name."""
    return next(iter(store.list_by_label(merchant, SORT, name, limit=1)), None)


def path_of(resource: Resource, file: str) -> str:
    """Where a file is kept; the export's name is random, so that no other store's file has it."""
    return f"{resource.merchant}/{resource.name}/{file}"


class Courier:
    """Makes files, and lets them go when their time is over."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._store = store
        self._tries = len(config.delivery_retry_seconds.split(","))

    def carry(self, message: Message) -> None:
        """One step; raises Undelivered."""
        step = msgspec.json.decode(message.body, type=Step)
        resource = named(self._store, message.merchant, message.subject)
        if resource is None:
            return
        try:
            config = self._config
            objects = open_objects(config.exports, store=config.store, name="exports", setting="exports")
            if step.drop:
                self._drop(resource, objects)
            elif len(export_of(resource).files) == step.file:
                self._make(resource, step, objects)
        except StoreError as fault:
            if message.attempts > self._tries and not step.drop:
                self._keep(resource, status=FAILED, trouble=str(fault))
            raise Undelivered(str(fault)) from fault

    def _make(self, resource: Resource, step: Step, objects: Objects) -> None:
        export = export_of(resource)
        part = _Part(self._store, resource.merchant, export, step)
        file = f"{part.kind}-{step.part}.csv"
        columns = EXPORT_COLUMNS[part.kind]
        objects.put(
            path_of(resource, file), formats.write(part.rows(columns), format="csv", header=[*columns]),
            media_type="text/csv",
        )
        files = (*export.files, file)
        further = part.next_step(files=len(files), kinds=len(export.kinds))
        if further is not None:
            self._keep(resource, further.message(resource.name), status=RUNNING, files=files)
        else:
            end = Step(drop=True).message(resource.name, due_at=now() + timedelta(days=EXPORT_DAYS))
            self._keep(resource, end, status=DONE, files=files)

    def _keep(self, resource: Resource, *messages: NewMessage, **changes: object) -> None:
        """Somebody else may have taken the same step; then this one is as if it had never been."""
        body = msgspec.json.encode(msgspec.structs.replace(export_of(resource), **changes))
        self._store.put_resource(msgspec.structs.replace(resource, body=body), messages=messages)

    def _drop(self, resource: Resource, objects: Objects) -> None:
        for file in export_of(resource).files:
            objects.delete(path_of(resource, file))
        self._store.put_resource(msgspec.structs.replace(resource, expires_at=now()))


class _Part:
    """The rows of one file, drawn from the store page by page."""

    def __init__(self, store: Store, merchant: str, export: Export, step: Step) -> None:
        self.kind = export.kinds[step.kind]
        self._store = store
        self._merchant = merchant
        self._channel = export.channel
        self._step = step
        self._after = step.after

    def rows(self, columns: tuple[str, ...]) -> Iterator[list[str]]:
        """Of what is held, so many items at most."""
        left = EXPORT_PART_ROWS
        while left > 0:
            page = self._store.items(
                self._merchant, self.kind, COLLECTION, after=self._after, limit=min(PAGE, left)
            )
            rows = [item for item in page.rows if self._channel in (None, split_key(item.key)[1])]
            levels = self._levels([item.key for item in rows])
            for item in rows:
                yield _row(item, columns, levels.get(item.key))
            left -= len(page.rows)
            self._after = page.next
            if self._after is None:
                return

    def _levels(self, keys: list[str]) -> dict[str, Level]:
        if self.kind is not Kind.STOCK or not keys:
            return {}
        return Stock(self._store).levels(self._merchant, COLLECTION, keys, field=STOCK_FIELD)

    def next_step(self, *, files: int, kinds: int) -> Step | None:
        """What comes once the rows are drawn."""
        step = self._step
        if self._after is not None:
            return Step(file=files, kind=step.kind, part=step.part + 1, after=self._after)
        return Step(file=files, kind=step.kind + 1) if step.kind + 1 < kinds else None


def _row(item: Item, columns: tuple[str, ...], level: Level | None) -> list[str]:
    unit = {**orjson.loads(item.document), "updatedAt": f"{item.written_at:%Y-%m-%dT%H:%M:%S.%f}Z"}
    if level is not None:
        unit.update(stock=level.stock, reserved=level.reserved, available=level.available)
    return [_cell(unit.get(column)) for column in columns]


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
