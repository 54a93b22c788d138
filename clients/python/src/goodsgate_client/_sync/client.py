# Generated from _async/client.py by clients/python/generate.py.
"""The client of a gate."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Unpack
from urllib.parse import quote

import httpx

from goodsgate_client._sync.downloads import read_records, save_download, spool_download
from goodsgate_client._sync.pages import Pages
from goodsgate_client._sync.session import OnRetry, Session
from goodsgate_client.models import (
    Batch,
    Change,
    ChangePage,
    DiffChange,
    Document,
    FixMatch,
    Issue,
    Item,
    RecordResult,
    SavedExport,
    Suggestions,
)
from goodsgate_client.options import Kind, SubmitOptions, query_of
from goodsgate_client.sources import FileInput, Record, Source, open_source, record_source

ChangeFields = Literal["before", "after"]
"""The record of a change before it, and after it."""
OnBytes = Callable[[int], None]
"""Called while a file is sent, with the number of its bytes that were read."""


class Client(Session):
    """Client of a gate with the key of one merchant.

    Methods that take a batch accept a `Batch` or its id. What has no method is called by `request`.
    """

    # -- submissions --------------------------------------------------------------------------------------------------

    def submit_file(
        self, file: FileInput, *, idempotency_key: str | None = None, on_bytes: OnBytes | None = None,
        on_retry: OnRetry | None = None, **options: Unpack[SubmitOptions],
    ) -> Batch:
        """Submit a file of any length and return the accepted batch. Raises RefusedError, UnreachableError.

        The file is streamed. If the connection is lost, it is sent again with the same idempotency key, so that it is
        applied once. Give a key of your own to repeat a whole run of your program.
        """
        with open_source(file) as source:
            sent = {"label": source.label or None, **options}
            return self._upload(
                "/v1/batches", source, sent, idempotency_key=idempotency_key, on_bytes=on_bytes, on_retry=on_retry
            )

    def submit_records(
        self, records: Iterable[Record], *, idempotency_key: str | None = None,
        on_bytes: OnBytes | None = None, on_retry: OnRetry | None = None, **options: Unpack[SubmitOptions],
    ) -> Batch:
        """Submit records of an iterable of any length and return the accepted batch.

        They are encoded while they are sent, and kept in a temporary file until the gate has accepted them. If the
        iterable raises an exception, nothing is submitted, and the exception is raised.
        """
        with closing(record_source(records)) as source:
            return self._upload(
                "/v1/batches", source, {**options, "format": "ndjson"}, idempotency_key=idempotency_key,
                on_bytes=on_bytes, on_retry=on_retry,
            )

    def inspect_file(self, file: FileInput, **options: Unpack[SubmitOptions]) -> Document:
        """Return how a file would be read and what its first records would become. Nothing is stored."""
        with open_source(file) as source:
            params = query_of({"label": source.label or None, **options})
            return self.request("POST", "/v1/inspect", body=source, params=params)

    def _upload(
        self, path: str, source: Source, options: dict[str, Any], *, idempotency_key: str | None,
        on_bytes: OnBytes | None = None, on_retry: OnRetry | None,
    ) -> Batch:
        source.on_bytes = on_bytes
        document = self.request(
            "POST", path, body=source, params=query_of(options), idempotency_key=idempotency_key, on_retry=on_retry
        )
        return Batch.from_document(document)

    # -- batches ------------------------------------------------------------------------------------------------------

    def batch(self, batch: Batch | str) -> Batch:
        """Return the current state of a batch. Raises NotFoundError."""
        return Batch.from_document(self.request("GET", _path(batch)))

    def batches(
        self, *, state: str | None = None, outcome: str | None = None, kind: Kind | None = None,
        collection: str | None = None, search: str | None = None, page_rows: int | None = None,
    ) -> Pages[Batch]:
        """Return the batches, newest first; `search` is text in the label or the start of the id."""
        params = query_of({
            "state": state, "outcome": outcome, "kind": kind, "collection": collection, "q": search,
            "limit": page_rows,
        })
        return Pages(self, "/v1/batches", params, name="batches", model=Batch)

    def follow(
        self, batch: Batch | str, *, timeout_seconds: float | None = None, on_retry: OnRetry | None = None
    ) -> Generator[Batch, None, None]:
        """Yield the batch whenever it has changed, until it has ended or is held. Raises WaitTimeoutError."""
        watching = self.watch(_path(batch), timeout_seconds=timeout_seconds, on_retry=on_retry)
        with closing(watching) as documents:
            for document in documents:
                current = Batch.from_document(document)
                yield current
                if current.has_ended or current.is_held:
                    return

    def wait(
        self, batch: Batch | str, *, timeout_seconds: float | None = None,
        on_progress: Callable[[Batch], None] | None = None, on_retry: OnRetry | None = None,
    ) -> Batch:
        """Wait until a batch has ended, or guards hold it, and return it. Raises WaitTimeoutError.

        The gate's events are read as long as they arrive; otherwise the batch is polled.
        """
        following = self.follow(batch, timeout_seconds=timeout_seconds, on_retry=on_retry)
        with closing(following) as states:
            for current in states:
                if on_progress:
                    on_progress(current)
        return current

    def issues(
        self, batch: Batch | str, *, code: str | None = None, severity: str | None = None,
        after_record: int | None = None, page_records: int | None = None,
    ) -> Pages[Issue]:
        """Return the issues of a batch in the order of its records."""
        params = query_of({"code": code, "severity": severity, "after": after_record, "limit": page_records})
        return Pages(self, f"{_path(batch)}/issues", params, name="issues", model=Issue)

    def results(
        self, batch: Batch | str, *, result: str | None = None, after_record: int | None = None,
        page_records: int | None = None,
    ) -> Pages[RecordResult]:
        """Return what became of each record, in the order of the records."""
        params = query_of({"result": result, "after": after_record, "limit": page_records})
        return Pages(self, f"{_path(batch)}/results", params, name="results", model=RecordResult)

    # -- corrections --------------------------------------------------------------------------------------------------

    def save_report(
        self, batch: Batch | str, file: str | Path | None = None, *, only: str = "rejected", format: str | None = None,
        raw: bool | None = None,
    ) -> Path:
        """Save the rejected records, or `all`, in the submitter's own columns with their issues; return the path.

        By default the file is named by the gate and has the format of the submission. It is saved whole or not at all.
        """
        params = query_of({"only": only, "format": format, "raw": raw})
        return self.save(f"{_path(batch)}/report", file, params=params, default=f"{_id(batch)}-{only}")

    def report_records(self, batch: Batch | str, *, only: str = "rejected") -> Iterator[Document]:
        """Yield the rejected records, or `all`, as they were submitted, with `_row`, `_codes` and `_messages`."""
        with self._report(batch, only) as report:
            for record in read_records(report):
                yield record

    def _report(self, batch: Batch | str, only: str) -> IO[bytes]:
        params = {"only": only, "format": "ndjson"}
        return self.download(f"{_path(batch)}/report", spool_download, params=params)

    def preview_fix(
        self, batch: Batch | str, file: FileInput, *, format: str | None = None, encoding: str | None = None
    ) -> FixMatch:
        """Return how many rejected records a corrected report would replace. Nothing is stored."""
        with open_source(file) as source:
            params = query_of({"format": format or source.format, "encoding": encoding})
            document = self.request("POST", f"{_path(batch)}/fix/preview", body=source, params=params)
        return FixMatch.from_document(document)

    def fix_file(
        self, batch: Batch | str, file: FileInput, *, format: str | None = None, encoding: str | None = None,
        new_records: bool | None = None, idempotency_key: str | None = None, on_bytes: OnBytes | None = None,
        on_retry: OnRetry | None = None,
    ) -> Batch:
        """Send a corrected report back to its batch and return the batch, which is processed again."""
        with open_source(file) as source:
            sent = {"format": format or source.format, "encoding": encoding, "new_records": new_records}
            return self._upload(
                f"{_path(batch)}/fix", source, sent, idempotency_key=idempotency_key, on_bytes=on_bytes,
                on_retry=on_retry,
            )

    def fix_records(
        self, batch: Batch | str, records: Iterable[Record], *,
        idempotency_key: str | None = None, on_retry: OnRetry | None = None,
    ) -> Batch:
        """Send corrected records, each with the `_row` of the record that it replaces, and return the batch."""
        with closing(record_source(records)) as source:
            return self._upload(
                f"{_path(batch)}/fix", source, {"format": "ndjson"}, idempotency_key=idempotency_key, on_retry=on_retry
            )

    def correct(
        self, batch: Batch | str, correct: Callable[[Document], Record | None], *, on_retry: OnRetry | None = None
    ) -> Batch:
        """Pass each rejected record to `correct`, send back what it returns, and return the batch.

        A record has the members of the submission and `_row`, `_codes` and `_messages`; numbers with a fraction are
        `Decimal`. `correct` returns it corrected, with its `_row`, or None to leave it rejected.
        """
        with self._report(batch, "rejected") as report:
            corrected = (record for each in read_records(report) if (record := correct(each)) is not None)
            return self.fix_records(batch, corrected, on_retry=on_retry)

    def suggestions(self, batch: Batch | str) -> Suggestions:
        """Return the suggestions for rejected records by issue code and field."""
        return Suggestions.from_document(self.request("GET", f"{_path(batch)}/suggestions"))

    def apply_suggestions(self, batch: Batch | str, *, code: str, field: str | None = None) -> Batch:
        """Put the suggestions of an issue code, of one field or of all, in place of the rejected values."""
        params = {"code": code} | ({"field": field} if field is not None else {})
        document = self.request("POST", f"{_path(batch)}/suggestions/apply", params=params)
        return Batch.from_document(document)

    def retry(self, batch: Batch | str) -> Batch:
        """Process the rejected records again, for example after reference data was loaded; return the batch."""
        return Batch.from_document(self.request("POST", f"{_path(batch)}/retry"))

    def cancel(self, batch: Batch | str) -> Batch:
        """Cancel a batch. Changes already applied stay."""
        return Batch.from_document(self.request("POST", f"{_path(batch)}/cancel"))

    def confirm(self, batch: Batch | str, *, deletions: int) -> Batch:
        """Confirm the withheld deletions of a full feed, whose number must still be right; return the batch."""
        return Batch.from_document(
            self.request("POST", f"{_path(batch)}/confirm", json={"deletions": deletions})
        )

    def approve(self, batch: Batch | str) -> Batch:
        """Let a held batch be applied to what the catalogue now holds. Raises ConflictError if it is not held."""
        return Batch.from_document(self.request("POST", f"{_path(batch)}/approve"))

    def discard(self, batch: Batch | str) -> Batch:
        """End a held batch without applying anything of it. Raises ConflictError if it is not held."""
        return Batch.from_document(self.request("POST", f"{_path(batch)}/discard"))

    def diff(
        self, batch: Batch | str, *, operation: str | None = None, field: str | None = None,
        page_changes: int | None = None,
    ) -> Pages[DiffChange]:
        """Return the changes that a dry run or a held batch would make, in their order."""
        params = query_of({"operation": operation, "field": field, "limit": page_changes})
        return Pages(self, f"{_path(batch)}/diff", params, name="changes", model=DiffChange)

    def preview_revert(self, batch: Batch | str) -> Document:
        """Return what a revert of the batch would do now: how many items go back, and which stay as they are."""
        return self.request("POST", f"{_path(batch)}/revert", params={"preview": True})

    def revert(self, batch: Batch | str) -> Batch:
        """Put the items that a batch has changed back as they were; return the new batch that does it."""
        return Batch.from_document(self.request("POST", f"{_path(batch)}/revert"))

    # -- catalogue and reference data ---------------------------------------------------------------------------------

    def items(
        self, collection: str = "products", *, kind: Kind | None = None, prefix: str | None = None,
        search: str | None = None, gtin: str | None = None, brand: str | None = None, group: str | None = None,
        batch: Batch | str | None = None, since: datetime | None = None, page_rows: int | None = None,
    ) -> Pages[Item]:
        """Return the items of a collection that meet all filters, ordered by key; `search` is words of it."""
        params = query_of({
            "kind": kind, "prefix": prefix, "q": search, "gtin": gtin, "brand": brand, "group": group,
            "batch": None if batch is None else _id(batch), "since": since.isoformat() if since else None,
            "limit": page_rows,
        })
        return Pages(self, f"/v1/collections/{quote(collection, '')}/items", params, name="items", model=Item)

    def item(self, key: str, collection: str = "products", *, kind: Kind | None = None) -> Item:
        """Return an item. Raises NotFoundError."""
        path = f"/v1/collections/{quote(collection, '')}/items/{quote(key, '')}"
        return Item.from_document(self.request("GET", path, params=query_of({"kind": kind})))

    def edit_item(
        self, key: str, patch: Mapping[str, Any], collection: str = "products", *, kind: Kind | None = None
    ) -> Batch:
        """Change fields of an item and lock them against the supplier; return the batch, which has one record.

        `patch` is a JSON Merge Patch: fields with their new values, or None to remove them.
        """
        path = f"/v1/collections/{quote(collection, '')}/items/{quote(key, '')}"
        return Batch.from_document(self.request("PATCH", path, params=query_of({"kind": kind}), json=dict(patch)))

    def unlock_item(
        self, key: str, collection: str = "products", *, field: str | None = None, kind: Kind | None = None
    ) -> Batch:
        """Give a locked field, or all of them, the value that the supplier has sent; return the batch."""
        path = f"/v1/collections/{quote(collection, '')}/locks/{quote(key, '')}"
        return Batch.from_document(self.request("DELETE", path, params=query_of({"kind": kind, "field": field})))

    def save_export(
        self, file: str | Path | None = None, collection: str = "products", *, kind: Kind | None = None,
        format: str | None = None, profile: str | None = None, after: str | None = None,
    ) -> SavedExport:
        """Save a collection as a file; `profile` writes the columns of another system."""
        params = query_of({"kind": kind, "format": format, "profile": profile, "after": after})
        path = f"/v1/collections/{quote(collection, '')}/export"
        cursors: list[str | None] = []
        saved = self.save(
            path, file, params=params, default=f"{collection}-{kind or 'product'}",
            on_response=lambda response: cursors.append(response.headers.get("Goodsgate-Changes-Cursor")),
        )
        return SavedExport(file=saved, cursor=cursors[-1])

    def change_page(
        self, after: str | None = None, *, kind: Kind | None = None, collection: str | None = None,
        fields: Sequence[ChangeFields] = ("after",), limit: int | None = None, wait_seconds: float | None = None,
    ) -> ChangePage:
        """Return the changes behind a cursor; wait for one if there is none. Raises GoneError if the cursor is too old.

        Without `after` they begin with the oldest that is kept; `now` is a cursor, too.
        """
        params = query_of({
            "after": after, "kind": kind, "collection": collection, "fields": fields or ("keys",), "limit": limit,
            "wait": wait_seconds,
        })
        return ChangePage.from_document(self.request("GET", "/v1/changes", params=params))

    def changes(
        self, after: str | None = None, *, kind: Kind | None = None, collection: str | None = None,
        fields: Sequence[ChangeFields] = ("after",), follow: bool = False, wait_seconds: float = 30.0,
    ) -> Iterator[Change]:
        """Yield the changes behind a cursor until there are no more, or with `follow` for ever. Raises GoneError.

        After a GoneError, begin again with `save_export` and its cursor.
        """
        more = True
        while more or follow:
            page = self.change_page(
                after, kind=kind, collection=collection, fields=fields, wait_seconds=wait_seconds if follow else None
            )
            for change in page.changes:
                yield change
            after, more = page.cursor, page.more

    def load_reference(
        self, kind: str, file: FileInput, *, replace: bool | None = None, format: str | None = None
    ) -> Document:
        """Load entries of a kind of reference data from a file, all or none."""
        with open_source(file) as source:
            params = query_of({"replace": replace, "format": format or source.format})
            return self.request("PUT", f"/v1/reference/{quote(kind, '')}", body=source, params=params)

    def save(
        self, path: str, file: str | Path | None, *, params: dict[str, str], default: str,
        on_response: Callable[[httpx.Response], None] | None = None,
    ) -> Path:
        """Save what the gate sends for a path as a whole or not at all, and return the path of the file.

        Without `file`, the gate names it, or it is named `default`.
        """

        def consume(response: httpx.Response) -> Path:
            if on_response:
                on_response(response)
            return save_download(response, file, default=default)

        return self.download(path, consume, params=params)


def _id(batch: Batch | str) -> str:
    return batch.id if isinstance(batch, Batch) else batch


def _path(batch: Batch | str) -> str:
    return f"/v1/batches/{quote(_id(batch), '')}"
