"""Options of the commands that open the store themselves."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.exits import Unusable

if TYPE_CHECKING:
    from goodsgate.config import Config
    from goodsgate.store.contract import Store


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --config and --store and hand it the settings as `config`.

    Options of the command that are named like a setting win over file and environment.
    """

    @click.option(
        "--config", "file", type=click.Path(path_type=Path, dir_okay=False),
        help="Settings file (TOML). Default: $GOODSGATE_CONFIG, else ./goodsgate.toml if it is there.",
    )
    @click.option(
        "--store", metavar="FOLDER",
        help="Where the gate keeps its data: a folder, or a postgresql:// address (better in $GOODSGATE_STORE if it "
        "holds a password). Default: goodsgate-data.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, file: Path | None, store: str | None, **options: Any) -> Any:
        from goodsgate.config import Config, ConfigError, load

        named = {name: options.pop(name) for name in list(options) if name in Config.__struct_fields__}
        try:
            config = load(file, store=store, **named)
        except ConfigError as fault:
            raise Unusable(str(fault)) from fault
        return command(*args, config=config, **options)

    return wrapped


def open_store(config: "Config", *, migrate: bool = True) -> "Store":
    """The store of the settings, its schema up to date; one clear line where it cannot be opened."""
    from goodsgate import app
    from goodsgate.store.contract import StoreError

    try:
        store = app.open_store(config)
        if migrate:
            store.migrate()
        return store
    except (OSError, StoreError) as fault:
        raise unusable(config, "cannot be opened", fault) from fault


def unusable(config: "Config", what: str, fault: Exception) -> Unusable:
    """One line about the store, without the password of its address."""
    from goodsgate.config import without_password, without_secrets

    told = without_secrets(str(fault), address=config.store)
    return Unusable(f"the store {without_password(config.store)} {what}: {told}")
