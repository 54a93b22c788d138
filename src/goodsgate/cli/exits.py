"""How a command ends: exit codes that a script can use, and the errors that carry them."""

from enum import IntEnum

import click


class Exit(IntEnum):
    """Exit codes of every command; documented in ``docs/reference/cli.md`` (tested)."""

    CLEAN = 0
    """All went well; every record was accepted."""
    REJECTED = 1
    """The batch has ended and some or all of its records were rejected; or a check found errors."""
    USAGE = 2
    """The command was called wrongly, or a setting or a file is not usable."""
    REFUSED = 3
    """The gate refused the request as a whole."""
    UNREACHABLE = 4
    """The gate could not be reached, or the connection stayed lost."""
    UNFINISHED = 5
    """The batch was cancelled or broke off."""
    WITHHELD = 6
    """The deletions of a full feed are more than its share and wait to be confirmed."""
    UNSOUND = 7
    """`doctor` found something that has to be mended, or `backup` a payload that the store has lost."""
    INTERRUPTED = 130
    """Ctrl-C; what the gate has accepted goes on."""


class Unusable(click.ClickException):
    """A setting, a file or an argument that cannot be used."""

    exit_code = Exit.USAGE


class Unreachable(click.ClickException):
    """Nobody answers at the address."""

    exit_code = Exit.UNREACHABLE


class Refused(click.ClickException):
    """The gate's refusal, worded in one line; `code` is its machine-readable name."""

    exit_code = Exit.REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
