"""Submitting, following and correcting batches."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from goodsgate.engine import Receipt, Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.formats import FormatOverflow
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.long_poll import BatchDocument, DocumentCache
from goodsgate.model.batch import FINAL_STATES, Batch, Kind, Policy, Result, State, Strictness, Verb
from goodsgate.protocols.native.answers import JSON, page
from goodsgate.protocols.native.detection import detect
from goodsgate.protocols.native.keyed import idempotency_key
from goodsgate.protocols.native.words import batch_bytes, batch_words, issue_words, path_of, result_words
from goodsgate.store.contract import BatchFilter as Filters
from goodsgate.store.contract import StoreBusyError

HEARTBEAT_SECONDS = 15.0
AWAY_SECONDS = 1.0
"""A stream looks this often whether a store that is away has come back."""
MAPPING_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client says that it means to delete."""

    deletions: int


class Batches:
    """Handlers of everything under ``/v1/batches``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine
        self._store = context.store
        self.documents = DocumentCache(context.change_signal, self._make)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "submit": self.submit, "batches": self.batches, "batch": self.batch, "events": self.events,
            "issues": self.issues, "results": self.results, "report": self.report, "fix": self.fix,
            "retry": self.retry, "cancel": self.cancel, "confirm": self.confirm,
        }

    async def _make(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        return await self._context.run_in_thread(self._word, merchant, batch)

    def _word(self, merchant: str, batch: str) -> tuple[bytes, bool]:
        found = self._engine.batch(merchant, batch)
        untouched = found.state is State.QUEUED and found.rounds == 1  # nobody has said anything of it yet
        groups = [] if untouched else self._engine.groups(merchant, batch)
        return batch_bytes(found, groups), found.state in FINAL_STATES

    # -- submitting -------------------------------------------------------------------------------------------------
    async def submit(self, request: ApiRequest) -> Response:
        """POST /v1/batches."""
        key = idempotency_key(request.http)
        policy = await self._policy(request)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect(request, head)
            return self._engine.submit(
                merchant=request.merchant, kind=Kind(request.query["kind"]), collection=request.query["collection"],
                policy=policy, format=format, content_encoding=content_encoding, label=request.query["label"],
                protocol="native",
                idempotency_key=key, fingerprint_of=_fingerprint(request, format, content_encoding), answer=batch_bytes,
            )

        return await self._received(request, begin)

    async def fix(self, request: ApiRequest) -> Response:
        """POST /v1/batches/{batch}/fix."""
        key = idempotency_key(request.http)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect(request, head)
            return self._engine.fix(
                request.merchant, request.path["batch"], format=format, content_encoding=content_encoding,
                idempotency_key=key,
                fingerprint_of=_fingerprint(request, format, content_encoding), answer=batch_bytes,
            )

        return await self._received(request, begin)

    async def _received(self, request: ApiRequest, begin: Callable[[bytes], Submission]) -> Response:
        config = self._context.config
        receipt = await self._context.stream_body(request.body(config.body_bytes_max, config.body_idle_seconds), begin)
        return _accepted(receipt)

    async def _policy(self, request: ApiRequest) -> Policy:
        query = request.query
        mapping: dict[str, list[str]] = {}
        if query["map"] is not None:
            mapping = inline_mapping(query["map"]) or await self._saved_mapping(request, query["map"])
        if query["mode"] == "full" and query["verb"] != "upsert":
            raise Refusal(
                "parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert"
            )
        return Policy(
            verb=Verb(query["verb"]), duplicates=Strictness(query["duplicates"]),
            references=Strictness(query["references"]), mode=query["mode"],
            delete_share_max=float(query["delete_share_max"]), currency=query["currency"], decimal=query["decimal"],
            mapping=mapping,
        )

    async def _saved_mapping(self, request: ApiRequest, name: str) -> dict[str, list[str]]:
        if not MAPPING_NAME.fullmatch(name):
            raise Refusal(
                "parameter_invalid", "map must be column:field pairs or the name of a saved mapping.", parameter="map"
            )
        saved = await self._context.run_in_thread(self._store.mapping, request.merchant, name)
        if saved is None:
            raise Refusal("mapping_unknown", mapping=name)
        return saved

    async def retry(self, request: ApiRequest) -> Response:
        """POST /v1/batches/{batch}/retry."""
        return await self._ordered(request, self._engine.retry, request.merchant, request.path["batch"])

    async def cancel(self, request: ApiRequest) -> Response:
        """POST /v1/batches/{batch}/cancel."""
        return await self._ordered(request, self._engine.cancel, request.merchant, request.path["batch"])

    async def confirm(self, request: ApiRequest) -> Response:
        """POST /v1/batches/{batch}/confirm."""
        confirmed: Confirmation = await request.decode_body(Confirmation, self._context)
        return await self._ordered(
            request, self._engine.confirm, request.merchant, request.path["batch"], confirmed.deletions
        )

    async def _ordered(self, request: ApiRequest, order: Callable[..., Batch], *what: object) -> Response:
        def ordered() -> bytes:
            batch = order(*what)
            return batch_bytes(batch, self._engine.groups(request.merchant, batch.id))

        return _accepted_bytes(await self._context.run_in_thread(ordered), request.path["batch"])

    # -- asking -----------------------------------------------------------------------------------------------------
    async def batches(self, request: ApiRequest) -> Response:
        """GET /v1/batches."""
        query = request.query
        filters = Filters(
            kind=Kind(query["kind"]) if query["kind"] else None,
            state=State(query["state"]) if query["state"] else None, outcome=query["outcome"],
            collection=query["collection"], since=query["since"], until=query["until"], text=query["q"],
        )
        found = await self._context.run_in_thread(
            self._store.batches, request.merchant, filters, after=query["after"], limit=self._limit(request)
        )
        return page(request, "batches", [batch_words(batch) for batch in found.rows], found.next)

    async def batch(self, request: ApiRequest) -> Response:
        """GET /v1/batches/{batch}."""
        merchant, batch = request.merchant, request.path["batch"]
        held = request.http.headers.get("if-none-match")
        if not request.query["wait"]:
            return _document(await self.documents.get(merchant, batch), held)
        seconds = min(float(request.query["wait"]), self._context.config.wait_seconds_max)
        self._context.change_signal.admit()
        with self._context.change_signal.session():
            changed = self.documents.wait_for_change(merchant, batch, since=held, seconds=seconds)
            return _document(await _unless_gone(request.http, changed), held)

    async def events(self, request: ApiRequest) -> Response:
        """GET /v1/batches/{batch}/events."""
        merchant, batch = request.merchant, request.path["batch"]
        first = await self.documents.get(merchant, batch)
        if first.ended and request.http.headers.get("last-event-id") == first.etag.strip('"'):
            return Response(status_code=204)
        self._context.change_signal.admit()
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(
            self._events(merchant, batch, first), media_type="text/event-stream", headers=headers
        )

    async def issues(self, request: ApiRequest) -> Response:
        """GET /v1/batches/{batch}/issues."""
        limit, code, severity = self._limit(request), request.query["code"], request.query["severity"]

        def found() -> list[Any]:
            self._engine.batch(request.merchant, request.path["batch"])
            after = -1 if request.query["after"] is None else request.query["after"]
            return self._store.findings(
                request.merchant, request.path["batch"], after=after, limit=limit, code=code, severity=severity
            )

        findings = await self._context.run_in_thread(found)
        rows = [
            issue_words(finding, issue) for finding in findings for issue in finding.issues
            if code in (None, issue.code) and severity in (None, issue.severity)
        ]
        return page(request, "issues", rows, findings[-1].number if len(findings) == limit else None)

    async def results(self, request: ApiRequest) -> Response:
        """GET /v1/batches/{batch}/results."""
        limit, result = self._limit(request), request.query["result"]

        def found() -> list[Any]:
            self._engine.batch(request.merchant, request.path["batch"])
            return self._store.results(
                request.merchant, request.path["batch"], after=request.query["after"] or 0, limit=limit,
                result=Result(result) if result else None,
            )

        rows = await self._context.run_in_thread(found)
        after = rows[-1].number if len(rows) == limit else None
        return page(request, "results", [result_words(row) for row in rows], after)

    async def report(self, request: ApiRequest) -> Response:
        """GET /v1/batches/{batch}/report."""
        made = await self._context.run_in_thread(
            self._engine.report, request.merchant, request.path["batch"], only=request.query["only"],
            format=request.query["format"]
        )
        headers = {"content-disposition": f'attachment; filename="{made.filename}"'}
        try:
            pieces = await self._context.stream(made.pieces)
        except FormatOverflow as fault:
            raise Refusal("parameter_invalid", str(fault), parameter="format") from fault
        return StreamingResponse(pieces, media_type=made.media_type, headers=headers)

    def _limit(self, request: ApiRequest) -> int:
        return min(int(request.query["limit"]), self._context.config.page_rows_max)

    async def _events(self, merchant: str, batch: str, document: BatchDocument) -> AsyncIterator[bytes]:
        """The document as events until the batch has ended or the gate closes."""
        with self._context.change_signal.session():
            yield _event(document)
            while not document.ended and not self._context.change_signal.closed:
                try:
                    changed = await self.documents.wait_for_change(
                        merchant, batch, since=document.etag, seconds=HEARTBEAT_SECONDS
                    )
                except StoreBusyError:  # no reason to send everybody away, who would all come again at once
                    yield b": the store is away\n\n"
                    await asyncio.sleep(AWAY_SECONDS)
                    continue
                yield _event(changed) if changed.etag != document.etag else b": still here\n\n"
                document = changed


def _event(document: BatchDocument) -> bytes:
    return b"event: batch\nid: %s\ndata: %s\n\n" % (document.etag.strip('"').encode(), document.body)


def _document(document: BatchDocument, held: str | None) -> Response:
    headers = {"etag": document.etag, "cache-control": "private, no-cache"}
    if held is not None and matches(held, document.etag):
        return Response(status_code=304, headers=headers)
    return Response(document.body, media_type=JSON, headers=headers)


def matches(if_none_match: str, etag: str) -> bool:
    """Whether one of the entity tags of a header is this one, compared weakly (RFC 9110, section 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    return etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))


