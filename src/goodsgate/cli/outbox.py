"""Messages to others, straight in the store: for the operator, who sees what did not arrive and sends it again."""

from typing import TYPE_CHECKING

import click

from goodsgate.cli.exits import Unusable
from goodsgate.cli.settings import open_store, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goodsgate.config import Config
    from goodsgate.model.message import Message
    from goodsgate.store.contract import Store

PAGE = 1_000
ONLY = click.Choice(["waiting", "sent", "given-up"])


@click.group()
def outbox() -> None:
    """List messages to others, such as webhooks, and send them again.

    Works on the store itself, with the gate running or not.
    """


@outbox.command("list")
@click.argument("merchant_id", metavar="MERCHANT")
@click.option("--only", type=ONLY, help="Those that wait, were sent, or were given up.")
@click.option("--topic", help="Those of this topic, such as konnect/webhook.")
@with_settings
def list_messages(*, config: "Config", merchant_id: str, only: str | None, topic: str | None) -> None:
    """List the messages of a merchant, one a line: number, topic, subject, where it is, attempts, last trouble.

    \b
    Examples:
      goodsgate outbox list brightware
      goodsgate outbox list brightware --only given-up
    """
    store = open_store(config)
    try:
        for message in _messages(store, merchant_id, only=only, topic=topic):
            cells = (message.number, message.topic, message.subject, _when(message), message.attempts, message.trouble)
            click.echo("\t".join(map(str, cells)).rstrip("\t"))
    finally:
        store.close()


@outbox.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=int)
@click.option("--given-up", is_flag=True, help="All that were given up.")
@with_settings
def replay(*, config: "Config", merchant_id: str, numbers: tuple[int, ...], given_up: bool) -> None:
    """Send messages again, sent before or not, at once and as often as new ones.

    \b
    Examples:
      goodsgate outbox replay brightware 17 18
      goodsgate outbox replay brightware --given-up
    """
    if bool(numbers) == given_up:
        raise Unusable("say which: numbers, or --given-up")
    store = open_store(config)
    try:
        if given_up:
            numbers = tuple(message.number for message in _messages(store, merchant_id, only="given-up", topic=None))
        count = store.replay(merchant_id, numbers)
    finally:
        store.close()
    if count < len(set(numbers)):
        raise Unusable(f"{merchant_id} has {count} of these {len(set(numbers))} messages; they will be sent again")
    click.echo(f"{count:,} messages will be sent again.")


def _messages(store: "Store", merchant: str, *, only: str | None, topic: str | None) -> "Iterator[Message]":
    from goodsgate.model.message import DeliveryState

    told: DeliveryState | None = DeliveryState(only.replace("-", "_")) if only else None
    after = 0
    while page := store.messages(merchant, topic=topic, told=told, after=after, limit=PAGE):
        yield from page
        after = page[-1].number


def _when(message: "Message") -> str:
    for word, moment in (("sent", message.sent_at), ("given up", message.given_up_at), ("due", message.due_at)):
        if moment is not None:
            return f"{word} {moment:%Y-%m-%dT%H:%M:%SZ}"
    raise AssertionError(message)
