"""Options of the commands that open the store themselves."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.errors import CommandError

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import Store


SOURCES = "goodsgate.sources"
"""Key of click's context under which the sources of the settings are stored."""


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config and --store to a command and pass it the settings as `config`.

    Options of the command that are named like a setting override file and environment.
    """

    @click.option(
        "--config", "file", type=click.Path(path_type=Path, dir_okay=False),
        help="Settings file (TOML). Default: $GOODSGATE_CONFIG, else ./goodsgate.toml if it exists.",
    )
    @click.option(
        "--store", metavar="FOLDER",
        help="Data folder, or a postgresql:// address. If it contains a password, use $GOODSGATE_STORE instead. "
        "Default: goodsgate-data.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, file: Path | None, store: str | None, **options: Any) -> Any:
        from goodsgate.config import Config, ConfigError, load_with_sources

        overrides = {name: options.pop(name) for name in list(options) if name in Config.__struct_fields__}
        try:
            loaded = load_with_sources(file, store=store, **overrides)
        except ConfigError as error:
            raise CommandError(str(error)) from error
        click.get_current_context().meta[SOURCES] = loaded.sources
        return command(*args, config=loaded.config, **options)

    return wrapped


def open_store(config: "Config", *, migrate: bool = True) -> "Store":
    """Open the store of the settings and bring its schema up to date; raises CommandError."""
    from goodsgate import app
    from goodsgate.store.contract import StoreError

    try:
        store = app.open_store(config)
        if migrate:
            store.migrate()
        return store
    except (OSError, StoreError) as error:
        raise store_error(config, "cannot be opened", error) from error


def open_current_store(config: "Config", *, create: bool = False) -> "Store":
    """Open a store whose schema is current, and never change the schema; `create` creates a store that does not exist.

    Raises CommandError.
    """
    from goodsgate.store.contract import StoreError

    store = open_store(config, migrate=False)
    try:
        if create and store.is_new():
            store.migrate()
        else:
            store.require_current()
        return store
    except (OSError, StoreError) as error:
        store.close()
        raise store_error(config, "cannot be opened", error) from error


def store_error(config: "Config", problem: str, error: Exception) -> CommandError:
    """Return a one-line error about the store, without the password of its address."""
    from goodsgate.cli.masking import without_password, without_secrets

    reason = without_secrets(str(error), address=config.store)
    return CommandError(f"the store {without_password(config.store)} {problem}: {reason}")
