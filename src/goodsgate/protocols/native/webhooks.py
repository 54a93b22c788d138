"""Webhooks: what happens to a merchant's batches is sent to its own URL."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from goodsgate.engine.outbox import MessageSender
from goodsgate.engine.secrets import UnknownMasterError
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.problems import refuse
from goodsgate.http.services import ProtocolServices
from goodsgate.http.webhook_registry import Answer, WebhookChange
from goodsgate.http.webhook_sender import WebhookSender, message_event
from goodsgate.model.json_text import write_json
from goodsgate.model.message import Attempt, DeliveryState, Message
from goodsgate.model.webhook import WEBHOOK
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.responses import JSON, json_response, page_response

MessageNumber = Annotated[int, Meta(ge=1, le=9_000_000_000_000_000)]


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/webhooks/{webhook}/rotate."""

    overlap_hours: Annotated[float, Meta(ge=0, le=720)] | None = None


class ReplayOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/webhooks/{webhook}/replay."""

    messages: Annotated[list[MessageNumber], Meta(min_length=1, max_length=1_000)] | None = None
    given_up: bool = False


def message_senders(services: ProtocolServices) -> dict[str, MessageSender]:
    """Return what delivers this protocol's messages, by topic."""
    return {WEBHOOK: WebhookSender(services)}


