"""Detect the legacy charset of a text that is not UTF-8: one that is certain, or none.

`chardet` rates how probable each charset is by the pairs of letters that languages use. Its best guess is wrong for one
short file in ten, so it is not believed alone: a reading counts only if its letters are those of a language, and if no
other reading is nearly as probable. Charsets that give the same text are one reading.
"""

import re
import unicodedata
from itertools import pairwise
from typing import NamedTuple

SAMPLE_BYTES = 64 * 1024
"""Bytes that are looked at; of these, cells with letters beyond ASCII."""
SOUND_SHARE_MIN = 0.8
"""Share of the cells that must be left when those with bytes are dropped that are nothing in most charsets."""
RATIO_MIN = 2.5
"""How many times more probable than any other a reading must be."""
LETTERS_MIN = 3
"""Fewer letters beyond ASCII do not say which of several readings is right."""
IDEOGRAPHS_MIN = 4
SEVERAL_LANGUAGES = 0.1
"""What a reading with letters of several related languages is worth at least."""
ODD_SHARE_MAX = 0.02
"""Share of the words that may be no words, as a sign between two letters makes them."""
UNRATED = 0.5
"""What other charsets are worth, compared with the one that chardet names if it names only one."""
COMMON_SHARE_MIN = 0.7
"""Share of the ideographs of a text that are in the more common half of their charset."""
CANDIDATES_SHOWN = 4

NAMES = {
    **{f"cp{page}": f"Windows-{page}" for page in range(1250, 1259)},
    **{f"iso8859-{part}": f"ISO-8859-{part}" for part in range(1, 17)},
    "cp932": "Shift_JIS", "euc_jp": "EUC-JP", "gb18030": "GB18030", "big5": "Big5", "cp949": "EUC-KR",
    "koi8-r": "KOI8-R", "koi8-u": "KOI8-U", "utf-8": "UTF-8", "utf-16": "UTF-16",
}  # fmt: skip
"""Charset, as Python calls it → the name that people know; others are shown as they are."""

_CODECS = {
    "cp1252": "cp1252", "cp1250": "cp1250", "cp1251": "cp1251", "cp1253": "cp1253", "cp1254": "cp1254",
    "cp1255": "cp1255", "cp1257": "cp1257", "iso8859-2": "iso8859-2", "iso8859-5": "iso8859-5",
    "iso8859-7": "iso8859-7", "iso8859-9": "cp1254", "iso8859-15": "iso8859-15", "koi8-r": "koi8-r",
    "koi8-u": "koi8-u", "cp866": "cp866", "cp850": "cp850", "cp852": "cp852", "mac-roman": "mac-roman",
    "mac-cyrillic": "mac-cyrillic", "cp932": "cp932", "euc_jis_2004": "euc_jp", "gb18030": "gb18030",
    "big5hkscs": "big5", "cp949": "cp949",
}  # fmt: skip
"""Charset as chardet calls it → as Python does, in order of preference among those that give the same text."""