def _accepted(receipt: Receipt) -> Response:
    if receipt.replay is not None:
        return _accepted_bytes(receipt.replay.body, receipt.replay.batch)
    assert receipt.batch is not None
    return _accepted_bytes(batch_bytes(receipt.batch), receipt.batch.id)


def _accepted_bytes(body: bytes, batch: str) -> Response:
    return Response(body, status_code=202, media_type=JSON, headers={"location": path_of(batch)})


def _fingerprint(request: ApiRequest, format: str, content_encoding: str) -> str:
    """What besides the body makes two submissions the same: where they go and how they are to be treated."""
    asked = sorted((name, str(value)) for name, value in request.query.items())
    return repr((request.operation.id, request.path, asked, format, content_encoding))


def inline_mapping(text: str) -> dict[str, list[str]]:
    """``column:field,column:field``; empty if the text holds no colon. Raises parameter_invalid."""
    mapping: dict[str, list[str]] = {}
    if ":" not in text:
        return mapping
    for pair in text.split(","):
        column, colon, field = pair.rpartition(":")
        column, field = column.strip(), field.strip()
        if not colon or not column:
            raise Refusal("parameter_invalid", f"{pair[:100]!r} is not column:field.", parameter="map")
        fields = mapping.setdefault(column, [])
        if field:
            fields.append(field)
    return mapping


async def _unless_gone(request: Request, waiting: Coroutine[Any, Any, BatchDocument]) -> BatchDocument:
    """The awaited document; raises ClientDisconnect as soon as nobody waits for it any more."""
    found = asyncio.ensure_future(waiting)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((found, gone), return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            raise ClientDisconnect
        return found.result()
    finally:
        found.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
