"""Uploads as batches, and batches with their two stages."""

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
from goodsgate.model.batch import Batch, Kind, Policy, State, Strictness, Verb, new_id, now
from goodsgate.protocols.productsup.answers import answer
from goodsgate.protocols.productsup.blob import Blob, Undecodable
from goodsgate.protocols.productsup.guesses import POLL_SECONDS
from goodsgate.protocols.productsup.inbox import Stream, Streams, collection_of, number_of
from goodsgate.protocols.productsup.intake import FORESEEN, PAYLOAD_BYTES_MAX, Intake, facts_of, stage_of
from goodsgate.protocols.productsup.processing import processing_of
from goodsgate.protocols.productsup.verdict import Stage

PROTOCOL = "productsup"
UPDATE = Policy(verb=Verb.UPDATE, schema="productsup/Product", update_creates=True, duplicates=Strictness.OFF,
    exact=True)
"""Members are added and changed; what is not held is made; the last of two with one id wins."""
DELETE = Policy(verb=Verb.DELETE, schema="productsup/Product", duplicates=Strictness.OFF, exact=True)
CLEAR = Policy(mode="full", delete_share_max=1.0, schema="productsup/Product")
NOTHING = b"\n"
"""A payload without a record."""


class Batches:
    """Handlers of uploads and of batches."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._streams = Streams(context.store)

    def handlers(self) -> dict[str, Handler]:
        """By operation id."""
        return {
            "upload_products": self.upload, "upload_products_put": self.upload, "upload_products_patch": self.upload,
            "remove_products": self.remove, "remove_product": self.remove_one, "batch": self.batch,
        }

    async def upload(self, request: ApiRequest) -> Response:
        """POST, PUT and PATCH /streams/{stream}/products, which do the same."""
        return await self._received(request, UPDATE)

    async def remove(self, request: ApiRequest) -> Response:
        """DELETE /streams/{stream}/products: those that the lines name, or all."""
        if request.query["all"] != "true":
            return await self._received(request, DELETE)
        stream = await self._stream(request)
        return await self._acknowledged(await self._context.run_in_thread(self._clear_told, stream), stream)

    async def remove_one(self, request: ApiRequest) -> Response:
        """DELETE /streams/{stream}/products/{product}."""
        stream = await self._stream(request)
        line = msgspec.json.encode({"id": request.path["product"]})
        return await self._acknowledged(await self._context.run_in_thread(self._one, stream, line), stream)

    async def _stream(self, request: ApiRequest) -> Stream:
        return await self._context.run_in_thread(self._streams.one, request.merchant, number_of(request.path["stream"]))

    async def _received(self, request: ApiRequest, policy: Policy) -> Response:
        stream = await self._stream(request)
        content_encoding = request.http.headers.get("content-encoding", "identity").strip().lower()
        if content_encoding not in ("identity", "gzip"):
            raise Refusal("content_encoding_unknown", "The Content-Encoding must be gzip, or none.")

        def begin(head: bytes) -> Submission:
            if not head:
                raise Refusal("payload_empty")
            format = _format(request, stream)
            watcher = Intake(content_encoding, blob=Blob(format) if stream.kept.type == "referenced" else None)
            return self._submission(stream, content_encoding, policy=policy, watcher=watcher, format=format)

        try:
            body = request.body(PAYLOAD_BYTES_MAX, self._context.config.body_idle_seconds)
            made = (await self._context.stream_body(body, begin)).batch
            assert made is not None
        except Undecodable as fault:
            made = await self._context.run_in_thread(self._undecodable, stream, fault, policy)
        except Refusal as refusal:
            if refusal.code != "payload_empty":
                raise
            made = await self._context.run_in_thread(self._empty, stream)
        return await self._acknowledged(made, stream)

    async def _acknowledged(self, made: Batch, stream: Stream) -> Response:
        """202, or 422 where nothing was accepted; the batch document either way."""
        await self._context.run_in_thread(self._look_again, made, stream)
        upload = stage_of(made.protocol_data)
        assert upload is not None
        words = batch_words(made, stream, upload, None)
        where = {"content-location": f"{stream.path}/batches/{words['data']['id']}"}
        return answer(words, status=422 if upload.status == "failure" else 202, headers=where)

    def _look_again(self, made: Batch, stream: Stream) -> None:
        """What happened to the stream while the upload came: a deleted one keeps nothing, one at once holds nothing."""
        resource = stream.resource
        try:
            found = self._streams.one(resource.merchant, resource.number)
        except Refusal:
            self.clear(stream)
            raise
        if made.policy.start != found.kept.start == "now":
            self._context.store.release_rounds(resource.merchant, made.kind, made.collection)

    def _submission(self, stream: Stream, content_encoding: str, *, policy: Policy = UPDATE,
                    watcher: Intake | None = None,
                    facts: dict[str, str] | None = None, format: str = "ndjson",
                    start: Literal["now", "held"] | None = None) -> Submission:
        policy = msgspec.structs.replace(policy, start=start or stream.kept.start)
        return self._context.engine.submit(
            merchant=stream.resource.merchant, kind=Kind.PRODUCT, collection=collection_of(stream.resource.number),
            policy=policy, format=format, content_encoding=content_encoding, label=stream.resource.name,
            protocol=PROTOCOL,
            id=_new_batch(),
            watcher=watcher, protocol_data=facts,
        )

    def clear(self, stream: Stream) -> None:
        """Let all products of a stream go, now: what is held and not in a full feed that is empty."""
        resource = stream.resource
        self._context.store.release_rounds(resource.merchant, Kind.PRODUCT, collection_of(resource.number))
        submit_body(self._submission(stream, "identity", policy=CLEAR, start="now"), NOTHING, self._context)

    def _clear_told(self, stream: Stream) -> Batch:
        """The same as a batch whose upload stage counts what there is now."""
        name = collection_of(stream.resource.number)
        held = next((count for _, of,
            count in self._context.store.collections(stream.resource.merchant) if of == name), 0)
        facts = facts_of(Stage(completed_at=now(), successes=held, failures=0, told=[]))
        return submit_body(self._submission(stream, "identity", policy=CLEAR, facts=facts), NOTHING, self._context)

    def _one(self, stream: Stream, line: bytes) -> Batch:
        """The deletion of what one line names."""
        submission = self._submission(stream, "identity", policy=DELETE, watcher=Intake("identity"))
        return submit_body(submission, line, self._context)

    def _empty(self, stream: Stream) -> Batch:
        """A batch without records, whose upload stage says why."""
        submission = self._submission(stream, "identity", facts=Intake("identity").protocol_data())
        return submit_body(submission, NOTHING, self._context)

    def _undecodable(self, stream: Stream, fault: Undecodable, policy: Policy) -> Batch:
        """An array of which nothing counts: one record that cannot be read, its beginning behind an open bracket."""
        upload = msgspec.structs.replace(fault.foreseen, successes=0, failures=0, told=[])
        line = b"[" + b" ".join(fault.start.splitlines())
        submission = self._submission(stream, "identity", policy=policy, facts=facts_of(upload, fault.foreseen))
        return submit_body(submission, line, self._context)

    async def batch(self, request: ApiRequest) -> Response:
        """GET /streams/{stream}/batches/{batch}."""
        number = number_of(request.path["stream"])
        words, headers = await self._context.run_in_thread(self._batch, request.merchant, number, request.path["batch"])
        return answer(words, headers=headers)

    def _batch(self, merchant: str, number: int, name: str) -> tuple[dict[str, Any], dict[str, str]]:
        stream = self._streams.one(merchant, number)
        found = self._context.store.batch(merchant, name.lower().replace("-", ""))
        mine = found is not None and (found.protocol, found.collection) == (PROTOCOL, collection_of(number))
        upload = stage_of(found.protocol_data) if found is not None and mine else None
        if found is None or upload is None:
            raise Refusal("batch_unknown")
        processing = processing_of(self._context.store, found, upload, stage_of(found.protocol_data, FORESEEN))
        headers = {"last-modified": format_datetime((found.finished_at or found.received_at), usegmt=True)}
        if processing is None and upload.status != "failure":
            headers["retry-after"] = str(POLL_SECONDS)
        return batch_words(found, stream, upload, processing), headers


def batch_words(batch: Batch, stream: Stream, upload: Stage, processing: Stage | None) -> dict[str, Any]:
    """The document; relationships stand inside `data` and beside it."""
    relationships = {"stream": {"data": {"type": "stream", "id": str(stream.resource.number)}}}
    return {
        "data": {
            "type": "batch", "id": str(uuid.UUID(batch.id)),
            "attributes": {
                "status": _status(batch, upload, processing),
                "errorCount": upload.failures + (processing.failures if processing is not None else 0),
                "stages": {
                    "upload": upload.words, "processing": processing.words if processing is not None else None,
                },
            },
            "relationships": relationships,
        },
        "relationships": relationships,
    }


def _status(batch: Batch, upload: Stage, processing: Stage | None) -> str:
    if upload.status == "failure" or batch.state in (State.BROKEN, State.CANCELLED):
        return "failed"
    if processing is None:
        return "uploaded"
    return "failed" if processing.status == "failure" else "processed"


def _format(request: ApiRequest, stream: Stream) -> Literal["ndjson", "json"]:
    """That a request with a body names, if the stream takes it; raises format_unknown."""
    media_type = request.http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/x-ndjson":
        return "ndjson"
    if stream.kept.type == "referenced":
        if media_type == "application/json":
            return "json"
        raise Refusal("format_unknown", "The Content-Type must be application/x-ndjson or application/json.")
    raise Refusal("format_unknown", "The Content-Type must be application/x-ndjson; the stream is chunked.")


def _new_batch() -> str:
    """An id that sorts by time of making, as all do, and is a UUID of version 4 by its form."""
    made = new_id()
    return f"{made[:12]}4{made[13:16]}{secrets.choice('89ab')}{made[17:]}"
