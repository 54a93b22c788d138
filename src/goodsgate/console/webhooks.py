"""Webhooks of a merchant: list, add, pause, test, rotate, delete; and the attempts to deliver their messages."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.rendering import HEADERS, PageRenderer, path_segment
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest, FormFields
from goodsgate.engine.webhooks import RegisteredWebhook
from goodsgate.http.context import ServerContext
from goodsgate.http.mail.smtp import is_mail
from goodsgate.http.problems import refuse
from goodsgate.http.webhook_registry import WebhookChange
from goodsgate.http.webhook_sender import WebhookSender, message_event
from goodsgate.model.audit import mark_recorded, rename_act
from goodsgate.model.batch import Kind
from goodsgate.model.message import Attempt
from goodsgate.model.webhook import WEBHOOK, WebhookEvent

MESSAGES_MAX = 50


class WebhookPages:
    """Everything under ``/console/merchants/{merchant}/webhooks``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer
        self._sender = WebhookSender(context.services)
        self._registry = self._sender.registry
        self._actions: dict[str, Callable[[str, int], object]] = {
            "pause": self._registry.pause, "resume": self._registry.resume, "replay": self._replay,
            "delete": self._registry.delete,
        }

    async def webhooks(self, request: ConsoleRequest) -> Response:
        """Return the webhooks of a merchant, with a form for another one."""
        return await self._render_list(request, await request.merchant())

    async def add(self, request: ConsoleRequest) -> Response:
        """Add a webhook and show its secret, which is not stored."""
        form, merchant = await request.form(), await request.merchant()
        webhook = await self._context.run_in_thread(self._registry.add, merchant, _change(form))
        secret = "" if is_mail(webhook.url) else await self._secret(webhook)
        return await self._render_list(request, merchant, secret=secret)

    async def webhook(self, request: ConsoleRequest) -> Response:
        """Return a webhook with its latest messages and their attempts."""
        return await self._render_webhook(request, await request.merchant(), _number(request))

    async def act(self, request: ConsoleRequest) -> Response:
        """Pause, resume, test, rotate or delete a webhook, or send again what was given up."""
        form, merchant, number = await request.form(), await request.merchant(), _number(request)
        rename_act(f"webhook.{form.get('action')}")
        match form.get("action"):
            case "test":
                mark_recorded()  # it changes nothing
                webhook = await self._context.run_in_thread(self._registry.webhook, merchant, number)
                attempt = await self._context.run_in_thread(self._sender.test, webhook)
                await self._context.run_in_thread(partial(
                    self._registry.note_test, merchant, number, has_arrived=not attempt.error
                ))
                return await self._render_webhook(request, merchant, number, test=attempt)
            case "rotate":
                webhook = await self._context.run_in_thread(self._registry.rotate, merchant, number)
                return await self._render_webhook(request, merchant, number, secret=await self._secret(webhook))
            case action if action in self._actions:
                await self._context.run_in_thread(self._actions[action], merchant, number)
                own = "" if action == "delete" else f"/{number}"
                path = f"/console/merchants/{path_segment(merchant)}/webhooks{own}"
                return RedirectResponse(path, 303, headers=HEADERS)
        raise refuse("body_invalid", "There is no such action.")

    def _replay(self, merchant: str, number: int) -> int:
        return self._registry.replay(merchant, number, None)

    async def _secret(self, webhook: RegisteredWebhook) -> str:
        def read() -> str:
            name, master = webhook.webhook.secrets[0].name, self._registry.current_master()
            return self._registry.secret(webhook.merchant, webhook.number, name, by=master)

        return await self._context.run_in_thread(read)

    async def _render_list(self, request: ConsoleRequest, merchant: str, *, secret: str = "") -> Response:
        values: dict[str, Any] = {
            "merchant": merchant, "section": "webhooks", "secret": secret, "events": [*WebhookEvent], "kinds": [*Kind],
            "webhooks": await self._context.run_in_thread(self._registry.all, merchant),
            "can_change": request.caller.may("configure"),
        }
        return self._renderer.response(request, "webhooks.html", values)

    async def _render_webhook(self, request: ConsoleRequest, merchant: str, number: int, *, secret: str = "",
                              test: Attempt | None = None) -> Response:
        webhook = await self._context.run_in_thread(self._registry.webhook, merchant, number)
        messages = await self._context.run_in_thread(
            self._context.store.newest_messages, merchant, WEBHOOK, str(number), limit=MESSAGES_MAX
        )
        values: dict[str, Any] = {
            "merchant": merchant, "section": "webhooks", "webhook": webhook, "secret": secret, "test": test,
            "sends_mail": is_mail(webhook.url),
            "messages": [(message, *message_event(message)) for message in messages], "messages_max": MESSAGES_MAX,
            "can_change": request.caller.may("configure"),
        }
        return self._renderer.response(request, "webhook.html", values)


def _number(request: ConsoleRequest) -> int:
    text = request.path_param("number")
    if not (text.isascii() and text.isdecimal() and len(text) <= NUMBER_DIGITS_MAX):
        raise refuse("webhook_unknown")
    return int(text)


def _change(form: FormFields) -> WebhookChange:
    """Return what a form asks for; raises body_invalid."""
    collections = form.get("collections").replace(",", " ").split()
    events = [*dict.fromkeys(form.get_all("event"))]
    values: dict[str, Any] = {
        "url": form.get("url"), "events": None if {*events} == {*WebhookEvent} else events,
        "kinds": [*dict.fromkeys(form.get_all("kind"))], "collections": [*dict.fromkeys(collections)],
        "description": form.get("description"),
    }
    if form.get("when"):
        values["when"] = form.get("when")
    if not events:
        raise refuse("body_invalid", "Choose at least one event.")
    try:
        return msgspec.convert(values, type=WebhookChange)
    except msgspec.ValidationError as error:
        raise refuse("body_invalid", f"{error}.") from error
