"""Submitting and correcting batches, and the JSON document of a batch."""

from collections.abc import Callable, Sequence
from email.message import Message
from functools import lru_cache, partial
from typing import Any, Protocol

import msgspec
from starlette.responses import Response

from goodsgate import formats
from goodsgate.engine import Submission
from goodsgate.engine.contents import batch_contents, contents_document
from goodsgate.engine.diff import has_diff
from goodsgate.engine.inspection import Inspection, head_bytes, inspect_file, inspection_document
from goodsgate.engine.queue_wait import QueueWait
from goodsgate.engine.receive import parse_delimiter, parse_empty_words, parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import parse_conditions
from goodsgate.engine.saved_profiles import with_saved_profile
from goodsgate.engine.saved_rules import batch_rules_document
from goodsgate.http.context import HEAD_BYTES, PIECE_BYTES, ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.threads import WORK, Work
from goodsgate.model.batch import (
    FINAL_STATES,
    Batch,
    Duplicates,
    Kind,
    Policy,
    ReadingDecision,
    Strictness,
    Verb,
    duplicates_of,
)
from goodsgate.model.finding import FixMatch
from goodsgate.model.issue import base_code
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.references import WaitingReference
from goodsgate.protocols.native.guards import serialize_hold
from goodsgate.protocols.native.idempotency import fingerprint_of, idempotency_key, request_key
from goodsgate.protocols.native.responses import JSON, json_response
from goodsgate.store.contract import Idempotency


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/batches/{batch}/confirm."""

    deletions: int


EXAMPLES_MAX = 3
"""Changes of a group of suggestions that a listing shows."""


class Change(Protocol):
    """Changes a batch and answers under an idempotency key."""

    def __call__(self, merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None) -> Batch:
        """Change a batch and return it."""


class BatchHandlers:
    """Handlers of the operations that create or change a batch."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine
        self._store = context.store

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "submit": self.submit, "inspect": self.inspect, "fix": self.fix, "preview_fix": self.preview_fix,
            "suggestions": self.suggestions, "apply_suggestions": self.apply_suggestions,
            "retry": self.retry, "cancel": self.cancel, "confirm": self.confirm, "revert": self.revert,
            "approve": self.approve, "discard": self.discard,
        }

    async def submit(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches."""
        query, key = request.query, idempotency_key(request.http)
        policy = partial(self._policy, request)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect_format(request, head)
            return self._engine.submit(
                merchant=request.merchant, kind=Kind(query["kind"]), collection=query["collection"], policy=policy,
                format=format, content_encoding=content_encoding, label=query["label"], protocol="native",
                idempotency_key=key, fingerprint_of=fingerprint_of(request, format, content_encoding),
                answer=encode_batch,
            )

        return await self._receive(request, begin)

    async def inspect(self, request: ApiRequest) -> Response:
        """Handle POST /v1/inspect."""
        limits, read_limits = self._context.limits, self._engine.settings.read_limits
        body = request.body(limits.body_bytes_max, limits.body_idle_seconds)
        head = await body.read(HEAD_BYTES)
        format, content_encoding = detect_format(request, head)
        least = head_bytes(format, content_encoding, read_limits)
        head += await body.read(max(least - len(head), 0))
        is_whole = body.ended
        while not body.ended:
            await body.read(PIECE_BYTES)  # a client that sends the whole file gets its answer after the last byte

        def inspect() -> Inspection:
            return inspect_file(
                self._context.dry_runner, head, read_limits, is_whole=is_whole, merchant=request.merchant,
                kind=Kind(request.query["kind"]), collection=request.query["collection"], policy=self._policy(request),
                format=format, content_encoding=content_encoding,
            )

        WORK.set(Work.FILES)
        return json_response(inspection_document(await self._context.run_in_thread(inspect)))

    async def fix(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/fix."""
        key = idempotency_key(request.http)

        def begin(head: bytes) -> Submission:
            format, content_encoding = detect_format(request, head)
            return self._engine.fix(
                request.merchant, request.path["batch"], format=format, content_encoding=content_encoding,
                encoding=named_encoding(request), new_records=request.query["new_records"], idempotency_key=key,
                fingerprint_of=fingerprint_of(request, format, content_encoding), answer=encode_fixed_batch,
            )

        WORK.set(Work.FILES)
        return await self._receive(request, begin)

    async def preview_fix(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/fix/preview."""
        limits = self._context.limits
        body = request.body(limits.body_bytes_max, limits.body_idle_seconds)
        head = await body.read(HEAD_BYTES)
        format, content_encoding = detect_format(request, head)
        async with self._context.copy_body(body, head) as pieces:
            match = await self._context.run_in_thread(
                self._engine.match_fix, request.merchant, request.path["batch"], pieces, format=format,
                content_encoding=content_encoding, encoding=named_encoding(request),
            )
        return json_response(match)

    async def suggestions(self, request: ApiRequest) -> Response:
        """Handle GET /v1/batches/{batch}/suggestions."""
        WORK.set(Work.FILES)
        preview = await self._context.run_in_thread(self._engine.suggestions, request.merchant, request.path["batch"])
        rows = [
            {
                "code": group.code, "field": group.field, "records": group.records,
                "examples": [{"value": each.before, "suggestion": each.after} for each in group.changes[:EXAMPLES_MAX]],
            }
            for group in preview.groups
        ]
        return json_response({"suggestions": rows, "complete": preview.complete})

    async def apply_suggestions(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/suggestions/apply."""
        WORK.set(Work.FILES)
        merchant, batch, query = request.merchant, request.path["batch"], request.query
        content = await request.read_body(self._context)
        if query["preview"]:
            preview = await self._context.run_in_thread(partial(
                self._engine.suggestions, merchant, batch, code=query["code"], field=query["field"]
            ))
            return json_response(preview)
        key = request_key(request, content)

        def act() -> bytes:
            return encode_fixed_batch(*self._engine.apply_suggestions(
                merchant, batch, code=query["code"], field=query["field"], key=key, answer=encode_fixed_batch
            ))

        return batch_accepted(await self._context.run_in_thread(self._engine.answer_once, key, act), batch)

    async def _receive(self, request: ApiRequest, begin: Callable[[bytes], Submission]) -> Response:
        limits = self._context.limits
        receipt = await self._context.stream_body(request.body(limits.body_bytes_max, limits.body_idle_seconds), begin)
        if receipt.replay is not None:
            assert receipt.replay.batch is not None
            return batch_accepted(receipt.replay.body, receipt.replay.batch)
        assert receipt.batch is not None
        batch, match = receipt.batch, receipt.match
        return batch_accepted(encode_batch(batch) if match is None else encode_fixed_batch(batch, match), batch.id)

    def _policy(self, request: ApiRequest) -> Policy:
        query = request.query
        mapping = parse_mapping(query["map"]) if query["map"] is not None else {}
        if query["mode"] == "full" and query["verb"] != "upsert":
            raise Refusal(
                "parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert"
            )
        policy = Policy(
            verb=Verb(query["verb"]), duplicates=Duplicates(query["duplicates"]) if query["duplicates"] else None,
            replace=query["replace"], empty=query["empty"], dry_run=query.get("dry_run", False),
            references=Strictness(query["references"]) if query["references"] else None,
            waiting_hours=query["waiting_hours"], mode=query["mode"],
            delete_share_max=float(query["delete_share_max"]), currency=query["currency"], decimal=query["decimal"],
            format=query["format"], encoding=named_encoding(request), sheet=query["sheet"],
            header_row=query["header_row"],
            delimiter=parse_delimiter(query["delimiter"]) if query["delimiter"] else None,
            records_at=query["records_at"], profile=query["profile"], group=query["group"], key=query["key"],
            empty_words=parse_empty_words(query["empty_words"] or ""), mapping=mapping,
            hold_if=parse_conditions(query["hold_if"]) if query.get("hold_if") else {}, hold=query.get("hold"),
            hold_hours=query.get("hold_hours"),
        )
        return with_saved_profile(self._store, request.merchant, policy)

    async def retry(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/retry."""
        return await self._change(request, self._engine.retry, await request.read_body(self._context))

    async def cancel(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/cancel."""
        return await self._change(request, self._engine.cancel, await request.read_body(self._context))

    async def approve(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/approve."""
        return await self._change(request, self._engine.approve, await request.read_body(self._context))

    async def discard(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/discard."""
        return await self._change(request, self._engine.discard, await request.read_body(self._context))

    async def confirm(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/confirm."""
        content = await request.read_body(self._context)

        def confirm(merchant: str, batch: str, *, idempotency: Idempotency[Batch] | None) -> Batch:
            confirmation: Confirmation = decode_json(content, Confirmation)
            return self._engine.confirm(merchant, batch, confirmation.deletions, idempotency=idempotency)

        return await self._change(request, confirm, content)

    async def revert(self, request: ApiRequest) -> Response:
        """Handle POST /v1/batches/{batch}/revert."""
        content = await request.read_body(self._context)
        merchant, batch = request.merchant, request.path["batch"]
        if request.query["preview"]:
            WORK.set(Work.FILES)
            return json_response(await self._context.run_in_thread(self._engine.preview_revert, merchant, batch))
        key = request_key(request, content)

        def act() -> bytes:
            idempotency = key.answered_by(encode_batch) if key is not None else None
            return encode_batch(self._engine.revert(merchant, batch, idempotency=idempotency))

        body = await self._context.run_in_thread(self._engine.answer_once, key, act)
        return batch_accepted(body, msgspec.json.decode(body, type=SubmittedBatch).id)

    async def _change(self, request: ApiRequest, change: Change, content: bytes) -> Response:
        merchant, batch, key = request.merchant, request.path["batch"], request_key(request, content)

        def act() -> bytes:
            groups, waiting_for = self._engine.groups(merchant, batch), self._engine.waiting_for(merchant, batch)
            answer = partial(encode_batch, groups=groups, waiting_for=waiting_for)
            idempotency = key.answered_by(answer) if key is not None else None
            return answer(change(merchant, batch, idempotency=idempotency))

        return batch_accepted(await self._context.run_in_thread(self._engine.answer_once, key, act), batch)


class SubmittedBatch(msgspec.Struct, frozen=True):
    """What an answer says about its batch; it may be one that was stored."""

    id: str


def batch_accepted(body: bytes, batch: str) -> Response:
    """Return the response to a submission: its batch as JSON, and where that can be read."""
    return Response(body, status_code=202, media_type=JSON, headers={"location": f"/v1/batches/{batch}"})


def detect_format(request: ApiRequest, head: bytes) -> tuple[str, str]:
    """Return format and content encoding of a body that begins with `head`.

    Raises payload_empty, format_unknown, content_encoding_unknown.
    """
    if not head:
        raise Refusal("payload_empty")
    headers = request.http.headers
    try:
        return formats.detect(
            content_type=headers.get("content-type"), content_encoding=headers.get("content-encoding"),
            filename=request.query.get("label"), head=head, format=request.query["format"],
        )
    except formats.UnknownContentEncodingError as fault:
        raise Refusal("content_encoding_unknown", str(fault), allowed=[*formats.CONTENT_ENCODINGS]) from fault
    except formats.UnknownFormatError as fault:
        raise Refusal("format_unknown", str(fault), allowed=[*formats.FORMATS]) from fault


def named_encoding(request: ApiRequest) -> str | None:
    """Return the charset that the query or the media type (RFC 9110, section 8.3.2) names. Raises parameter_invalid."""
    name = request.query["encoding"] or _charset_of(request.http.headers.get("content-type", ""))
    return parse_encoding(name) if name else None


@lru_cache(100)
def _charset_of(content_type: str) -> str | None:
    media_type = Message()
    media_type["content-type"] = content_type
    return media_type.get_content_charset()


def parse_mapping(text: str) -> dict[str, list[str]]:
    """Return the mapping of ``column:field,column:field``. Raises parameter_invalid."""
    mapping: dict[str, list[str]] = {}
    for pair in text.split(","):
        column, colon, field = pair.rpartition(":")
        column, field = column.strip(), field.strip()
        if not colon or not column:
            raise Refusal("parameter_invalid", f"{pair[:100]!r} is not column:field.", parameter="map")
        fields = mapping.setdefault(column, [])
        if field:
            fields.append(field)
    return mapping


def encode_batch(batch: Batch, groups: Sequence[IssueGroup] = (), *, waiting_for: Sequence[WaitingReference] = (),
                 waits_behind: str | None = None, queue: QueueWait | None = None) -> bytes:
    """Return the document of a batch as JSON."""
    return msgspec.json.encode(
        serialize_batch(batch, groups, waiting_for=waiting_for, waits_behind=waits_behind, queue=queue)
    )


def encode_fixed_batch(batch: Batch, match: FixMatch) -> bytes:
    """Return the document of a batch after a fix was accepted, with what the fix will replace."""
    return msgspec.json.encode(serialize_batch(batch, ()) | {"fix": match})


def serialize_batch(batch: Batch, groups: Sequence[IssueGroup] | None = None, *,
                    waiting_for: Sequence[WaitingReference] = (), waits_behind: str | None = None,
                    queue: QueueWait | None = None) -> dict[str, Any]:
    """Return the document of a batch; without `groups`, its summary in listings."""
    path, withheld, accounted = f"/v1/batches/{batch.id}", batch.withheld, batch.counts.accounted
    share = min(1.0, batch.bytes_done / batch.bytes_total) if batch.bytes_total else 0.0
    rate = None
    if batch.started_at is not None and batch.finished_at is not None:
        # Only for a finished batch: until then the document must change with the batch and not with the clock.
        seconds = (batch.finished_at - batch.started_at).total_seconds()
        rate = round(accounted / seconds, 1) if seconds > 0 else None
    document: dict[str, Any] = {
        "id": batch.id,
        "kind": batch.kind,
        "collection": batch.collection,
        "label": batch.label,
        "state": batch.state,
        "outcome": batch.outcome,
        "cancelling": batch.cancelling,
        "counts": {
            "total": batch.total, "accounted": accounted, "warned": batch.warned,
            **msgspec.structs.asdict(batch.counts),
        },
        "progress": {
            "share": 1.0 if batch.state in FINAL_STATES else share, "records": accounted,
            "bytes_done": batch.bytes_done, "bytes_total": batch.bytes_total,
        },
        "position": batch.position, "rounds": batch.rounds,
        "format": batch.format, "content_encoding": batch.content_encoding,
        "policy": _serialize_policy(batch),
        "columns": batch.columns,
        "withheld": None if withheld is None else {
            "items": withheld.items, "deletions": withheld.deletions, "share": withheld.share,
            "reason": withheld.reason,
        },
        "trial": batch.is_trial, "hold": None if batch.hold is None else serialize_hold(batch.hold),
        "reading": [*map(_serialize_decision, batch.reading)],
        "contents": contents_document(batch_contents(batch)),
        "rules": batch_rules_document(batch),
        "received_at": batch.received_at,
        "started_at": batch.started_at,
        "finished_at": batch.finished_at,
        "records_per_second": rate,
        "links": {
            "self": path, "events": f"{path}/events", "issues": f"{path}/issues", "results": f"{path}/results",
            "report": f"{path}/report", **({"diff": f"{path}/diff"} if has_diff(batch) else {}),
        },
    }
    if groups is not None:
        document["queue"] = queue
        document["waits_behind"] = waits_behind
        document["waiting_for"] = [*waiting_for]
        document["issues"] = [*map(_serialize_group, groups)]
    return document


def _serialize_policy(batch: Batch) -> dict[str, Any]:
    policy = batch.policy
    return {
        "verb": policy.verb, "duplicates": duplicates_of(policy, batch.kind), "replace": policy.replace,
        "empty": policy.empty, "references": policy.references or Strictness.WARN,
        "waiting_hours": policy.waiting_hours, "mode": policy.mode,
        "delete_share_max": policy.delete_share_max, "currency": policy.currency,
        "decimal": policy.decimal or "point",
        "format": policy.format, "encoding": policy.encoding, "sheet": policy.sheet,
        "header_row": policy.header_row,
        "delimiter": policy.delimiter, "records_at": policy.records_at,
        "profile": policy.saved_profile or policy.profile, "group": policy.group, "key": policy.key,
        "empty_words": policy.empty_words,
        "map": policy.mapping, "edit": policy.edit, "reverts": policy.reverts, "dry_run": policy.dry_run,
        "hold_if": policy.hold_if, "hold": policy.hold, "hold_hours": policy.hold_hours,
    }


def _serialize_decision(decision: ReadingDecision) -> dict[str, Any]:
    return {
        "what": decision.what, "value": decision.value, "how": decision.how, "confidence": decision.confidence,
    }


def _serialize_group(group: IssueGroup) -> dict[str, Any]:
    return {
        "code": group.code,
        "severity": group.severity,
        "field": group.field,
        "count": group.count,
        "message": group.message,
        "title": group.title, "column": group.column, "remedy": group.remedy,
        "top": [{"value": value, "count": count} for value, count in group.top],
        "docs": f"/docs/issues#{base_code(group.code)}",
    }
