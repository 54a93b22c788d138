"""The delimiter of a text table: named in the submission, named in the file, or detected by its first rows."""

import csv
import re
from collections import Counter

from goodsgate.formats.contract import UnknownDelimiterError

DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
DELIMITERS = "".join(DELIMITER_NAMES)
"""In order of preference if several are equally probable."""
SAMPLE_ROWS = 25
UNCERTAIN = 0.5
"""Confidence if another delimiter fits as well."""

QUOTED = re.compile(r'"[^"]*"?')
_DIRECTIVE = re.compile(r'\s*"? *sep *= *(?:"(?P<quoted>.)"|(?P<plain>.)) *"?[,;|\s]*', re.IGNORECASE)


def delimiter_name(delimiter: str) -> str:
    """Return the name of a delimiter, or the character itself."""
    return DELIMITER_NAMES.get(delimiter, delimiter)


def find_delimiter(name: str) -> str:
    """Return the delimiter for a character or one of the names. Raises UnknownDelimiterError."""
    by_name = {name: sign for sign, name in DELIMITER_NAMES.items()} | {"space": " ", "\\t": "\t"}
    found = by_name.get(name.strip().lower(), name)
    if len(found) != 1 or found in '"\r\n\0' or found.isalnum():
        names = ", ".join(DELIMITER_NAMES.values())
        raise UnknownDelimiterError(f"Unsupported delimiter {name!r}; expected {names} or a single character.")
    return found


def directed_delimiter(line: str) -> str | None:
    """Return the delimiter that a line such as ``sep=;`` names, which spreadsheet programs write above a header.

    Case, blanks, quotation marks and delimiters behind it do not matter. None if it is another line.
    """
    found = _DIRECTIVE.fullmatch(line)
    return (found["quoted"] or found["plain"]) if found else None


def delimiter_of(line: str) -> str:
    """Return the most frequent delimiter outside quotation marks in a header line; a comma if there is none."""
    bare = QUOTED.sub("", line)
    return max(DELIMITERS, key=bare.count)


def detect_delimiter(text: str, *, is_whole: bool = True) -> tuple[str, float]:
    """Return the delimiter of a table by the consistency of its first rows, and the confidence.

    The delimiter that cuts most rows into the same number of cells counts; of several, the one that cuts them into the
    most. `text` is the beginning of the file; unless it is whole, its last line may be cut off.
    """
    lines = [line for line in text.splitlines() if line.strip(" \t" + DELIMITERS)]
    if not is_whole and len(lines) > 1:
        lines.pop()
    if lines and lines[0].startswith('"') and not any(map(QUOTED.sub("", lines[0]).count, DELIMITERS)):
        return ",", UNCERTAIN  # a header of one quoted name
    scores = {delimiter: _consistency(lines, delimiter) for delimiter in DELIMITERS}
    best = max(scores.values())
    if best[0] == 0:
        return ",", 1.0 if lines else UNCERTAIN
    several = [delimiter for delimiter, score in scores.items() if score == best]
    rivals = [score for score in scores.values() if score[0] == best[0]]
    delimiter = several[0] if len(several) == 1 else max(several, key=QUOTED.sub("", lines[0]).count)
    return delimiter, round(best[0], 2) if len(rivals) == 1 else UNCERTAIN


def _consistency(lines: list[str], delimiter: str) -> tuple[float, int]:
    """Return the share of rows with the most frequent number of cells, and that number; (0, 0) if it is one."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    widths: Counter[int] = Counter()
    for _ in range(SAMPLE_ROWS):
        try:
            widths[len(next(reader))] += 1
        except StopIteration:
            break
        except csv.Error:  # what follows a quoted text is not the delimiter
            widths[0] += 1
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return (count / widths.total(), width) if width > 1 else (0.0, 0)
