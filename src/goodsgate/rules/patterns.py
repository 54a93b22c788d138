"""Regular expressions that come from merchants.

Python's own matcher backtracks, so that a short expression can keep a worker busy for years. RE2 takes time linear in
the text, for every expression it accepts; it has no look-around and no back references. Its character classes (``\\d``,
``\\w``, ``\\s``, ``\\b``) mean ASCII, and ``$`` is the end of the text.
"""

from collections.abc import Callable
from functools import lru_cache

import re2  # type: ignore[import-untyped]  # it has no types

PATTERN_CHARACTERS_MAX = 500
MEMORY_BYTES_MAX = 1024 * 1024
"""Memory of one compiled expression, including what it needs while it matches."""
COMPILED_PATTERNS_MAX = 1_024


class PatternError(ValueError):
    """An expression cannot be used; the message says why."""


class Pattern:
    """A compiled regular expression."""

    def __init__(self, expression: str) -> None:
        options = re2.Options()
        options.max_mem = MEMORY_BYTES_MAX
        options.log_errors = False
        try:
            self._compiled = re2.compile(expression, options)
        except UnicodeEncodeError as error:
            raise PatternError("the expression is not valid Unicode") from error
        except re2.error as error:
            reason = error.args[0]
            raise PatternError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason) from error

    @property
    def size(self) -> int:
        """Number of instructions of the compiled expression."""
        return int(self._compiled.programsize)

    def fullmatch(self, text: str) -> bool:
        """Return whether the whole text matches."""
        return self._match(self._compiled.fullmatch, text)

    def search(self, text: str) -> bool:
        """Return whether the expression matches anywhere in the text."""
        return self._match(self._compiled.search, text)

    @staticmethod
    def _match(function: Callable[[str], object], text: str) -> bool:
        try:
            return function(text) is not None
        except UnicodeEncodeError:  # a lone surrogate is no character
            return False


def compile_pattern(expression: str) -> Pattern:
    """Compile a merchant's regular expression; raises PatternError for one that cannot be used."""
    if len(expression) > PATTERN_CHARACTERS_MAX:
        raise PatternError(f"the expression is longer than {PATTERN_CHARACTERS_MAX} characters")
    return _compile(expression)


@lru_cache(COMPILED_PATTERNS_MAX)
def _compile(expression: str) -> Pattern:
    return Pattern(expression)
