"""Keys of merchants, written directly to the store, so that no key is needed."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError
from goodsgate.cli.merchant import (
    SCOPE_OPTION,
    SCOPES,
    check_settings,
    create_access_key,
    create_key,
    merchant,
    parse_settings,
    print_key,
)
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.settings import open_current_store, with_settings

if TYPE_CHECKING:
    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.model.catalogue import Key
    from goodsgate.store.contract import Store

OVERLAP_HOURS_MAX = 2_160


def _time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> "datetime | None":
    """Parse a date or a time, in UTC if it has no offset; it must be in the future."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a time like 2027-01-31 or 2027-01-31T08:00:00Z") from error
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    if time <= datetime.now(UTC):
        raise click.BadParameter("a key cannot end in the past; to end it now, revoke it")
    return time.astimezone(UTC)


EXPIRES_OPTION = click.option(
    "--expires", "expires_at", metavar="TIME", callback=_time,
    help="When the key stops working, e.g. 2027-01-31 or 2027-01-31T08:00:00Z. Default: never.",
)


@merchant.group()
def key() -> None:
    """Add, list, change, rotate and revoke the keys of a merchant."""


@key.command("add")
@click.argument("merchant_id", metavar="MERCHANT")
@SCOPE_OPTION
@click.option("--label", default="", help="Label, e.g. who or what uses the key.")
@EXPIRES_OPTION
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=parse_settings,
    help="Protocol setting of the key, e.g. location=BLR-01. Repeatable.",
)
@click.option("--signing", is_flag=True, help="Create an access key for signed requests: an id and a secret.")
@click.option("--session", is_flag=True, help="Like --signing, with a session token as in temporary credentials.")
@click.option("--quiet", is_flag=True, help="Print only the key.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON.")
@with_settings
def add_key(*, config: "Config", merchant_id: str, scopes: tuple[str, ...], label: str,
            expires_at: "datetime | None", settings: dict[str, str], signing: bool, session: bool, quiet: bool,
            as_json: bool) -> None:
    """Add a key and print it. It will not be shown again.

    An access key is printed as the environment variables that AWS clients read.

    \b
    Examples:
      goodsgate merchant key add brightware --scope read --label dashboard
      goodsgate merchant key add brightware --set location=BLR-01
      eval "$(goodsgate merchant key add brightware --signing --quiet)"
    """
    check_settings(settings, owner="key")
    store = open_current_store(config)
    try:
        if signing or session:
            access_key = create_access_key(
                store, config, merchant_id, scopes=scopes, label=label, settings=settings, session=session,
                expires_at=expires_at,
            )
            _print_access_key(merchant_id, access_key, as_json=as_json)
            return
        secret = create_key(
            store, merchant_id, scopes=scopes, label=label, settings=settings, expires_at=expires_at
        )
    finally:
        store.close()
    print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@key.command("list")
@click.argument("merchant_id", metavar="MERCHANT")
@json_option
@with_settings
def list_keys(*, config: "Config", merchant_id: str, as_json: bool) -> None:
    """List the keys of a merchant, one per line: id, scopes, state, last day of use, label, settings.

    \b
    Example:
      goodsgate merchant key list brightware
    """
    store = open_current_store(config)
    try:
        for row in store.keys(merchant_id):
            state = _state(row)
            settings = " ".join(f"{name}={text}" for name, text in sorted(row.settings.items()))
            scopes = sorted(row.scopes)
            document = {
                "id": row.id, "scopes": scopes, "revoked_at": row.revoked_at, "expires_at": row.expires_at,
                "previous_secret_until": row.previous_until, "used_on": row.used_on, "label": row.label,
                "settings": row.settings,
            }
            used = str(row.used_on or "never used")
            text = f"{row.id}\t{','.join(scopes)}\t{state}\t{used}\t{row.label}\t{settings}".rstrip("\t")
            print_line(text, document, as_json=as_json)
    finally:
        store.close()


