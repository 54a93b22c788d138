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
    from goodsgate.auth import AccessKey
    from goodsgate.config import Config
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import Store

SCOPES = ("submit", "read", "admin")
MERCHANT_ID = re.compile(r"[a-z0-9_-]{1,64}")
SCOPE_OPTION = click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=("submit", "read"), show_default=True,
    help="Scope of the key; admin includes the others and all merchants. Repeatable.",
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
    """Add merchants, and add, list and revoke their keys.

    These commands use the store directly; the gate need not be running.
    """


@merchant.command()
@click.argument("merchant_id", metavar="ID")
@click.option("--name", default="", help="Display name. Default: the id.")
@SCOPE_OPTION
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings,
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

    _check_settings(settings, owner="merchant")
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
    _print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@merchant.command("set")
@click.argument("merchant_id", metavar="ID")
@click.argument("settings", metavar="NAME=VALUE...", nargs=-1, callback=_settings)
@json_option
@with_settings
def set_settings(*, config: "Config", merchant_id: str, settings: dict[str, str], as_json: bool) -> None:
    """Change protocol settings of a merchant and print all of them. NAME= removes a setting.

    \b
    Examples:
      goodsgate merchant set brightware queue=arn:aws:sqs:eu-west-1:123456789012:catalog
      goodsgate merchant set brightware queue=
    """
    from goodsgate.engine.merchant_documents import merchant_settings, put_merchant_settings
    from goodsgate.store.contract import StoreError

    _check_settings(settings, owner="merchant")
    store = open_current_store(config)
    try:
        current = (
            put_merchant_settings(store, merchant_id, settings) if settings else merchant_settings(store, merchant_id)
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


@merchant.group()
def key() -> None:
    """Add, list and revoke the keys of a merchant."""


@key.command("add")
@click.argument("merchant_id", metavar="MERCHANT")
@SCOPE_OPTION
@click.option("--label", default="", help="Label, e.g. who or what uses the key.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_settings,
    help="Protocol setting of the key, e.g. location=BLR-01. Repeatable.",
)
@click.option("--signing", is_flag=True, help="Create an access key for signed requests: an id and a secret.")
@click.option("--session", is_flag=True, help="Like --signing, with a session token as in temporary credentials.")
@click.option("--quiet", is_flag=True, help="Print only the key.")
@click.option("--json", "as_json", is_flag=True, help="Print merchant and key as JSON.")
@with_settings
def add_key(*, config: "Config", merchant_id: str, scopes: tuple[str, ...], label: str, settings: dict[str, str],
            signing: bool, session: bool, quiet: bool, as_json: bool) -> None:
    """Add a key and print it. It will not be shown again.

    An access key is printed as the environment variables that AWS clients read.

    \b
    Examples:
      goodsgate merchant key add brightware --scope read --label dashboard
      goodsgate merchant key add brightware --set location=BLR-01
      eval "$(goodsgate merchant key add brightware --signing --quiet)"
    """
    _check_settings(settings, owner="key")
    store = open_current_store(config)
    try:
        if signing or session:
            access_key = create_access_key(
                store, config, merchant_id, scopes=scopes, label=label, settings=settings, session=session
            )
            _print_access_key(merchant_id, access_key, as_json=as_json)
            return
        secret = create_key(store, merchant_id, scopes=scopes, label=label, settings=settings)
    finally:
        store.close()
    _print_key(merchant_id, secret, quiet=quiet, as_json=as_json)


@key.command("list")
@click.argument("merchant_id", metavar="MERCHANT")
@json_option
@with_settings
def list_keys(*, config: "Config", merchant_id: str, as_json: bool) -> None:
    """List the keys of a merchant, one per line: id, scopes, state, label, settings.

    \b
    Example:
      goodsgate merchant key list brightware
    """
    store = open_current_store(config)
    try:
        for row in store.keys(merchant_id):
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "valid"
            settings = " ".join(f"{name}={text}" for name, text in sorted(row.settings.items()))
            scopes = sorted(row.scopes)
            document = {
                "id": row.id, "scopes": scopes, "revoked_at": row.revoked_at, "label": row.label,
                "settings": row.settings,
            }
            text = f"{row.id}\t{','.join(scopes)}\t{state}\t{row.label}\t{settings}".rstrip("\t")
            print_line(text, document, as_json=as_json)
    finally:
        store.close()


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
    store = open_current_store(config)
    try:
        if not store.revoke_key(merchant_id, key_id):
            raise CommandError(f"{merchant_id} has no key {key_id}")
    finally:
        store.close()
    print_line(f"Revoked {key_id}.", {"merchant": merchant_id, "key": key_id, "revoked": True}, as_json=as_json)


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


def create_merchant(store: "Store", merchant_id: str, *, name: str) -> None:
    """Add a merchant; raises CommandError if the id is invalid or taken."""
    from goodsgate.model.batch import now
    from goodsgate.model.catalogue import Merchant

    if not MERCHANT_ID.fullmatch(merchant_id):
        raise CommandError(f"{merchant_id!r} is not a merchant id (1 to 64 characters of a-z, 0-9, - and _)")
    if not store.add_merchant(Merchant(id=merchant_id, name=name or merchant_id, created_at=now())):
        raise CommandError(f"merchant {merchant_id} already exists; to add a key: merchant key add {merchant_id}")


def create_key(store: "Store", merchant_id: str, *, scopes: "Iterable[str | Scope]", label: str,
               settings: dict[str, str] | None = None, seed: bytes | None = None) -> str:
    """Create a key and return its secret; raises CommandError if the merchant does not exist."""
    from goodsgate.auth import new_key
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    key, secret = new_key(merchant_id, [Scope(scope) for scope in scopes], label=label, settings=settings, seed=seed)
    try:
        store.add_key(key)
    except StoreError as error:
        raise CommandError(f"there is no merchant {merchant_id}") from error
    return secret


def create_access_key(store: "Store", config: "Config", merchant_id: str, *, scopes: "Iterable[str]", label: str,
                    settings: dict[str, str], session: bool) -> "AccessKey":
    """Create an access key for signed requests; raises CommandError if the merchant does not exist."""
    from goodsgate import app
    from goodsgate.auth import new_access_key
    from goodsgate.model.catalogue import Scope
    from goodsgate.store.contract import StoreError

    wanted = [Scope(scope) for scope in scopes]
    key, access_key = new_access_key(
        merchant_id, wanted, app.create_secrets(store, config), label=label, settings=settings, session=session
    )
    try:
        store.add_key(key)
    except StoreError as error:
        raise CommandError(f"there is no merchant {merchant_id}") from error
    return access_key


def _print_access_key(merchant_id: str, access_key: "AccessKey", *, as_json: bool) -> None:
    parts = {"AWS_ACCESS_KEY_ID": access_key.id, "AWS_SECRET_ACCESS_KEY": access_key.secret}
    if access_key.token is not None:
        parts["AWS_SESSION_TOKEN"] = access_key.token
    if as_json:
        click.echo(json.dumps({"merchant": merchant_id, **parts}))
        return
    for name, text in parts.items():
        click.echo(f"export {name}={text}")


def _print_key(merchant_id: str, secret: str, *, quiet: bool, as_json: bool) -> None:
    click.echo(json.dumps({"merchant": merchant_id, "key": secret}) if as_json else secret)
    if not quiet and not as_json:
        click.echo("The key will not be shown again. To use it: export GOODSGATE_KEY=…", err=True)
