"""Merchants and their keys, written directly to the store, so that no key is needed."""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import json_option, print_line
from goodsgate.cli.settings import open_current_store, with_settings

if TYPE_CHECKING:
    from datetime import datetime

    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import Store

SCOPES = ("submit", "read", "audit", "clerk", "integrator", "admin")
MERCHANT_ID = re.compile(r"[a-z0-9_-]{1,64}")
SCOPE_OPTION = click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=("submit", "read"), show_default=True,
    help="Scope of the key; clerk, integrator and admin are for people, admin includes all merchants. Repeatable.",
)

SETTING_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
SETTING_CHARACTERS_MAX = 255


def parse_settings(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Parse NAME=VALUE pairs. An empty value, which removes a setting, is allowed in the argument, not in an option."""
    settings: dict[str, str] = {}
    least = 0 if isinstance(parameter, click.Argument) else 1
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not SETTING_NAME.fullmatch(name) or not least <= len(text) <= SETTING_CHARACTERS_MAX:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
        settings[name] = text
    return settings


@click.group()
def merchant() -> None:
    """Add and change merchants, and add, list, change, rotate and revoke their keys.

    These commands use the store directly; the gate need not be running.
    """


@merchant.command()
@click.argument("merchant_id", metavar="ID")
@click.option("--name", default="", help="Display name. Default: the id.")
@SCOPE_OPTION
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=parse_settings,
    help="Protocol setting of the merchant, e.g. account=123456789012. Repeatable.",
)
@click.option(
    "--location", "locations", multiple=True, metavar="CODE",
    help="Shop or warehouse to add to the reference data. Repeatable.",
)
@click.option("--if-missing", is_flag=True, help="Change nothing, and succeed, if the merchant exists.")
@click.option("--quiet", is_flag=True, help="Print only the key.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON; no key if it existed.")
@with_settings
def add(*, config: "Config", merchant_id: str, name: str, scopes: tuple[str, ...], settings: dict[str, str],
        locations: tuple[str, ...], if_missing: bool, quiet: bool, as_json: bool) -> None:
    """Add a merchant and print its first key, which will not be shown again.

    \b
    Examples:
      goodsgate merchant add brightware --name 'Brightware Ltd'
      goodsgate merchant add brightware --set account=123456789012 --location STORE-1
      goodsgate merchant add brightware --if-missing
      export GOODSGATE_KEY=$(goodsgate merchant add brightware --quiet)
    """
    from goodsgate.model.catalogue import ReferenceEntry

    check_settings(settings, owner="merchant")
    store = open_current_store(config, create=True)
    try:
        if if_missing and store.merchant_exists(merchant_id):
            if as_json:
                click.echo(json.dumps({"merchant": merchant_id, "key": None}))
            elif not quiet:
                click.echo(f"The merchant {merchant_id} exists; nothing was changed.", err=True)
            return
        create_merchant(store, merchant_id, name=name)
        if settings:
            from goodsgate.engine.merchant_documents import put_merchant_settings

            put_merchant_settings(store, merchant_id, settings)
        if locations:
            store.put_reference(merchant_id, "location", [ReferenceEntry(code=code) for code in locations])
        secret = create_key(store, merchant_id, scopes=scopes, label="first key")
    finally:
        store.close()
    print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@merchant.command("set")
@click.argument("merchant_id", metavar="ID")
@click.argument("settings", metavar="NAME=VALUE...", nargs=-1, callback=parse_settings)
@json_option
@with_settings
def set_settings(*, config: "Config", merchant_id: str, settings: dict[str, str], as_json: bool) -> None:
    """Change protocol settings of a merchant and print all of them. NAME= removes a setting.

    \b
    Examples:
      goodsgate merchant set brightware queue=arn:aws:sqs:eu-west-1:123456789012:catalog
      goodsgate merchant set brightware queue=
    """
    from goodsgate.cli.acts import command_act
    from goodsgate.engine.merchant_documents import merchant_settings, put_merchant_settings
    from goodsgate.model.audit import acting
    from goodsgate.store.contract import StoreError

    check_settings(settings, owner="merchant")
    store = open_current_store(config)
    try:
        with acting(command_act("merchant.change", merchant_id, changed=" ".join(sorted(settings)))):
            current = (
                put_merchant_settings(store, merchant_id, settings) if settings
                else merchant_settings(store, merchant_id)
            )
    except StoreError as error:
        raise CommandError(f"there is no merchant {merchant_id}") from error
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps({"merchant": merchant_id, "settings": current}, ensure_ascii=False))
        return
    for name, text in sorted(current.items()):
        click.echo(f"{name}={text}")


@merchant.command("list")
@json_option
@with_settings
def list_merchants(*, config: "Config", as_json: bool) -> None:
    """List merchants, one per line: id and name.

    \b
    Example:
      goodsgate merchant list
    """
    store = open_current_store(config)
    try:
        after: str | None = None
        while True:
            page = store.merchants(after=after, limit=1000)
            for row in page.rows:
                print_line(f"{row.id}\t{row.name}", {"id": row.id, "name": row.name}, as_json=as_json)
            after = page.next
            if after is None:
                return
    finally:
        store.close()


def check_settings(settings: dict[str, str], *, owner: str) -> None:
    """Raise a usage error if the protocols know no such setting of a key or merchant, or the value is not allowed."""
    from goodsgate import app
    from goodsgate.engine.refusal import Refusal

    if not settings:
        return
    known = app.known_settings()
    try:
        (known.check_key if owner == "key" else known.check_merchant)(settings)
    except Refusal as refusal:
        raise click.UsageError(refusal.detail.replace("`", "'")) from refusal


def create_merchant(store: "Store", merchant_id: str, *, name: str) -> None:
    """Add a merchant; raises CommandError if the id is invalid or taken."""
    from goodsgate.cli.acts import command_act
    from goodsgate.model.audit import acting
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    if not MERCHANT_ID.fullmatch(merchant_id):
        raise CommandError(f"{merchant_id!r} is not a merchant id (1 to 64 characters of a-z, 0-9, - and _)")
    with acting(command_act("merchant.add", merchant_id)):
        is_new = store.add_merchant(Merchant(id=merchant_id, name=name or merchant_id, created_at=now()))
    if not is_new:
        raise CommandError(f"merchant {merchant_id} already exists; to add a key: merchant key add {merchant_id}")


def create_key(store: "Store", merchant_id: str, *, scopes: "Iterable[str | Scope]", label: str,
               settings: dict[str, str] | None = None, seed: bytes | None = None,
               expires_at: "datetime | None" = None) -> str:
    """Create a key and return its secret; raises CommandError if the merchant does not exist."""
    from goodsgate.auth import new_key
    from goodsgate.cli.acts import key_act
    from goodsgate.model.audit import acting
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    key, secret = new_key(merchant_id, [Scope(scope) for scope in scopes], label=label, settings=settings, seed=seed,
                          expires_at=expires_at)
    try:
        with acting(key_act("key.add", key)):
            store.add_key(key)
    except StoreError as error:
        raise CommandError(f"there is no merchant {merchant_id}") from error
    return secret


def create_access_key(store: "Store", config: "Config", merchant_id: str, *, scopes: "Iterable[str]", label: str,
                    settings: dict[str, str], session: bool,
                      expires_at: "datetime | None" = None) -> "AccessKey":
    """Create an access key for signed requests; raises CommandError if the merchant does not exist."""
    from goodsgate import app
    from goodsgate.auth import new_access_key
    from goodsgate.cli.acts import key_act
    from goodsgate.model.audit import acting
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    wanted = [Scope(scope) for scope in scopes]
    key, access_key = new_access_key(
        merchant_id, wanted, app.create_secrets(store, config), label=label, settings=settings, session=session,
        expires_at=expires_at,
    )
    try:
        with acting(key_act("key.add", key)):
            store.add_key(key)
    except StoreError as error:
        raise CommandError(f"there is no merchant {merchant_id}") from error
    return access_key


def print_key(merchant_id: str, secret: str, *, quiet: bool, as_json: bool) -> None:
    """Print a new key."""
    click.echo(json.dumps({"merchant": merchant_id, "key": secret}) if as_json else secret)
    if not quiet and not as_json:
        click.echo("The key will not be shown again. To use it: export GOODSGATE_KEY=…", err=True)