@key.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("key_id", metavar="KEY-ID")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="New scopes. Repeatable.")
@click.option("--label", help="New label.")
@EXPIRES_OPTION
@click.option("--never-expires", is_flag=True, help="Remove the end of the key.")
@json_option
@with_settings
def change(*, config: "Config", merchant_id: str, key_id: str, scopes: tuple[str, ...], label: str | None,
           expires_at: "datetime | None", never_expires: bool, as_json: bool) -> None:
    """Change the scopes, the label or the end of a key. What is not named stays, and so does the secret.

    \b
    Examples:
      goodsgate merchant key change brightware 3f9a1c0b77de --expires 2027-01-31
      goodsgate merchant key change brightware 3f9a1c0b77de --scope read --label dashboard
    """
    from msgspec.structs import replace

    from goodsgate.cli.acts import key_act
    from goodsgate.model.audit import acting
    from goodsgate.model.catalogue import Scope

    store = open_current_store(config)
    try:
        before = _find_key(store, merchant_id, key_id)
        end = None if never_expires else expires_at or before.expires_at
        wanted = frozenset(map(Scope, scopes)) or before.scopes
        named = before.label if label is None else label
        with acting(key_act("key.change", replace(before, scopes=wanted, label=named, expires_at=end))):
            changed = store.change_key(merchant_id, key_id, scopes=wanted, label=named, expires_at=end)
        assert changed is not None
    finally:
        store.close()
    print_line(f"Changed {key_id}: {_state(changed)}.", {"merchant": merchant_id, "key": key_id}, as_json=as_json)


@key.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("key_id", metavar="KEY-ID")
@click.option("--overlap-hours", type=click.FloatRange(0, OVERLAP_HOURS_MAX), default=24.0, show_default=True,
              metavar="HOURS", help="How long the present secret works on; 0 ends it at once.")
@click.option("--quiet", is_flag=True, help="Print only the key.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON.")
@with_settings
def rotate(*, config: "Config", merchant_id: str, key_id: str, overlap_hours: float, quiet: bool, as_json: bool,
           ) -> None:
    """Give a key a new secret and print it. It will not be shown again. For a while both secrets work.

    \b
    Example:
      goodsgate merchant key rotate brightware 3f9a1c0b77de --overlap-hours 48
    """
    from goodsgate.auth import bearer_secret, digest_of_secret, key_kind, new_seed
    from goodsgate.cli.acts import command_act
    from goodsgate.model.audit import acting

    store = open_current_store(config)
    try:
        if key_kind(_find_key(store, merchant_id, key_id)) != "secret":
            raise CommandError(f"the key {key_id} has no secret that is sent; add another key, and revoke this one")
        secret = bearer_secret(key_id, new_seed())
        with acting(command_act("key.rotate", key_id, overlap_hours=overlap_hours)):
            until = datetime.now(UTC) + timedelta(hours=overlap_hours)
            store.rotate_key(merchant_id, key_id, digest_of_secret(secret), previous_until=until)
    finally:
        store.close()
    print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@key.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("key_id", metavar="KEY-ID")
@json_option
@with_settings
def revoke(*, config: "Config", merchant_id: str, key_id: str, as_json: bool) -> None:
    """Revoke a key. A running gate refuses it within a second.

    \b
    Example:
      goodsgate merchant key revoke brightware 3f9a1c0b77de
    """
    from goodsgate.cli.acts import command_act
    from goodsgate.model.audit import acting

    store = open_current_store(config)
    try:
        with acting(command_act("key.revoke", key_id)):
            is_revoked = store.revoke_key(merchant_id, key_id)
        if not is_revoked:
            raise CommandError(f"{merchant_id} has no key {key_id}")
    finally:
        store.close()
    print_line(f"Revoked {key_id}.", {"merchant": merchant_id, "key": key_id, "revoked": True}, as_json=as_json)


def _find_key(store: "Store", merchant_id: str, key_id: str) -> "Key":
    """Return a key that is not revoked; raises CommandError if there is none."""
    for each in store.keys(merchant_id):
        if each.id == key_id and each.revoked_at is None:
            return each
    raise CommandError(f"{merchant_id} has no key {key_id}")


def _state(key: "Key") -> str:
    """Return whether a key works, and until when."""
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    return f"{'valid until' if key.is_valid(datetime.now(UTC)) else 'expired'} {key.expires_at:%Y-%m-%dT%H:%M:%SZ}"


def _print_access_key(merchant_id: str, access_key: "AccessKey", *, as_json: bool) -> None:
    parts = {"AWS_ACCESS_KEY_ID": access_key.id, "AWS_SECRET_ACCESS_KEY": access_key.secret}
    if access_key.token is not None:
        parts["AWS_SESSION_TOKEN"] = access_key.token
    if as_json:
        click.echo(json.dumps({"merchant": merchant_id, **parts}))
        return
    for name, text in parts.items():
        click.echo(f"export {name}={text}")
