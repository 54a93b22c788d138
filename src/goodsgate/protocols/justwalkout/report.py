"""Reports of ingestions, and the links by which they can be read for an hour."""

import hmac
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from goodsgate.engine.secrets import UnknownMasterError
from goodsgate.http.problems import refuse
from goodsgate.http.services import ProtocolServices
from goodsgate.model.batch import Batch, Result, now
from goodsgate.model.catalogue import split_key
from goodsgate.model.finding import Finding
from goodsgate.protocols.justwalkout import unpublished
from goodsgate.store.contract import Store
from goodsgate.store.objects import Objects

ALGORITHM = "GOODSGATE-HMAC-SHA256"
PURPOSE = "report link"
PAGE = 2_000
"""Records that are read together."""
WRITTEN_MAX = 10_000
"""Number of stored reports that a process remembers."""
BASIC, EXTENDED = "%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ"
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SECONDS = re.compile(r"[0-9]{1,6}")


def build_report(store: Store, batch: Batch) -> dict[str, Any]:
    """Return the report of a batch; it fits in memory, since an ingestion has at most 10,000 records."""
    operation = batch.protocol_data.get("operation", "UPLOAD")
    issues = [entry for finding in _findings(store, batch) for entry in _issue_entries(finding, operation)]
    repeated = [*_already_archived(store, batch)] if operation == "ARCHIVE" else []
    issues = sorted([*issues, *repeated], key=lambda entry: int(entry["index"]))
    counts = batch.counts
    processed, rejected = counts.accounted - counts.cancelled, counts.rejected + len(repeated)
    errors = sum(entry["severity"] == "ERROR" for entry in issues)
    return {
        "ingestionId": unpublished.ingestion_of(batch.id),
        "processingStatus": unpublished.STATUS_OF_STATE[batch.state],
        "operation": operation,
        "summary": {
            "itemsProcessed": processed, "itemsAccepted": processed - rejected, "itemsRejected": rejected,
            "errors": errors, "warnings": len(issues) - errors,
        },
        "issues": issues,
    }


def _findings(store: Store, batch: Batch) -> Iterator[Finding]:
    after = 0
    while page := store.findings(batch.merchant, batch.id, after=after, limit=PAGE):
        yield from page
        after = page[-1].number


def _issue_entries(finding: Finding, operation: str) -> Iterator[dict[str, Any]]:
    sku, store_id = split_key(finding.key or "")
    store = {"store_id": store_id or ""} if operation != "ARCHIVE" else {}
    for issue in finding.issues:
        yield {
            "index": finding.number - 1, "item_sku": sku, **store, "severity": issue.severity.upper(),
            "code": unpublished.report_code(issue.code, issue.path),
            "attributeName": issue.path.removeprefix("/") or "item_sku", "message": issue.message,
        }


