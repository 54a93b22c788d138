"""Handlers of uploads, each of which becomes a batch, and of batches with their two stages."""

import secrets
import uuid
from email.utils import format_datetime
from typing import Any, Literal

import msgspec
from starlette.responses import Response

from goodsgate.engine import Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler
from goodsgate.http.json_batches import submit_body
from goodsgate.model.batch import Batch, Duplicates, Kind, Policy, State, Verb, new_id, now
from goodsgate.protocols.productsup.processing import processing_stage
from goodsgate.protocols.productsup.raw_upload import RawUpload, UndecodableUploadError
from goodsgate.protocols.productsup.responses import json_api_response
from goodsgate.protocols.productsup.site_store import SiteStore
from goodsgate.protocols.productsup.stream_store import ProductStream, StreamStore, collection_of, parse_stream_id
from goodsgate.protocols.productsup.unpublished import POLL_SECONDS
from goodsgate.protocols.productsup.upload_validation import StageReport
from goodsgate.protocols.productsup.upload_watcher import (
    EXPECTED,
    PAYLOAD_BYTES_MAX,
    UploadWatcher,
    read_stage,
    serialize_stages,
)
from goodsgate.store.contract import BatchFilter

PROTOCOL = "productsup"
UPDATE = Policy(verb=Verb.UPDATE, schema="productsup/Product", update_creates=True, duplicates=Duplicates.OFF)
"""Members are added and changed, unknown products are created, and the last of two lines with one id wins."""
DELETE = Policy(verb=Verb.DELETE, schema="productsup/Product", duplicates=Duplicates.OFF)
CLEAR = Policy(mode="full", delete_share_max=1.0, allow_empty=True, schema="productsup/Product")
PAGE_BATCHES = 200
NO_RECORDS = b"\n"
"""A payload without a record."""


