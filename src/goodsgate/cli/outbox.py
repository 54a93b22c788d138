"""Outgoing messages, read directly from the store: list them and send failed ones again."""

from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.settings import open_current_store, with_settings
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goodsgate.config import Config
    from goodsgate.model.message import Message
    from goodsgate.store.contract import Store

PAGE_MESSAGES = 1_000
STATE_CHOICE = click.Choice(["waiting", "sent", "given-up"])


@click.group()
def outbox() -> None:
    """List outgoing messages, such as webhooks, and send them again.

    These commands use the store directly; the gate need not be running.
    """


@outbox.command("list")
@click.argument("merchant_id", metavar="MERCHANT")
@click.option("--only", type=STATE_CHOICE, help="Only messages in this state.")
@click.option("--topic", help="Only messages of this topic, e.g. konnect/webhook.")
@json_option
@with_settings
def list_messages(*, config: "Config", merchant_id: str, only: str | None, topic: str | None, as_json: bool) -> None:
    """List the messages of a merchant, one per line: number, topic, subject, state, attempts, last error.

    \b
    Examples:
      goodsgate outbox list brightware
      goodsgate outbox list brightware --only given-up
    """
    store = open_current_store(config)
    try:
        for message in _messages(store, merchant_id, only=only, topic=topic):
            document = {
                "number": message.number, "topic": message.topic, "subject": message.subject,
                "state": _state(message), "attempts": message.attempts, "last_error": message.last_error,
            }
            print_line("\t".join(map(str, document.values())).rstrip("\t"), document, as_json=as_json)
    finally:
        store.close()


@outbox.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=int)
@click.option("--given-up", is_flag=True, help="All messages that were given up.")
@json_option
@with_settings
def replay(*, config: "Config", merchant_id: str, numbers: tuple[int, ...], given_up: bool, as_json: bool) -> None:
    """Send messages again, whether they were delivered or not, with the same retries as new ones.

    \b
    Examples:
      goodsgate outbox replay brightware 17 18
      goodsgate outbox replay brightware --given-up
    """
    if bool(numbers) == given_up:
        raise CommandError("give either message numbers or --given-up")
    store = open_current_store(config)
    try:
        if given_up:
            numbers = tuple(message.number for message in _messages(store, merchant_id, only="given-up", topic=None))
        count = store.replay(merchant_id, numbers)
    finally:
        store.close()
    requested = len(set(numbers))
    if count < requested:
        raise CommandError(
            f"{merchant_id} has only {count:,} of these {counted(requested, 'message')}; these are queued again"
        )
    print_line(f"Messages queued again: {count:,}", {"replayed": count}, as_json=as_json)


def _messages(store: "Store", merchant: str, *, only: str | None, topic: str | None) -> "Iterator[Message]":
    from goodsgate.model.message import DeliveryState

    state = DeliveryState(only.replace("-", "_")) if only else None
    after = 0
    while page := store.messages(merchant, topic=topic, delivery_state=state, after=after, limit=PAGE_MESSAGES):
        yield from page
        after = page[-1].number


def _state(message: "Message") -> str:
    from goodsgate.model.message import BEHIND

    for state, at in (("sent", message.sent_at), ("given up", message.given_up_at), ("due", message.next_attempt_at)):
        if at is not None:
            return f"{state} {at:%Y-%m-%dT%H:%M:%SZ}"
    return "waits for earlier ones" if message.due_at == BEHIND else "paused"
