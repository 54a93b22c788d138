"""The known name that an unknown one may stand for."""

from collections.abc import Iterable

SIMILARITY_MIN = 60
"""Percentage of similarity from which one of the gate's own names is suggested."""


def nearest_name(name: str, known: Iterable[str], *, similarity_min: float = SIMILARITY_MIN) -> str | None:
    """Return the known name that is spelled most alike; None if none is that similar (0 to 100)."""
    from rapidfuzz import fuzz, process  # only when something is wrong

    near = process.extractOne(name, [*known], scorer=fuzz.ratio, score_cutoff=similarity_min)
    return near[0] if near is not None else None