def _already_archived(store: Store, batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield an entry for each record of an archive that changed nothing, since its SKU was archived before."""
    after = 0
    while page := store.results(batch.merchant, batch.id, after=after, limit=PAGE, result=Result.UNCHANGED):
        for row in page:
            yield {
                "index": row.number - 1, "item_sku": row.key or "", "severity": "ERROR", "code": "ALREADY_ARCHIVED",
                "attributeName": "item_sku", "message": f"The item {row.key} is archived already.",
            }
        after = page[-1].number


class IngestionReports:
    """Links to reports: the gate's own, or presigned links to the object storage of the settings."""

    def __init__(self, services: ProtocolServices) -> None:
        self._store = services.store
        self._secrets = services.secrets
        self._public_url = services.settings.public_url
        self._local_url = services.settings.local_url
        self._objects = services.reports
        self._link_seconds = int(services.settings.report_link_seconds)
        self._written: dict[str, None] = {}
        self._lock = threading.Lock()

    def link(self, batch: Batch, *, base: str = "") -> str:
        """Return a new link, which ends after `report_link_seconds`; empty while there is no report. Raises StoreError.

        `base` is the address at which a client reached the gate, for gates without a public URL in their settings.
        """
        if not unpublished.has_report(batch):
            return ""
        if self._objects is None:
            return self._signed_link(batch, self._public_url or base or self._local_url)
        link = self._objects.sign(self._store_report(self._objects, batch), self._link_seconds)
        assert link is not None
        return link

    def _store_report(self, objects: Objects, batch: Batch) -> str:
        """Put the report into the storage unless it is there, and return its path; each round has its own."""
        ended = batch.finished_at or batch.received_at
        path = f"{batch.merchant}/{unpublished.ingestion_of(batch.id)}-{ended:%Y%m%dT%H%M%S%f}.json"
        with self._lock:
            is_written = path in self._written
        if not is_written and not objects.has(path):
            content = msgspec.json.encode(build_report(self._store, batch))
            objects.put(path, content, media_type="application/json")
        with self._lock:
            self._written[path] = None
            while len(self._written) > WRITTEN_MAX:
                del self._written[next(iter(self._written))]
        return path

    def _signed_link(self, batch: Batch, base: str) -> str:
        signed_at, seconds = f"{now():{BASIC}}", str(self._link_seconds)
        signature, master = self._secrets.derived(PURPOSE, _signed_text(batch.merchant, batch.id, signed_at, seconds))
        query = urlencode({
            "X-Amz-Algorithm": ALGORITHM, "X-Amz-Credential": master, "X-Amz-Date": signed_at,
            "X-Amz-Expires": seconds, "X-Amz-Signature": signature.hex(),
        })
        ingestion = unpublished.ingestion_of(batch.id)
        return f"{base}{unpublished.PREFIX}reports/{quote(batch.merchant)}/{ingestion}?{query}"

    def read(self, merchant: str, ingestion: str, query: dict[str, str]) -> bytes:
        """Return the report that a link refers to. Raises the refusals forbidden and batch_unknown."""
        batch_id = unpublished.batch_of(ingestion)
        self._check_link(merchant, batch_id, query)
        batch = self._store.batch(merchant, batch_id)
        if batch is None or batch.protocol != "justwalkout" or not unpublished.has_report(batch):
            raise refuse("batch_unknown")
        return msgspec.json.encode(build_report(self._store, batch))

    def _check_link(self, merchant: str, batch: str, query: dict[str, str]) -> None:
        signed_at, seconds = query["X-Amz-Date"], query["X-Amz-Expires"]
        if not all(query.values()) or query["X-Amz-Algorithm"] != ALGORITHM:
            raise refuse("forbidden", "Access Denied")
        if not _TIMESTAMP.fullmatch(signed_at) or not _SECONDS.fullmatch(seconds):
            raise refuse("parameter_invalid", "X-Amz-Date or X-Amz-Expires is not well-formed.")
        expected = self._signature(_signed_text(merchant, batch, signed_at, seconds), query["X-Amz-Credential"])
        if not hmac.compare_digest(expected.encode(), query["X-Amz-Signature"].encode()):
            detail = "The request signature we calculated does not match the signature you provided."
            raise refuse("forbidden", detail, kind="SignatureDoesNotMatch")
        expires_at = datetime.strptime(signed_at, BASIC).replace(tzinfo=UTC) + timedelta(seconds=int(seconds))
        if now() > expires_at:
            times = {"Expires": f"{expires_at:{EXTENDED}}", "ServerTime": f"{now():{EXTENDED}}"}
            raise refuse("forbidden", "Request has expired", members={"X-Amz-Expires": seconds, **times})

    def _signature(self, text: str, master: str) -> str:
        """Return the signature by the named master secret; an empty one, which never matches, if it is not valid."""
        try:
            return self._secrets.derived(PURPOSE, text, by=master)[0].hex()
        except UnknownMasterError:
            return ""


def _signed_text(merchant: str, batch: str, signed_at: str, seconds: str) -> str:
    """Return the text that the signature of a link covers."""
    return f"{merchant}/{batch}/{signed_at}/{seconds}"
