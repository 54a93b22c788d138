"""Webhooks of a running gate."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError, ExitCode
from goodsgate.cli.output import json_option, mask_control, print_line

if TYPE_CHECKING:
    from goodsgate_client import Client

EVENTS = (
    "batch.finished", "batch.held", "batch.withheld", "batch.broken", "batch.cancelled", "items.changed",
    "source.failed", "source.overdue", "destination.failed", "destination.held",
)
KINDS = ("product", "price", "stock")
PAGE_MESSAGES = 100

webhook_argument = click.argument("number", metavar="NUMBER", type=click.IntRange(min=1))


@click.group()
def webhook() -> None:
    """Send events, such as the end of a batch, to a URL of yours or by mail."""


@webhook.command()
@click.argument("address", metavar="URL")
@click.option("--event", "events", multiple=True, type=click.Choice(EVENTS), help="Only this event. Repeatable.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind. Repeatable.")
@click.option("--collection", "collections", multiple=True, help="Only this collection. Repeatable.")
@click.option("--when", type=click.Choice(["always", "problems"]),
              help="Tell every finished batch, or only those that are not clean. Default: always; for mail problems.")
@click.option("--description", default="", help="What it is for.")
@json_option
@with_client
def add(*, client: "Client", address: str, as_json: bool, **options: Any) -> None:
    """Add a webhook, and print its number and its secret, which will not be shown again.

    The setting webhook_hosts of the gate must allow the host. Requests are signed as Standard Webhooks specify. With
    mailto:name@example.com people get mail; the settings mail_host and mail_domains must allow it.

    \b
    Examples:
      goodsgate webhook add https://shop.example.com/goodsgate
      goodsgate webhook add https://shop.example.com/stock --event batch.finished --kind stock
      goodsgate webhook add mailto:feeds@supplier.example --collection supplier
    """
    body = {"url": address} | {name: value for name, value in options.items() if value}
    added = client.request("POST", "/v1/webhooks", json=body)
    text = str(added["id"]) if address.startswith("mailto:") else f"{added['id']}\t{added['secret']}"
    print_line(text, added, as_json=as_json)


@webhook.command("list")
@json_option
@with_client
def list_webhooks(*, client: "Client", as_json: bool) -> None:
    """List webhooks, one per line: number, state, waiting messages, URL, and why it is not active.

    \b
    Example:
      goodsgate webhook list
    """
    for each in client.request("GET", "/v1/webhooks")["webhooks"]:
        _print_webhook(each, as_json=as_json)


@webhook.command()
@webhook_argument
@json_option
@with_client
def show(*, client: "Client", number: int, as_json: bool) -> None:
    """Print a webhook as JSON, without its secret.

    \b
    Example:
      goodsgate webhook show 1
    """
    document = client.request("GET", f"/v1/webhooks/{number}")
    print_line(json.dumps(document, ensure_ascii=False, indent=2), document, as_json=as_json)


@webhook.command()
@webhook_argument
@json_option
@with_client
def pause(*, client: "Client", number: int, as_json: bool) -> None:
    """Pause a webhook. Its messages wait until it is resumed.

    \b
    Example:
      goodsgate webhook pause 1
    """
    _print_webhook(client.request("POST", f"/v1/webhooks/{number}/pause"), as_json=as_json)


@webhook.command()
@webhook_argument
@json_option
@with_client
def resume(*, client: "Client", number: int, as_json: bool) -> None:
    """Resume a webhook. Messages that wait are sent now, in order; those that failed are retried at once.

    \b
    Example:
      goodsgate webhook resume 1
    """
    _print_webhook(client.request("POST", f"/v1/webhooks/{number}/resume"), as_json=as_json)


@webhook.command()
@webhook_argument
@json_option
@with_client
def delete(*, client: "Client", number: int, as_json: bool) -> None:
    """Delete a webhook. Messages that wait are discarded.

    \b
    Example:
      goodsgate webhook delete 1
    """
    client.send("DELETE", f"/v1/webhooks/{number}")
    print_line("Deleted.", {"id": number, "deleted": True}, as_json=as_json)


@webhook.command()
@webhook_argument
@json_option
@with_client
def test(*, client: "Client", number: int, as_json: bool) -> None:
    """Send a test event, and print how long it took. Exits with 1 if it did not arrive.

    \b
    Example:
      goodsgate webhook test 1
    """
    attempt = client.request("POST", f"/v1/webhooks/{number}/test")
    text = f"Arrived after {attempt['seconds']:.3f} s."
    if not attempt["delivered"]:
        text = f"The test event did not arrive: {mask_control(attempt['error'])}"
    print_line(text, attempt, as_json=as_json)
    if not attempt["delivered"]:
        sys.exit(ExitCode.REJECTED)


@webhook.command()
@webhook_argument
@click.option("--only", type=click.Choice(["waiting", "sent", "given-up"]), help="Only messages in this state.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Maximum messages.")
@json_option
@with_client
def attempts(*, client: "Client", number: int, only: str | None, limit: int, as_json: bool) -> None:
    """List the messages of a webhook, the newest first, one per line.

    That is: number, event, batch, state, number of attempts, last error. With --json, each message has all attempts.

    \b
    Examples:
      goodsgate webhook attempts 1
      goodsgate webhook attempts 1 --only given-up
    """
    query: Document = {"state": only.replace("-", "_")} if only else {}
    after: int | None = None
    while limit > 0:
        query |= {"limit": min(limit, PAGE_MESSAGES)} | ({"after": after} if after is not None else {})
        page = client.request("GET", f"/v1/webhooks/{number}/attempts", params=query)
        for message in page["messages"]:
            _print_message(message, as_json=as_json)
        limit -= len(page["messages"])
        if page["next"] is None:
            return
        after = page["messages"][-1]["number"]


@webhook.command()
@webhook_argument
@click.argument("messages", metavar="[MESSAGE]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--given-up", is_flag=True, help="All messages that were given up.")
@json_option
@with_client
def replay(*, client: "Client", number: int, messages: tuple[int, ...], given_up: bool, as_json: bool) -> None:
    """Send messages of a webhook again, whether they arrived or not, with the same retries as new ones.

    \b
    Examples:
      goodsgate webhook replay 1 17 18
      goodsgate webhook replay 1 --given-up
    """
    if bool(messages) == given_up:
        raise CommandError("give either message numbers or --given-up")
    body = {"given_up": True} if given_up else {"messages": messages}
    answer = client.request("POST", f"/v1/webhooks/{number}/replay", json=body)
    print_line(f"Messages queued again: {answer['replayed']:,}", answer, as_json=as_json)


@webhook.command()
@webhook_argument
@click.option("--overlap-hours", type=click.FloatRange(0, 720),
              help="How long the old secret also signs; 0 ends it now. Default: the setting webhook_overlap_hours.")
@json_option
@with_client
def rotate(*, client: "Client", number: int, overlap_hours: float | None, as_json: bool) -> None:
    """Give a webhook a new secret, and print it. Requests are signed with both for some time.

    \b
    Examples:
      goodsgate webhook rotate 1
      goodsgate webhook rotate 1 --overlap-hours 0
    """
    body = {} if overlap_hours is None else {"overlap_hours": overlap_hours}
    answer = client.request("POST", f"/v1/webhooks/{number}/rotate", json=body)
    print_line(answer["secret"], answer, as_json=as_json)


def _print_webhook(webhook: Document, *, as_json: bool) -> None:
    cells = (webhook["id"], webhook["state"], webhook["waiting"], webhook["url"], webhook["reason"] or "")
    print_line("\t".join(map(mask_control, cells)).rstrip(), webhook, as_json=as_json)


def _print_message(message: Document, *, as_json: bool) -> None:
    last_error = message["attempts"][-1]["error"] if message["attempts"] else None
    cells = (
        message["number"], message["event"], message["subject"] or "", message["state"].replace("_", " "),
        len(message["attempts"]), last_error or "",
    )
    print_line("\t".join(map(mask_control, cells)).rstrip(), message, as_json=as_json)
