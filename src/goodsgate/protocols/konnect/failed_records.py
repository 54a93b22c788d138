"""Rejected records as clients see them: the record's position, and every error of it."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import Batch
from goodsgate.model.finding import Finding
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import read_json
from goodsgate.protocols.konnect.unpublished import error_code
from goodsgate.store.contract import Store

PAGE_RECORDS = 1_000
_INDEX = re.compile(r"/(\d+)(?=/|\Z)")


class FailedRecord(msgspec.Struct, frozen=True):
    """One rejected record."""

    finding: Finding
    record: dict[str, Any]
    """As received; empty if it cannot be read."""

    @property
    def index(self) -> int:
        """Position in the request, from 0."""
        return self.finding.number - 1

    @property
    def errors(self) -> list[dict[str, str]]:
        """Every error with field, code and message."""
        return [
            {"field": field_path(issue), "code": error_code(issue.code), "message": _message(issue)}
            for issue in self.finding.issues if issue.severity == "error"
        ]

    def text(self, name: str) -> str:
        """Return a member as text if it is a string or an integer, else an empty string."""
        value = self.record.get(name)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def read_failed_records(store: Store, batch: Batch) -> Iterator[FailedRecord]:
    """Yield the rejected records of a batch in the order of the request."""
    after = 0
    while page := store.rejected_records(batch.merchant, batch.id, after=after, limit=PAGE_RECORDS):
        for finding in page:
            yield FailedRecord(finding, _decode_record(finding.raw))
        after = page[-1].number


def _decode_record(raw: bytes | None) -> dict[str, Any]:
    try:
        record = read_json(raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def field_path(issue: Issue) -> str:
    """Return ``sizes[0].price`` for the pointer ``/sizes/0/price``."""
    dotted = _INDEX.sub(r"[\1]", issue.path.removeprefix("/") if not issue.path[1:2].isdigit() else issue.path)
    return dotted.replace("/", ".").replace("~1", "/").replace("~0", "~") or "record"


def _message(issue: Issue) -> str:
    """Return the message of an issue, which names the field as this protocol writes it."""
    return msgspec.structs.replace(issue, column=field_path(issue)).message


def join_messages(errors: list[dict[str, str]]) -> str:
    """Return all errors as one message, each with its field."""
    return "; ".join(f"{error['field']}: {error['message'].removesuffix('.')}" for error in errors)


def serialize_failed_record(failed: FailedRecord) -> dict[str, Any]:
    """Return an entry of ``failed_records``, with the members that known clients read."""
    errors = failed.errors
    sizes = failed.record.get("sizes")
    skus = [
        str(size["primary_identifier"]) for size in (sizes if isinstance(sizes, list) else ())
        if isinstance(size, dict) and isinstance(size.get("primary_identifier"), str)
    ]
    return {
        "index": failed.index, "item_code": failed.text("item_code"), "slug": failed.text("slug"),
        "identifiers": ",".join(skus), "message": join_messages(errors), "errors": errors,
    }
