"""What a stream may be called."""

import unicodedata

CHARACTERS_MIN = 3
CHARACTERS_MAX = 255
BLANKS = " \t\n\v\f\r"


def why_not(name: object) -> str | None:
    """What is wrong with a name, in words; None if nothing is.

    Published as ``^[\\p{N}\\p{L}]+([\\s\\-_]?[\\p{N}\\p{L}])*$`` and a length of 3 to 255.
    """
    if not isinstance(name, str):
        return "The attribute name must be a text."
    if not CHARACTERS_MIN <= len(name) <= CHARACTERS_MAX:
        return f"The attribute name must have {CHARACTERS_MIN} to {CHARACTERS_MAX} characters."
    kinds = [_kind(character) for character in name]
    if "?" in kinds:
        return "The attribute name may hold letters, digits, blanks, hyphens and underscores only."
    if kinds[0] == "-" or kinds[-1] == "-":
        return "The attribute name must begin and end with a letter or a digit."
    if "--" in "".join(kinds):
        return "Between two words of the attribute name one blank, hyphen or underscore may stand."
    return None


def _kind(character: str) -> str:
    """A letter or digit, what may stand between two of them, or neither."""
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "a"
    return "-" if character in "-_" or character in BLANKS or category == "Zs" else "?"
