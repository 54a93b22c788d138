"""Counted nouns in texts for people."""


def counted(count: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun, or noun and verb: `1 record`, `2,000 records`.

    `one` is the singular; without `many`, the plural is the singular with an s.
    """
    number = f"{count:,.1f}".removesuffix(".0")
    return f"{number} {one if count == 1 else many or f'{one}s'}"
