"""The client of commands that talk to a running gate: where the gate is, and which key to use."""

import functools
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from goodsgate import __version__
from goodsgate.cli.errors import CommandError, ExitCode, command_errors

DEFAULT_URL = "http://127.0.0.1:8480"
USER_AGENT = f"goodsgate/{__version__}"
FIRST_CONTACT_SECONDS = 3.0
"""Retry timeout until the gate has answered once: a wrong address should be reported soon."""

Document = dict[str, Any]


def settings_file() -> Path:
    """Return the path of the user's settings file, which holds ``url``, ``key`` and ``ca``."""
    return Path(click.get_app_dir("goodsgate")) / "client.toml"


def with_client(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the connection to a command and pass it a `Client` as `client`."""

    @click.option("--url", envvar="GOODSGATE_URL", help=f"Address of the gate. Default: {DEFAULT_URL}.")
    @click.option("--key", envvar="GOODSGATE_KEY", help="API key. Safer: $GOODSGATE_KEY or the settings file.")
    @click.option(
        "--ca", envvar="GOODSGATE_CA", metavar="FILE",
        help="CA certificates to trust (PEM). Default: $SSL_CERT_FILE, else those of the system.",
    )
    @click.option("--act-for", metavar="MERCHANT", help="Merchant to act for; needs an admin key.")
    @click.option(
        "--retry-timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS",
        help="How long lost connections and temporary failures are retried.",
    )
    @functools.wraps(command)
    def wrapped(
        *args: Any, url: str | None, key: str | None, ca: str | None, act_for: str | None, retry_timeout: float,
        **options: Any,
    ) -> Any:
        _check_variables()
        saved = _read_settings()
        from goodsgate_client import Client

        try:
            with command_errors(), Client(
                url or saved.get("url", DEFAULT_URL), key or saved.get("key"), act_for=act_for,
                ca=ca or saved.get("ca"), retry_seconds=retry_timeout, first_contact_seconds=FIRST_CONTACT_SECONDS,
                user_agent=USER_AGENT,
            ) as client:
                return command(*args, client=client, **options)
        except KeyboardInterrupt:
            click.echo("Interrupted. The gate continues with everything it has accepted.", err=True)
            sys.exit(ExitCode.INTERRUPTED)

    return wrapped


def _check_variables() -> None:
    from goodsgate.config import unknown_variables

    problems = unknown_variables(os.environ)
    if problems:
        raise CommandError("\n".join(problems))


def _read_settings() -> dict[str, str]:
    file = settings_file()
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from error
