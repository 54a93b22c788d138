"""Exports in the store, and the background writing of their files, one after the other.

A message starts each step. The message of the next step is stored in the transaction that records the file, so if a
process dies, another one takes the step, and no step is lost or recorded twice.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from goodsgate import formats
from goodsgate.engine.outbox import DeliveryError
from goodsgate.engine.stock import Stock, StockLevel
from goodsgate.http.services import ProtocolServices
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Item, Resource, split_key
from goodsgate.model.json_text import read_json, write_json
from goodsgate.model.message import Message, NewMessage
from goodsgate.protocols.mircate.unpublished import (
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
from goodsgate.store.objects import Objects

RESOURCE_TYPE = TOPIC = "mircate/export"
PAGE = 1_000


class StockPriceExport(msgspec.Struct, frozen=True, kw_only=True):
    """An export as it is stored."""

    kinds: tuple[Kind, ...]
    channel: str | None
    requested_at: datetime
    status: str = WAITING
    files: tuple[str, ...] = ()
    """Names of the files that are written."""
    last_error: str = ""


class ExportStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an export: the next file, or the deletion of all files."""

    file: int = 0
    """Number of files before this one."""
    kind: int = 0
    """Index in the export's kinds."""
    part: int = 1
    """Number of the file within its kind, from 1."""
    after: str | None = None
    """Key of the last item in the part before."""
    delete: bool = False

    def message(self, export: str, *, due_at: datetime | None = None) -> NewMessage:
        """Return the message to store with the export in its state before this step."""
        return NewMessage(topic=TOPIC, subject=export, body=msgspec.json.encode(self), due_at=due_at)


def read_export(resource: Resource) -> StockPriceExport:
    """Decode the export of a resource."""
    return msgspec.json.decode(resource.body, type=StockPriceExport)


def find_export(store: Store, merchant: str, name: str) -> Resource | None:
    """Return the resource of the export with this name."""
    return next(iter(store.list_by_label(merchant, RESOURCE_TYPE, name, limit=1)), None)


def file_path(resource: Resource, file: str) -> str:
    """Return the path of a file; the name of the export is random, so the path is unique."""
    return f"{resource.merchant}/{resource.name}/{file}"


class ExportWriter:
    """Writes the files of exports, and deletes them when the export expires."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._stock = services.stock
        self._open_exports = services.open_exports
        self._retries_max = services.settings.delivery_retries_max

    def send(self, message: Message) -> None:
        """Run one step. Raises DeliveryError."""
        step = msgspec.json.decode(message.body, type=ExportStep)
        resource = find_export(self._store, message.merchant, message.subject)
        if resource is None:
            return
        try:
            objects = self._open_exports()
            if step.delete:
                self._delete_files(resource, objects)
            elif len(read_export(resource).files) == step.file:
                self._write_file(resource, step, objects)
        except StoreError as fault:
            if message.attempts > self._retries_max and not step.delete:
                self._store_export(resource, status=FAILED, last_error=str(fault))
            raise DeliveryError(str(fault)) from fault

    def _write_file(self, resource: Resource, step: ExportStep, objects: Objects) -> None:
        export = read_export(resource)
        part = _ExportPart(self._store, self._stock, resource.merchant, export, step)
        file = f"{part.kind}-{step.part}.csv"
        columns = EXPORT_COLUMNS[part.kind]
        objects.put(
            file_path(resource, file), formats.write(part.rows(columns), format="csv", header=[*columns]),
            media_type="text/csv",
        )
        files = (*export.files, file)
        next_step = part.next_step(files=len(files), kinds=len(export.kinds))
        if next_step is not None:
            self._store_export(resource, next_step.message(resource.name), status=RUNNING, files=files)
        else:
            end = ExportStep(delete=True).message(resource.name, due_at=now() + timedelta(days=EXPORT_DAYS))
            self._store_export(resource, end, status=DONE, files=files)

    def _store_export(self, resource: Resource, *messages: NewMessage, **changes: object) -> None:
        """Store the changed export; a step that another process has taken has no effect."""
        body = msgspec.json.encode(msgspec.structs.replace(read_export(resource), **changes))
        self._store.put_resource(msgspec.structs.replace(resource, body=body), messages=messages)

    def _delete_files(self, resource: Resource, objects: Objects) -> None:
        for file in read_export(resource).files:
            objects.delete(file_path(resource, file))
        self._store.put_resource(msgspec.structs.replace(resource, expires_at=now()))


class _ExportPart:
    """The rows of one file, read from the store page by page."""

    def __init__(self, store: Store, stock: Stock, merchant: str, export: StockPriceExport, step: ExportStep) -> None:
        self.kind = export.kinds[step.kind]
        self._store = store
        self._stock = stock
        self._merchant = merchant
        self._channel = export.channel
        self._step = step
        self._after = step.after

    def rows(self, columns: tuple[str, ...]) -> Iterator[list[str]]:
        """Yield the rows of the file, at most `EXPORT_PART_ROWS`."""
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

    def _levels(self, keys: list[str]) -> dict[str, StockLevel]:
        if self.kind is not Kind.STOCK or not keys:
            return {}
        return self._stock.levels(self._merchant, COLLECTION, keys, field=STOCK_FIELD)

    def next_step(self, *, files: int, kinds: int) -> ExportStep | None:
        """Return the step after this file, once its rows are read."""
        step = self._step
        if self._after is not None:
            return ExportStep(file=files, kind=step.kind, part=step.part + 1, after=self._after)
        return ExportStep(file=files, kind=step.kind + 1) if step.kind + 1 < kinds else None


def _row(item: Item, columns: tuple[str, ...], level: StockLevel | None) -> list[str]:
    unit = {**read_json(item.document), "updatedAt": f"{item.written_at:%Y-%m-%dT%H:%M:%S.%f}Z"}
    if level is not None:
        unit.update(stock=level.stock, reserved=level.reserved, available=level.available)
    return [_cell(unit.get(column)) for column in columns]


def _cell(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else write_json(value).decode()
