"""Exit codes that a script can rely on, and the errors that end a command with them."""

from enum import IntEnum

import click


class ExitCode(IntEnum):
    """Exit codes of every command, documented in ``docs/reference/cli.md`` (tested)."""

    CLEAN = 0
    """Success; every record was accepted."""
    REJECTED = 1
    """The batch ended with rejected records, or a check found errors."""
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
    INTERRUPTED = 130
    """Ctrl-C; the gate continues with what it has accepted."""


class CommandError(click.ClickException):
    """A setting, file or argument that cannot be used."""

    exit_code = ExitCode.USAGE


class UnreachableError(click.ClickException):
    """No gate answers at the address."""

    exit_code = ExitCode.UNREACHABLE


class RefusedError(click.ClickException):
    """A refusal of the gate as one line; `code` is its machine-readable name."""

    exit_code = ExitCode.REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
