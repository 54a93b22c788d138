"""Exit codes that a script can rely on, and the errors that end a command with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from goodsgate_client import GoodsgateError


class ExitCode(IntEnum):
    """Exit codes of every command, documented in ``docs/reference/cli.md`` (tested)."""

    CLEAN = 0
    """Success; every record was accepted."""
    REJECTED = 1
    """The batch ended with rejected records, a check found errors, a test event did not arrive, or a log is broken."""
    USAGE = 2
    """Wrong usage, or a setting or file that cannot be used."""
    REFUSED = 3
    """The gate refused the whole request."""
    UNREACHABLE = 4
    """The gate could not be reached, or the connection stayed lost."""
    INCOMPLETE = 5
    """The batch was cancelled or broke off."""
    WITHHELD = 6
    """A full feed would delete more than its allowed share; the deletions wait for confirmation."""
    UNHEALTHY = 7
    """`doctor` found a problem, or `backup` a payload that is missing from the store."""
    WAITING = 8
    """No record was rejected, and some wait for what they refer to."""
    HELD = 9
    """Guards hold the batch until somebody approves or discards it."""
    INTERRUPTED = 130
    """Ctrl-C; the gate continues with what it has accepted."""


class CommandError(click.ClickException):
    """A setting, file or argument that cannot be used."""

    exit_code = ExitCode.USAGE


class UnreachableError(click.ClickException):
    """No gate answers at the address."""

    exit_code = ExitCode.UNREACHABLE


class RefusalError(click.ClickException):
    """A refusal of the gate as one line."""

    exit_code = ExitCode.REFUSED


@contextmanager
def command_errors() -> Iterator[None]:
    """Raise errors of the client, and missing extras, as errors of commands with exit codes."""
    from goodsgate.model.extras import ExtraMissingError
    from goodsgate_client import GoodsgateError

    try:
        yield
    except GoodsgateError as error:
        raise command_error(error) from error
    except ExtraMissingError as error:
        raise CommandError(str(error)) from error


def command_error(error: "GoodsgateError") -> click.ClickException:
    """Return the error with which a command ends."""
    import goodsgate_client

    if isinstance(error, goodsgate_client.UnauthorizedError):
        return RefusalError(f"{error.message} Use --key or set GOODSGATE_KEY.")
    if isinstance(error, goodsgate_client.RefusedError):
        return RefusalError(error.message)
    if isinstance(error, goodsgate_client.CertificateError):
        return UnreachableError(error.message.replace("`ca`", "--ca"))
    if isinstance(error, goodsgate_client.UnreachableError):
        return UnreachableError(error.message)
    return CommandError(error.message)
