"""What the text of a statement shows, for the statements of every store."""

import re

TOLD = re.compile(r"^-- Every merchant: .{10,}$", re.M)
"""Why a statement speaks of all merchants."""
CALL = r'\.(?:change|change_each|insert_rows|first|value|rows|each|query|run)\(\s*"(\w+)"'
"""A statement that the code runs by its name."""
DIFFERS = re.compile(r"^-- Differs because .{10,}$", re.M)
"""Why a store's statement, or its place, is not the other one's."""


def code(statement: str) -> str:
    """Without its comments."""
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--"))


def is_bound(statement: str) -> bool:
    """Whether it is held to one merchant: compares the column with what is given, or inserts it."""
    text = code(statement)
    if re.search(r"\bINSERT INTO \w+ \([^)]*\bmerchant\b", text):
        return True
    if re.search(r"(FROM|UPDATE) merchant\b", text):
        return bool(re.search(r"\b(id|number) = :(id|merchant)\b", text))
    return bool(re.search(r"\bmerchant = (:merchant|\?\d)", text))
