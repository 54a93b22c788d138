"""What became of each item of an ingestion, as a document, and the links by which it is read for an hour."""

import hmac
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from goodsgate.config import Config
from goodsgate.engine.secrets import MasterUnknown, Secrets
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Batch, Finding, Result, now
from goodsgate.model.catalogue import split_key
from goodsgate.model.issue import Issue
from goodsgate.protocols.justwalkout import guesses
from goodsgate.store.contract import Store
from goodsgate.store.objects import Objects

ALGORITHM = "GOODSGATE-HMAC-SHA256"
PURPOSE = "report link"
RECORDS_AT_ONCE = 2_000
WRITTEN_MAX = 10_000
"""Reports that a process remembers to have seen in the storage."""
BASIC, EXTENDED = "%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%SZ"
_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SECONDS = re.compile(r"[0-9]{1,6}")


def document(store: Store, batch: Batch) -> dict[str, Any]:
    """The report of a batch, whole: it has at most 10,000 records."""
    operation = batch.facts.get("operation", "UPLOAD")
    issues = [words for finding in _findings(store, batch) for words in _told(finding, operation)]
    idle = [*_archived_before(store, batch)] if operation == "ARCHIVE" else []
    issues = sorted([*issues, *idle], key=lambda told: int(told["index"]))
    counts = batch.counts
    processed, rejected = counts.accounted - counts.cancelled, counts.rejected + len(idle)
    errors = sum(told["severity"] == "ERROR" for told in issues)
    return {
        "ingestionId": guesses.ingestion_of(batch.id), "processingStatus": guesses.STATUS_OF_STATE[batch.state],
        "operation": operation,
        "summary": {
            "itemsProcessed": processed, "itemsAccepted": processed - rejected, "itemsRejected": rejected,
            "errors": errors, "warnings": len(issues) - errors,
        },
        "issues": issues,
    }


def _findings(store: Store, batch: Batch) -> Iterator[Finding]:
    after = 0
    while page := store.findings(batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE):
        yield from page
        after = page[-1].number


def _told(finding: Finding, operation: str) -> Iterator[dict[str, Any]]:
    for one in finding.issues:
        code = guesses.report_code(one.code, one.path)
        yield _words(finding.number, finding.key, operation, code=code, told=one)


def _words(number: int, key: str | None, operation: str, *, code: str, told: Issue) -> dict[str, Any]:
    sku, store_id = split_key(key or "")
    store = {"store_id": store_id or ""} if operation != "ARCHIVE" else {}
    return {
        "index": number - 1, "item_sku": sku, **store, "severity": told.severity.upper(), "code": code,
        "attributeName": told.path.removeprefix("/") or "item_sku", "message": told.message,
    }


def _archived_before(store: Store, batch: Batch) -> Iterator[dict[str, Any]]:
    """An archive that changed nothing found its SKU archived."""
    after = 0
    while page := store.results(
        batch.merchant, batch.id, after=after, limit=RECORDS_AT_ONCE, result=Result.UNCHANGED
    ):
        for row in page:
            yield {
                "index": row.number - 1, "item_sku": row.key or "", "severity": "ERROR", "code": "ALREADY_ARCHIVED",
                "attributeName": "item_sku", "message": f"The item {row.key} is archived already.",
            }
        after = page[-1].number


class Reports:
    """Reports by links: the gate's own, or presigned ones of the storage that the settings name."""

    def __init__(self, store: Store, secrets: Secrets, config: Config) -> None:
        self._store = store
        self._secrets = secrets
        self._base = config.public_url.rstrip("/")
        self._local = f"http://{config.host}:{config.port}"
        self._objects = Objects(config.reports) if config.reports else None
        self._written: dict[str, None] = {}
        self._lock = threading.Lock()

    def link(self, batch: Batch, *, base: str = "") -> str:
        """A fresh link, good for an hour; empty while there is no report. Raises StoreError.

        `base` is where a client has reached the gate, for gates that are not told their public URL.
        """
        if not guesses.has_report(batch):
            return ""
        if self._objects is None:
            return self._signed(batch, self._base or base or self._local)
        link = self._objects.sign(self._kept(self._objects, batch), guesses.LINK_SECONDS)
        assert link is not None
        return link

    def _kept(self, objects: Objects, batch: Batch) -> str:
        """Path of the report in the storage, where whoever needs it first puts it; a fix or a retry makes another."""
        ended = batch.finished_at or batch.received_at
        path = f"{batch.merchant}/{guesses.ingestion_of(batch.id)}-{ended:%Y%m%dT%H%M%S%f}.json"
        with self._lock:
            known = path in self._written
        if not known and not objects.has(path):
            objects.put(path, msgspec.json.encode(document(self._store, batch)), media_type="application/json")
        with self._lock:
            self._written[path] = None
            while len(self._written) > WRITTEN_MAX:
                del self._written[next(iter(self._written))]
        return path

    def _signed(self, batch: Batch, base: str) -> str:
        made, seconds = f"{now():{BASIC}}", str(guesses.LINK_SECONDS)
        signature, master = self._secrets.derived(PURPOSE, _told_of(batch.merchant, batch.id, made, seconds))
        query = urlencode({
            "X-Amz-Algorithm": ALGORITHM, "X-Amz-Credential": master, "X-Amz-Date": made, "X-Amz-Expires": seconds,
            "X-Amz-Signature": signature.hex(),
        })
        return f"{base}{guesses.PREFIX}reports/{quote(batch.merchant)}/{guesses.ingestion_of(batch.id)}?{query}"

    def read(self, merchant: str, ingestion: str, query: dict[str, str]) -> bytes:
        """The report that a link leads to. Raises refusals: forbidden, batch_unknown."""
        batch_id = guesses.batch_of(ingestion)
        self._check(merchant, batch_id, query)
        batch = self._store.batch(merchant, batch_id)
        if batch is None or batch.protocol != "justwalkout" or not guesses.has_report(batch):
            raise refuse("batch_unknown")
        return msgspec.json.encode(document(self._store, batch))

    def _check(self, merchant: str, batch: str, query: dict[str, str]) -> None:
        made, seconds = query["X-Amz-Date"], query["X-Amz-Expires"]
        if not all(query.values()) or query["X-Amz-Algorithm"] != ALGORITHM:
            raise refuse("forbidden", "Access Denied")
        if not _MOMENT.fullmatch(made) or not _SECONDS.fullmatch(seconds):
            raise refuse("parameter_invalid", "X-Amz-Date or X-Amz-Expires is not well-formed.")
        wanted = self._derived(_told_of(merchant, batch, made, seconds), query["X-Amz-Credential"])
        if not hmac.compare_digest(wanted.encode(), query["X-Amz-Signature"].encode()):
            told = "The request signature we calculated does not match the signature you provided."
            raise refuse("forbidden", told, kind="SignatureDoesNotMatch")
        until = datetime.strptime(made, BASIC).replace(tzinfo=UTC) + timedelta(seconds=int(seconds))
        if now() > until:
            times = {"Expires": f"{until:{EXTENDED}}", "ServerTime": f"{now():{EXTENDED}}"}
            raise refuse("forbidden", "Request has expired", told={"X-Amz-Expires": seconds, **times})

    def _derived(self, told: str, master: str) -> str:
        """The signature that the master secret of this name makes; of one that is not good any more, nobody's."""
        try:
            return self._secrets.derived(PURPOSE, told, by=master)[0].hex()
        except MasterUnknown:
            return ""


def _told_of(merchant: str, batch: str, made: str, seconds: str) -> str:
    """What a link's signature is made of."""
    return f"{merchant}/{batch}/{made}/{seconds}"
