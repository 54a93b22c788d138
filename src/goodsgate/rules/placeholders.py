"""Words that stand for nothing where a value is expected: errors of spreadsheets, ``NULL``, ``N/A``, a dash."""

from collections.abc import Iterable

_WORDS = (
    "#n/a", "#name?", "#ref!", "#value!", "#div/0!", "#null!", "#num!", "#spill!", "#calc!", "#getting_data", "#field!",
    "#nv", "#wert!", "#bezug!", "#zahl!", "#valeur!", "#nom?", "#nombre?", "#valor!", "#nome?", "#rif!", "#valore!",
    "#n/d", "#waarde!", "#naam?", "#verw!", "#arg!", "#adr!", "#nazwa?", "#err", "#error!",
    "null", "(null)", "<null>", "\\n", "n/a", "n.a.", "nan", "none", "nil", "undefined", "[object object]",
    "-", "--", "—", "–", "?", "k.a.", "n/v",
)
"""In lower case. Errors are those of spreadsheets in English, German, French, Spanish, Italian, Dutch and Polish."""


def spellings(words: Iterable[str]) -> frozenset[str]:
    """Return words in lower case, in capitals and with a first capital."""
    return frozenset(spelling for word in words for spelling in (word, word.upper(), word.capitalize(), word.title()))


PLACEHOLDERS = spellings(_WORDS) | {"NaN", "N/a", "[object Object]", "(Null)"}