class WebhookHandlers:
    """Handlers of everything under ``/v1/webhooks``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine
        self._store = context.store
        self._sender = WebhookSender(context.services)
        self._registry = self._sender.registry

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "webhooks": self.webhooks, "add_webhook": self.add, "webhook": self.webhook,
            "change_webhook": self.change, "delete_webhook": self.delete, "pause_webhook": self.pause,
            "resume_webhook": self.resume, "rotate_webhook": self.rotate, "test_webhook": self.test,
            "webhook_attempts": self.attempts, "replay_webhook": self.replay,
        }

    async def webhooks(self, request: ApiRequest) -> Response:
        """Handle GET /v1/webhooks."""
        rows = await self._context.run_in_thread(self._registry.all, request.merchant)
        return json_response({"webhooks": [_serialize(each) for each in rows]})

    async def add(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks."""
        content = await request.read_body(self._context)
        change = _change(content)
        if change.url is None:
            raise refuse("body_invalid", "A webhook needs a `url`.")
        return await self._secret_response(
            request, content, lambda answer: self._registry.add(request.merchant, change, answer=answer), status=201
        )

    async def webhook(self, request: ApiRequest) -> Response:
        """Handle GET /v1/webhooks/{webhook}."""
        return json_response(_serialize(await self._registered(request)))

    async def change(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/webhooks/{webhook}."""
        change = _change(await request.read_body(self._context))
        webhook = await self._context.run_in_thread(self._registry.change, request.merchant, _number(request), change)
        return json_response(_serialize(webhook))

    async def delete(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/webhooks/{webhook}."""
        await self._context.run_in_thread(self._registry.delete, request.merchant, _number(request))
        return Response(status_code=204)

    async def pause(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks/{webhook}/pause."""
        return await self._act(request, self._registry.pause)

    async def resume(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks/{webhook}/resume."""
        return await self._act(request, self._registry.resume)

    async def _act(self, request: ApiRequest, act: Callable[..., RegisteredWebhook]) -> Response:
        """Carry out a request without a body once."""
        key = request_key(request, await request.read_body(self._context))
        answer = Answer(key, _encode) if key is not None else None
        work = partial(act, request.merchant, _number(request), answer=answer)
        body = await self._context.run_in_thread(self._engine.answer_once, key, lambda: _encode(work()))
        return Response(body, media_type=JSON)

    async def rotate(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks/{webhook}/rotate."""
        content = await request.read_body(self._context)
        hours = decode_json(content, Rotation).overlap_hours if content.strip() else None
        seconds = None if hours is None else hours * 3600
        return await self._secret_response(request, content, lambda answer: self._registry.rotate(
            request.merchant, _number(request), overlap_seconds=seconds, answer=answer
        ), status=200)

    async def _secret_response(self, request: ApiRequest, content: bytes,
                               act: Callable[[Answer | None], RegisteredWebhook], *, status: int) -> Response:
        """Carry out a request once, and return the webhook with its newest secret, which the stored answer lacks."""
        key = request_key(request, content)

        def respond() -> dict[str, Any]:
            master = self._registry.current_master()

            def serialize(registered: RegisteredWebhook) -> bytes:
                return write_json({**_serialize(registered), "secret": [registered.webhook.secrets[0].name, master]})

            answer = Answer(key, serialize) if key is not None else None
            body = self._engine.answer_once(key, lambda: serialize(act(answer)))
            document: dict[str, Any] = msgspec.json.decode(body)
            name, derived_by = document["secret"]
            try:
                secret = self._registry.secret(request.merchant, document["id"], name, by=derived_by)
            except UnknownMasterError as fault:
                detail = "This was done, but the secret is lost, because the master secret changed; rotate it."
                raise refuse("state_conflict", detail, webhook=document["id"]) from fault
            return {**document, "secret": secret}

        document = await self._context.run_in_thread(respond)
        headers = {"cache-control": "no-store"}
        if status == 201:
            headers["location"] = f"/v1/webhooks/{document['id']}"
        return json_response(document, status=status, headers=headers)

    async def test(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks/{webhook}/test."""
        key = request_key(request, await request.read_body(self._context))

        def test() -> bytes:
            attempt = self._sender.test(self._registry.webhook(request.merchant, _number(request)))
            body = write_json({"delivered": not attempt.error, **_serialize_attempt(attempt)})
            answer = Answer(key, lambda _: body) if key is not None else None
            self._registry.note_test(
                request.merchant, _number(request), has_arrived=not attempt.error, answer=answer
            )
            return body

        body = await self._context.run_in_thread(self._engine.answer_once, key, test)
        return Response(body, media_type=JSON)

    async def attempts(self, request: ApiRequest) -> Response:
        """Handle GET /v1/webhooks/{webhook}/attempts."""
        webhook, query = await self._registered(request), request.query
        limit = min(int(query["limit"]), self._context.limits.page_rows_max)
        state = DeliveryState(query["state"]) if query["state"] else None
        rows = await self._context.run_in_thread(
            self._store.newest_messages, request.merchant, WEBHOOK, str(webhook.number), delivery_state=state,
            before=query["after"], limit=limit,
        )
        after = str(rows[-1].number) if len(rows) == limit else None
        return page_response(request, "messages", [_serialize_message(row) for row in rows], after)

    async def replay(self, request: ApiRequest) -> Response:
        """Handle POST /v1/webhooks/{webhook}/replay."""
        content = await request.read_body(self._context)
        order: ReplayOrder = decode_json(content, ReplayOrder)
        if (order.messages is None) != order.given_up:
            raise refuse("body_invalid", "Give either `messages` or `given_up`.")
        key = request_key(request, content)

        def replay() -> bytes:
            idempotency = key.answered_by(_encode_count) if key is not None else None
            return _encode_count(self._registry.replay(
                request.merchant, _number(request), order.messages, idempotency=idempotency
            ))

        body = await self._context.run_in_thread(self._engine.answer_once, key, replay)
        return Response(body, media_type=JSON)

    async def _registered(self, request: ApiRequest) -> RegisteredWebhook:
        return await self._context.run_in_thread(self._registry.webhook, request.merchant, _number(request))


def _number(request: ApiRequest) -> int:
    return int(request.path["webhook"])


def _change(content: bytes) -> WebhookChange:
    """Return what a body asks for; null is as good as absent. Raises body_invalid."""
    change: WebhookChange = decode_json(content, WebhookChange)
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if isinstance(value, tuple) and len(set(value)) < len(value):
            raise refuse("body_invalid", f"A value of `{name}` is given twice.")
    return change


def _encode(registered: RegisteredWebhook) -> bytes:
    return write_json(_serialize(registered))


def _encode_count(count: int) -> bytes:
    return write_json({"replayed": count})


def _serialize_attempt(attempt: Attempt) -> dict[str, Any]:
    return {"at": attempt.at, "seconds": attempt.seconds, "error": attempt.error or None}


def _serialize(registered: RegisteredWebhook) -> dict[str, Any]:
    webhook, queue = registered.webhook, registered.queue
    return {
        "id": registered.number, "url": registered.url, "events": webhook.events, "kinds": webhook.kinds,
        "collections": webhook.collections, "when": webhook.when, "description": webhook.description,
        "created_at": webhook.created_at,
        "state": registered.state, "reason": registered.reason, "waiting": queue.waiting,
        "waiting_since": queue.waiting_since, "delivered_at": queue.sent_at,
        "old_secret_until": registered.old_secret_until,
    }


def _serialize_message(message: Message) -> dict[str, Any]:
    event, subject = message_event(message)
    return {
        "number": message.number, "id": f"msg_{message.merchant}_{message.number}", "event": event, "subject": subject,
        "state": message.delivery_state, "created_at": message.created_at, "next_attempt_at": message.next_attempt_at,
        "delivered_at": message.sent_at, "given_up_at": message.given_up_at, "in_order": message.in_order,
        "attempts": [_serialize_attempt(each) for each in message.history],
    }
