"""Extras: packages that an installation has only if it was asked for them, as in ``pip install 'goodsgate[pdf]'``."""

from collections.abc import Iterator
from contextlib import contextmanager


class ExtraMissingError(Exception):
    """An extra is needed and not installed; the message says for what, and how to install it."""


@contextmanager
def needed_extra(extra: str, purpose: str) -> Iterator[None]:
    """Raise ExtraMissingError if an import in the block finds no package. `purpose` is what needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "goodsgate":
            raise
        raise ExtraMissingError(
            f"{purpose} needs the extra {extra}, which is not installed: pip install 'goodsgate[{extra}]'."
        ) from error
