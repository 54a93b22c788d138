"""Merchants and their keys, straight in the store: for the operator, who has no key yet."""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError
from goodsgate.cli.settings import open_store, with_settings

if TYPE_CHECKING:
    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import Store

SCOPES = ("submit", "read", "admin")
MERCHANT_ID = re.compile(r"[a-z0-9_-]{1,64}")
SCOPE_OPTION = click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=("submit", "read"), show_default=True,
    help="What the key may do; may be given often. admin includes the others and acts for every merchant.",
)

SETTING_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
SETTING_CHARACTERS_MAX = 255


def _settings(_context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
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
    """Add merchants and make, list and revoke their keys.

    Works on the store itself, with the gate running or not.
    """


@merchant.command()
@click.argument("merchant_id", metavar="ID")
@click.option("--name", default="", help="A name for people. Default: the id.")
@SCOPE_OPTION
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings,
    help="A setting of the merchant that a protocol reads, such as account=123456789012; repeatable.",
)
@click.option(
    "--location", "locations", multiple=True, metavar="CODE",
    help="A shop or warehouse, kept as reference data; may be given often.",
)
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON.")
@with_settings
def add(*, config: "Config", merchant_id: str, name: str, scopes: tuple[str, ...], settings: dict[str, str],
        locations: tuple[str, ...], quiet: bool, as_json: bool) -> None:
    """Add a merchant and print its first key, which is shown this once.

    \b
    Examples:
      goodsgate merchant add brightware --name 'Brightware Ltd'
      goodsgate merchant add brightware --set account=123456789012 --location STORE-1
      export GOODSGATE_KEY=$(goodsgate merchant add brightware --quiet)
    """
    from goodsgate.engine.settled import put_merchant_settings
    from goodsgate.model.catalogue import ReferenceEntry

    _check_settings(settings, owner="merchant")
    store = open_store(config)
    try:
        make_merchant(store, merchant_id, name=name)
        if settings:
            put_merchant_settings(store, merchant_id, settings)
        if locations:
            store.put_reference(merchant_id, "location", [ReferenceEntry(code=code) for code in locations])
        secret = make_key(store, merchant_id, scopes=scopes, label="first key")
    finally:
        store.close()
    _print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@merchant.command("set")
@click.argument("merchant_id", metavar="ID")
@click.argument("settings", metavar="NAME=VALUE...", nargs=-1, callback=_settings)
@with_settings
def set_settings(*, config: "Config", merchant_id: str, settings: dict[str, str]) -> None:
    """Change settings of a merchant and print all of them; NAME= removes one.

    \b
    Examples:
      goodsgate merchant set brightware queue=arn:aws:sqs:eu-west-1:123456789012:catalog
      goodsgate merchant set brightware queue=
    """
    from goodsgate.engine.settled import merchant_settings, put_merchant_settings
    from goodsgate.store.contract import StoreError

    _check_settings(settings, owner="merchant")
    store = open_store(config)
    try:
        current = (
            put_merchant_settings(store, merchant_id, settings) if settings else merchant_settings(store, merchant_id)
        )
    except StoreError as fault:
        raise CommandError(f"there is no merchant {merchant_id}") from fault
    finally:
        store.close()
    for name, text in sorted(current.items()):
        click.echo(f"{name}={text}")


@merchant.command("list")
@with_settings
def list_merchants(*, config: "Config") -> None:
    """List merchants, one a line: id and name.

    \b
    Example:
      goodsgate merchant list
    """
    store = open_store(config)
    try:
        after: str | None = None
        while True:
            page = store.merchants(after=after, limit=1000)
            for row in page.rows:
                click.echo(f"{row.id}\t{row.name}")
            after = page.next
            if after is None:
                return
    finally:
        store.close()


@merchant.group()
def key() -> None:
    """Make, list and revoke the keys of a merchant."""


@key.command("add")
@click.argument("merchant_id", metavar="MERCHANT")
@SCOPE_OPTION
@click.option("--label", default="", help="What the key is for.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings,
    help="A setting of the key that a protocol reads, such as location=BLR-01; repeatable.",
)
@click.option("--signing", is_flag=True, help="An access key that signs requests: its id and its secret.")
@click.option("--session", is_flag=True, help="The same with a session token, as temporary credentials have.")
@click.option("--quiet", is_flag=True, help="Print the key and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON.")
@with_settings
def add_key(*, config: "Config", merchant_id: str, scopes: tuple[str, ...], label: str, settings: dict[str, str],
            signing: bool, session: bool, quiet: bool, as_json: bool) -> None:
    """Make a key and print it, this once.

    An access key is printed as the variables that clients of AWS take it from.

    \b
    Examples:
      goodsgate merchant key add brightware --scope read --label dashboard
      goodsgate merchant key add brightware --set location=BLR-01
      eval "$(goodsgate merchant key add brightware --signing --quiet)"
    """
    _check_settings(settings, owner="key")
    store = open_store(config)
    try:
        if signing or session:
            made = make_access_key(
                store, config, merchant_id, scopes=scopes, label=label, settings=settings, session=session
            )
            _print_access_key(merchant_id, made, as_json=as_json)
            return
        secret = make_key(store, merchant_id, scopes=scopes, label=label, settings=settings)
    finally:
        store.close()
    _print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@key.command("list")