class UploadHandlers:
    """Handlers of uploads and of batches."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._streams = StreamStore(context.store)
        self._sites = SiteStore(context.store, at_once=context.services.settings.import_streams_at_once)

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "upload_products": self.upload, "upload_products_put": self.upload, "upload_products_patch": self.upload,
            "remove_products": self.remove, "remove_product": self.remove_product, "batch": self.batch,
        }

    async def upload(self, request: ApiRequest) -> Response:
        """Answer POST, PUT and PATCH /streams/{stream}/products, which do the same."""
        return await self._receive(request, UPDATE)

    async def remove(self, request: ApiRequest) -> Response:
        """Answer DELETE /streams/{stream}/products, which deletes the products that the lines name, or all."""
        if request.query["all"] != "true":
            return await self._receive(request, DELETE)
        stream = await self._stream(request)
        return await self._acknowledge(await self._context.run_in_thread(self._remove_all, stream), stream)

    async def remove_product(self, request: ApiRequest) -> Response:
        """Answer DELETE /streams/{stream}/products/{product}."""
        stream = await self._stream(request)
        line = msgspec.json.encode({"id": request.path["product"]})
        return await self._acknowledge(await self._context.run_in_thread(self._remove_line, stream, line), stream)

    async def _stream(self, request: ApiRequest) -> ProductStream:
        number = parse_stream_id(request.path["stream"])
        return await self._context.run_in_thread(self._streams.get, request.merchant, number)

    async def _receive(self, request: ApiRequest, policy: Policy) -> Response:
        stream = await self._stream(request)
        content_encoding = request.http.headers.get("content-encoding", "identity").strip().lower().removeprefix("x-")
        if content_encoding not in ("identity", "gzip"):
            raise Refusal("content_encoding_unknown", "The Content-Encoding must be gzip, or none.")
        if "expect" in request.http.headers:  # the client sends the body only if this type is accepted
            _format(request, stream)

        def begin(head: bytes) -> Submission:
            if not head:
                raise Refusal("payload_empty")
            format = _format(request, stream)
            raw_upload = RawUpload(format) if stream.state.type == "referenced" else None
            watcher = UploadWatcher(content_encoding, raw_upload=raw_upload)
            return self._submission(stream, content_encoding, policy=policy, watcher=watcher, format=format)

        try:
            body = request.body(PAYLOAD_BYTES_MAX, self._context.limits.body_idle_seconds)
            batch = (await self._context.stream_body(body, begin)).batch
            assert batch is not None
        except UndecodableUploadError as fault:
            batch = await self._context.run_in_thread(self._submit_undecodable, stream, fault, policy)
        except Refusal as refusal:
            if refusal.code != "payload_empty":
                raise
            batch = await self._context.run_in_thread(self._submit_empty, stream)
        return await self._acknowledge(batch, stream)

    async def _acknowledge(self, batch: Batch, stream: ProductStream) -> Response:
        """Return the batch document with 202, or with 422 if nothing was accepted."""
        await self._context.run_in_thread(self._check_stream_again, batch, stream)
        upload = read_stage(batch.protocol_data)
        assert upload is not None
        document = serialize_batch(batch, stream, upload, None)
        headers = {"content-location": f"{stream.path}/batches/{document['data']['id']}"}
        return json_api_response(document, status=422 if upload.status == "failure" else 202, headers=headers)

    def _check_stream_again(self, batch: Batch, stream: ProductStream) -> None:
        """Handle a stream that was changed during the upload, or that has lost its last site.

        A deleted stream loses its products; a stream that no longer waits for imports has its batches released.
        """
        resource = stream.resource
        try:
            current = self._streams.get(resource.merchant, resource.number)
        except Refusal:
            self.clear(stream)
            raise
        if batch.policy.start != current.state.start == "now":
            self._context.store.release_rounds(resource.merchant, batch.kind, batch.collection)
        elif current.state.start == "held":
            self._sites.import_without_site(resource.merchant, resource.number)

    def _submission(self, stream: ProductStream, content_encoding: str, *, policy: Policy = UPDATE,
                    watcher: UploadWatcher | None = None, protocol_data: dict[str, str] | None = None,
                    format: str = "ndjson", start: Literal["now", "held"] | None = None) -> Submission:
        policy = msgspec.structs.replace(policy, start=start or stream.state.start)
        return self._context.engine.submit(
            merchant=stream.resource.merchant, kind=Kind.PRODUCT, collection=collection_of(stream.resource.number),
            policy=policy, format=format, content_encoding=content_encoding, label=stream.resource.name,
            protocol=PROTOCOL, id=_new_batch_id(), watcher=watcher, protocol_data=protocol_data,
        )

    def clear(self, stream: ProductStream) -> None:
        """Delete all products of a stream now, by an empty full feed, and cancel uploads that wait for an import.

        Has no effect if the feed is refused.
        """
        submit_body(self._submission(stream, "identity", policy=CLEAR, start="now"), NO_RECORDS, self._context)
        store, merchant = self._context.store, stream.resource.merchant
        filters = BatchFilter(collection=collection_of(stream.resource.number), state=State.QUEUED)
        after = None
        while True:
            page = store.batches(merchant, filters, after=after, limit=PAGE_BATCHES)
            for batch in page.rows:
                if batch.policy.start == "held":
                    store.cancel(merchant, batch.id)
            after = page.next
            if after is None:
                return

    def _remove_all(self, stream: ProductStream) -> Batch:
        """Delete all products by a batch whose upload stage counts the current products."""
        collection = collection_of(stream.resource.number)
        collections = self._context.store.collections(stream.resource.merchant)
        products = next((count for _, name, count in collections if name == collection), 0)
        protocol_data = serialize_stages(StageReport(completed_at=now(), successes=products, failures=0, errors=[]))
        submission = self._submission(stream, "identity", policy=CLEAR, protocol_data=protocol_data)
        return submit_body(submission, NO_RECORDS, self._context)

    def _remove_line(self, stream: ProductStream, line: bytes) -> Batch:
        """Delete the product that one line names."""
        submission = self._submission(stream, "identity", policy=DELETE, watcher=UploadWatcher("identity"))
        return submit_body(submission, line, self._context)

    def _submit_empty(self, stream: ProductStream) -> Batch:
        """Submit a batch without records, whose upload stage has the reason."""
        submission = self._submission(stream, "identity", protocol_data=UploadWatcher("identity").protocol_data())
        return submit_body(submission, NO_RECORDS, self._context)

    def _submit_undecodable(self, stream: ProductStream, fault: UndecodableUploadError, policy: Policy) -> Batch:
        """Submit one unreadable record in place of an array that does not decode: its beginning after a bracket."""
        upload = msgspec.structs.replace(fault.expected, successes=0, failures=0, errors=[])
        line = b"[" + b" ".join(fault.start.splitlines())
        protocol_data = serialize_stages(upload, fault.expected)
        submission = self._submission(stream, "identity", policy=policy, protocol_data=protocol_data)
        return submit_body(submission, line, self._context)

    async def batch(self, request: ApiRequest) -> Response:
        """Answer GET /streams/{stream}/batches/{batch}."""
        number = parse_stream_id(request.path["stream"])
        document, headers = await self._context.run_in_thread(
            self._read_batch, request.merchant, number, request.path["batch"]
        )
        return json_api_response(document, headers=headers)

    def _read_batch(self, merchant: str, number: int, name: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the document and the headers of a batch. Raises item_unknown and batch_unknown."""
        stream = self._streams.get(merchant, number)
        batch = self._context.store.batch(merchant, name.lower().replace("-", ""))
        is_own = batch is not None and (batch.protocol, batch.collection) == (PROTOCOL, collection_of(number))
        upload = read_stage(batch.protocol_data) if batch is not None and is_own else None
        if batch is None or upload is None:
            raise Refusal("batch_unknown")
        processing = processing_stage(self._context.store, batch, upload, read_stage(batch.protocol_data, EXPECTED))
        headers = {"last-modified": format_datetime((batch.finished_at or batch.received_at), usegmt=True)}
        if processing is None and upload.status != "failure":
            headers["retry-after"] = str(POLL_SECONDS)
        return serialize_batch(batch, stream, upload, processing), headers