_LATIN = {name: frozenset(letters) for name, letters in {
    "de": "äöüßéàè", "en": "éèïöñçâêôü", "fr": "àâæçéèêëîïôœùûüÿ", "es": "áéíóúüñç", "it": "àèéìíòóùú",
    "pt": "áâãàçéêíóôõúü", "nl": "éëïóöüèêáä", "sv": "åäöéàü", "da": "æøåéäöü", "no": "æøåéòôäöü", "fi": "äöåšžé",
    "is": "áðéíóúýþæö", "ca": "àçéèíïóòúü", "cs": "áčďéěíňóřšťúůýž", "sk": "áäčďéíĺľňóôŕšťúýž", "pl": "ąćęłńóśźż",
    "hu": "áéíóöőúüű", "ro": "ăâîșțşţ", "hr": "čćđšž", "sl": "čšžćđ", "tr": "çğıöşüâîû", "et": "äöõüšž",
    "lv": "āčēģīķļņšūž", "lt": "ąčęėįšųūž",
}.items()}
"""Letters beyond ASCII of languages that are written with Latin letters."""
_RELATED = (
    ("de", "en", "fr", "it", "es", "pt", "nl", "sv", "da", "no", "fi"),
    ("cs", "sk", "pl", "hu", "hr", "sl", "ro", "de"), ("et", "lv", "lt", "pl", "de"),
)
"""Languages that are sold to together."""
_CYRILLIC = {
    "ru": "абвгдежзийклмнопрстуфхцчшщъыьэюяё", "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
    "bg": "абвгдежзийклмнопрстуфхцчшщъьюя", "mk": "абвгдѓежзѕијклљмнњопрстќуфхцчџш",
    "sr": "абвгдђежзијклљмнњопрстћуфхцчџш", "be": "абвгдеёжзійклмнопрстуўфхцчшыьэюя",
}
_ASCII_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz\u0307")
"""And the dot that is left of the capital İ of Turkish in lower case."""
_SIGNS = frozenset("\u00a0«»„“”‘’‚‹›–—…•·°º²³½¼¾±×€£¥§©®™´µØø%‰№¡¿")
_WIDE_SIGNS = frozenset("、。，．：；・ー！？（）「」『』【】〜～〈〉《》々\u3000")
WIDE = {
    "cp932": ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH", "FULLWIDTH", "KATAKANA-HIRAGANA"),
    "euc_jp": ("CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "KATAKANA-HIRAGANA"),
    "gb18030": ("CJK", "FULLWIDTH"), "big5": ("CJK", "FULLWIDTH"), "cp949": ("HANGUL", "FULLWIDTH"),
}
"""Charset of East Asia → first words of the names of its letters."""
_COMMON = {
    "cp932": ("euc_jp", 0xB0, 0xCF), "euc_jp": ("euc_jp", 0xB0, 0xCF), "gb18030": ("gb2312", 0xB0, 0xD7),
    "big5": ("big5", 0xA4, 0xC6),
}
"""Charset → a charset that orders ideographs by how common they are, and the first bytes of the common ones."""

_CELL = re.compile(rb'[^,;\t\r\n"]*[\x80-\xff][^,;\t\r\n"]*')
_NOTHING = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_WORD = re.compile(r"[^\W\d_]+")
_SIGN_IN_WORD = re.compile("[^\\W\\d_][" + re.escape("".join(_SIGNS - set("’´·Øø\u00a0"))) + "][^\\W\\d_]")


class Detection(NamedTuple):
    """What a sample was taken for."""

    encoding: str | None
    """The charset as Python calls it; None if it is not certain."""
    confidence: float
    """Share of the reading in the probability of all readings."""
    candidates: list[str]
    """Names of the most probable charsets, common ones first."""


def detect_encoding(sample: bytes) -> Detection:
    """Return the charset of a sample that is not UTF-8; the same for the same sample."""
    cells = _CELL.findall(sample[:SAMPLE_BYTES])
    readings = _readings(b"\n".join(cells))
    if not readings:  # perhaps some records are damaged
        sound = [cell for cell in cells if not _NOTHING.search(cell)]
        readings = _readings(b"\n".join(sound)) if len(sound) >= SOUND_SHARE_MIN * len(cells) else []
    if not readings:
        return Detection(None, 0.0, [])
    confidence = readings[0].rating / sum(each.rating for each in readings)
    probable = {each.encoding for each in readings if each.rating * RATIO_MIN >= readings[0].rating}
    known = [encoding for encoding in dict.fromkeys(_CODECS.values()) if encoding in probable]
    candidates = [NAMES.get(encoding, encoding) for encoding in known[:CANDIDATES_SHOWN]]
    return Detection(readings[0].encoding if _is_certain(readings) else None, round(confidence, 2), candidates)


def is_plausible(sample: bytes, encoding: str) -> bool:
    """Return whether a sample may be of a charset, by its letters."""
    cells = b"\n".join(_CELL.findall(sample[:SAMPLE_BYTES]))
    return _plausibility(cells.decode(encoding, "replace"), encoding) > 0


class _Reading(NamedTuple):
    rating: float
    encoding: str
    text: str


def _readings(cells: bytes) -> list[_Reading]:
    """Return the different texts that some cells may be, the most probable first."""
    from chardet import detect_all  # loads 40 MB of tables: only when a file needs them

    ratings = {
        _CODECS[str(each["encoding"])]: float(each["confidence"] or 0)
        for each in reversed(detect_all(cells, ignore_threshold=True, compat_names=False, include_encodings=_CODECS))
        if each["encoding"] in _CODECS
    }
    unrated = UNRATED * max(ratings.values()) if len(ratings) == 1 else 0
    found: dict[str, _Reading] = {}
    for encoding in dict.fromkeys(_CODECS.values()):
        try:
            text = cells.decode(encoding)
        except UnicodeDecodeError:
            continue
        rating = ratings.get(encoding, unrated) * _plausibility(text, encoding)
        if rating:
            known = found.get(text, _Reading(0.0, encoding, text))
            found[text] = known._replace(rating=max(known.rating, rating))
    return sorted(found.values(), reverse=True)


def _is_certain(readings: list[_Reading]) -> bool:
    """Return whether no other reading is nearly as probable as the first one."""
    first = readings[0]
    if len(readings) == 1:
        return True
    letters = sum(ord(character) > 127 and character.isalpha() for character in first.text)
    enough = letters >= (IDEOGRAPHS_MIN if first.encoding in WIDE else LETTERS_MIN)
    return enough and first.rating >= RATIO_MIN * readings[1].rating


def _plausibility(text: str, encoding: str) -> float:
    """Return 1 if the letters of a text are those of a language, less if of several, 0 if of none."""
    if any("\x80" <= character <= "\x9f" or "\ue000" <= character <= "\uf8ff" for character in text):
        return 0
    letters = {character for character in text if ord(character) > 127}
    if encoding in WIDE:
        return float(_is_wide_text(text, letters - _WIDE_SIGNS - _SIGNS, encoding))
    letters -= _SIGNS
    scripts = {_script(letter) for letter in letters}
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    odd = len(_SIGN_IN_WORD.findall(text)) + sum(map(_has_odd_capital, words))
    if len(scripts) > 1 or odd > ODD_SHARE_MAX * len(words):
        return 0
    if scripts <= {"LATIN"}:
        return _latin_plausibility(words)
    if any(any(letter.isascii() for letter in word) for word in words):  # two scripts in a word
        return 0
    if scripts == {"CYRILLIC"}:
        lower = {letter.lower() for letter in letters}
        return float(any(lower <= {*alphabet} for alphabet in _CYRILLIC.values()))
    if scripts == {"GREEK"}:
        return float(not any("ς" in word[:-1] for word in words))
    return float(scripts == {"HEBREW"} and not any({*word[:-1]} & {*"ךםןףץ"} for word in words))


def _latin_plausibility(words: list[str]) -> float:
    """Return what words with letters beyond ASCII are worth: less if some are not of the language of the others."""
    found = [{*word.lower()} - _ASCII_LETTERS for word in words]
    letters = set().union(*found)
    if any(letters <= alphabet for alphabet in _LATIN.values()):
        return 1
    strangers = [
        min(sum(not word <= _LATIN[name] for word in found) for name in names)
        for names in _RELATED if letters <= set().union(*(_LATIN[name] for name in names))
    ]
    return max(1 / (1 + min(strangers)), SEVERAL_LANGUAGES) if strangers else 0


def _is_wide_text(text: str, letters: set[str], encoding: str) -> bool:
    """Return whether letters belong to the language of a charset of East Asia, and ideographs are common ones."""
    if any(_script(letter) not in WIDE[encoding] for letter in letters):
        return False
    ideographs = [character for character in text if "\u4e00" <= character <= "\u9fff"]
    if encoding not in _COMMON or not ideographs:
        return True
    codec, first, last = _COMMON[encoding]
    encoded = (character.encode(codec, "ignore") for character in ideographs)
    return sum(len(each) == 2 and first <= each[0] <= last for each in encoded) >= COMMON_SHARE_MIN * len(ideographs)


def _has_odd_capital(word: str) -> bool:
    """Return whether a capital letter follows a small one, and one of them is not ASCII."""
    return any(
        first.islower() and second.isupper() and not (first.isascii() and second.isascii())
        for first, second in pairwise(word)
    )


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]