@click.argument("merchant_id", metavar="MERCHANT")
@with_settings
def list_keys(*, config: "Config", merchant_id: str) -> None:
    """List the keys of a merchant, one a line: id, scopes, valid or revoked, label, settings.

    \b
    Example:
      goodsgate merchant key list brightware
    """
    store = open_store(config)
    try:
        for row in store.keys(merchant_id):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "valid"
            settings = " ".join(f"{name}={text}" for name, text in sorted(row.settings.items()))
            click.echo(f"{row.id}\t{','.join(sorted(row.scopes))}\t{state}\t{row.label}\t{settings}".rstrip("\t"))
    finally:
        store.close()


@key.command()
@click.argument("merchant_id", metavar="MERCHANT")
@click.argument("key_id", metavar="KEY-ID")
@with_settings
def revoke(*, config: "Config", merchant_id: str, key_id: str) -> None:
    """Revoke a key; a running gate refuses it within a second.

    \b
    Example:
      goodsgate merchant key revoke brightware 3f9a1c0b77de
    """
    store = open_store(config)
    try:
        if not store.revoke_key(merchant_id, key_id):
            raise CommandError(f"{merchant_id} has no key {key_id}")
    finally:
        store.close()
    click.echo(f"Revoked {key_id}.")


def _check_settings(settings: dict[str, str], *, owner: str) -> None:
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


def make_merchant(store: "Store", merchant_id: str, *, name: str) -> None:
    """Add a merchant; raises Unusable if the id is not one or is taken."""
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    if not MERCHANT_ID.fullmatch(merchant_id):
        raise CommandError(f"{merchant_id!r} is not a merchant id: 1 to 64 of a-z, 0-9, - and _")
    if not store.add_merchant(Merchant(id=merchant_id, name=name or merchant_id, created_at=now())):
        raise CommandError(f"merchant {merchant_id} already exists; to add a key: merchant key add {merchant_id}")


def make_key(store: "Store", merchant_id: str, *, scopes: "Iterable[str | Scope]", label: str,
             settings: dict[str, str] | None = None) -> str:
    """Make a key and give back its secret; raises Unusable if there is no such merchant."""
    from goodsgate.auth import new_key
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    made, secret = new_key(merchant_id, [Scope(scope) for scope in scopes], label=label, settings=settings)
    try:
        store.add_key(made)
    except StoreError as fault:
        raise CommandError(f"there is no merchant {merchant_id}") from fault
    return secret


def make_access_key(store: "Store", config: "Config", merchant_id: str, *, scopes: "Iterable[str]", label: str,
                    settings: dict[str, str], session: bool) -> "AccessKey":
    """Make a key that signs; raises Unusable if there is no such merchant."""
    from goodsgate import app
    from goodsgate.auth import new_access_key
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    wanted = [Scope(scope) for scope in scopes]
    key, made = new_access_key(
        merchant_id, wanted, app.create_secrets(store, config), label=label, settings=settings, session=session
    )
    try:
        store.add_key(key)
    except StoreError as fault:
        raise CommandError(f"there is no merchant {merchant_id}") from fault
    return made


def _print_access_key(merchant_id: str, made: "AccessKey", *, as_json: bool) -> None:
    parts = {"AWS_ACCESS_KEY_ID": made.id, "AWS_SECRET_ACCESS_KEY": made.secret}
    if made.token is not None:
        parts["AWS_SESSION_TOKEN"] = made.token
    if as_json:
        click.echo(json.dumps({"merchant": merchant_id, **parts}))
        return
    for name, text in parts.items():
        click.echo(f"export {name}={text}")


def _print_key(merchant_id: str, secret: str, *, quiet: bool, as_json: bool) -> None:
    click.echo(json.dumps({"merchant": merchant_id, "key": secret}) if as_json else secret)
    if not quiet and not as_json:
        click.echo("The key will not be shown again. To use it: export GOODSGATE_KEY=…", err=True)
