"""Rules for the names of streams."""

import unicodedata

CHARACTERS_MIN = 3
CHARACTERS_MAX = 255
BLANKS = " \t\n\v\f\r"


def check_name(name: object) -> str | None:
    """Return what is wrong with a name; None if it is valid.

    Published as ``^[\\p{N}\\p{L}]+([\\s\\-_]?[\\p{N}\\p{L}])*$`` with a length of 3 to 255.
    """
    if not isinstance(name, str):
        return "The attribute name must be a text."
    if not CHARACTERS_MIN <= len(name) <= CHARACTERS_MAX:
        return f"The attribute name must have {CHARACTERS_MIN} to {CHARACTERS_MAX} characters."
    classes = [_character_class(character) for character in name]
    if "?" in classes:
        return "The attribute name may hold letters, digits, blanks, hyphens and underscores only."
    if classes[0] == "-" or classes[-1] == "-":
        return "The attribute name must begin and end with a letter or a digit."
    if "--" in "".join(classes):
        return "Between two words of the attribute name one blank, hyphen or underscore may stand."
    return None


def _character_class(character: str) -> str:
    """Return `a` for a letter or digit, `-` for a separator, `?` for any other character."""
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "a"
    return "-" if character in "-_" or character in BLANKS or category == "Zs" else "?"