def serialize_batch(batch: Batch, stream: ProductStream, upload: StageReport, processing: StageReport | None,
                    ) -> dict[str, Any]:
    """Return the document of a batch; relationships stand inside `data` and beside it."""
    relationships = {"stream": {"data": {"type": "stream", "id": str(stream.resource.number)}}}
    return {
        "data": {
            "type": "batch", "id": str(uuid.UUID(batch.id)),
            "attributes": {
                "status": _status(upload, processing),
                "errorCount": upload.failures + (processing.failures if processing is not None else 0),
                "stages": {
                    "upload": upload.serialize(),
                    "processing": processing.serialize() if processing is not None else None,
                },
            },
            "relationships": relationships,
        },
        "relationships": relationships,
    }


def _status(upload: StageReport, processing: StageReport | None) -> str:
    if any(stage is not None and stage.status == "failure" for stage in (upload, processing)):
        return "failed"
    return "uploaded" if processing is None else "processed"


def _format(request: ApiRequest, stream: ProductStream) -> Literal["ndjson", "json"]:
    """Return the format that the Content-Type names; raise format_unknown if the stream does not accept it."""
    media_type = request.http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/x-ndjson":
        return "ndjson"
    if stream.state.type == "referenced":
        if media_type == "application/json":
            return "json"
        raise Refusal("format_unknown", "The Content-Type must be application/x-ndjson or application/json.")
    raise Refusal("format_unknown", "The Content-Type must be application/x-ndjson; the stream is chunked.")


def _new_batch_id() -> str:
    """Return an id that sorts by creation time, as all ids do, and has the form of a UUID of version 4."""
    id = new_id()
    return f"{id[:12]}4{id[13:16]}{secrets.choice('89ab')}{id[17:]}"
