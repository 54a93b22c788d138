"""Rejected records as clients are told of them: which record, and everything that is wrong with it."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from goodsgate.model.batch import Batch, Finding
from goodsgate.model.issue import Issue
from goodsgate.protocols.konnect.unpublished import error_code
from goodsgate.store.contract import Store

RECORDS_AT_ONCE = 1_000
_PLACE = re.compile(r"/(\d+)(?=/|\Z)")


class FailedRecord(msgspec.Struct, frozen=True):
    """One rejected record."""

    finding: Finding
    record: dict[str, Any]
    """As received; empty if it cannot be read."""

    @property
    def index(self) -> int:
        """Its place in the request, from 0."""
        return self.finding.number - 1

    @property
    def errors(self) -> list[dict[str, str]]:
        """Every error with field, code and text."""
        return [
            {"field": field_path(one), "code": error_code(one.code), "message": one.message}
            for one in self.finding.issues if one.severity == "error"
        ]

    def text(self, name: str) -> str:
        """A member, if it is a text or a number."""
        value = self.record.get(name)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def read_failed_records(store: Store, batch: Batch) -> Iterator[FailedRecord]:
    """In the order of the request."""
    after = 0
    while page := store.rejected(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        for finding in page:
            yield FailedRecord(finding, _record(finding.raw))
        after = page[-1].number


def _record(raw: bytes | None) -> dict[str, Any]:
    try:
        record = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def field_path(one: Issue) -> str:
    """``sizes[0].price`` for the pointer ``/sizes/0/price``."""
    dotted = _PLACE.sub(r"[\1]", one.path.removeprefix("/") if not one.path[1:2].isdigit() else one.path)
    return dotted.replace("/", ".").replace("~1", "/").replace("~0", "~") or "record"


def join_messages(errors: list[dict[str, str]]) -> str:
    """All of it in one text that needs nothing beside it."""
    return "; ".join(f"{one['field']}: {one['message'].removesuffix('.')}" for one in errors)


def serialize_failed_record(failure: FailedRecord) -> dict[str, Any]:
    """An entry of ``failed_records``: an object with members for each way in which clients read such lists."""
    errors = failure.errors
    sizes = failure.record.get("sizes")
    skus = [
        str(size["primary_identifier"]) for size in (sizes if isinstance(sizes, list) else ())
        if isinstance(size, dict) and isinstance(size.get("primary_identifier"), str)
    ]
    return {
        "index": failure.index, "item_code": failure.text("item_code"), "slug": failure.text("slug"),
        "identifiers": ",".join(skus), "message": join_messages(errors), "errors": errors,
    }
