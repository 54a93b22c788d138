"""Legacy charsets are detected, or refused; never is one text taken for another."""

import random
from collections import Counter
from pathlib import Path

import pytest

from goodsgate.formats.charset_detection import detect_encoding
from tests.formats.helpers import read

CHARSETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("de", "fr", "es", "it", "pt", "sv"), ("cp1252", "iso8859-15", "mac-roman", "cp850")),
    **dict.fromkeys(("cs", "sk", "sl", "hu", "pl", "hr"), ("cp1250", "iso8859-2", "cp852")),
    "ro": ("cp1250",), "tr": ("cp1254",), "lt": ("cp1257",),
    "ru": ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic"), "uk": ("cp1251", "koi8-u"), "bg": ("cp1251",),
    "el": ("cp1253", "iso8859-7"), "he": ("cp1255",), "ja": ("cp932", "euc_jp"), "zh": ("gb18030",),
    "zh-tw": ("big5",), "ko": ("cp949",),
}
"""Language → charsets that can write its titles, perhaps without some letters."""
CEDILLAS = str.maketrans("ȘșȚț", "ŞşŢţ")
"""What Romanian is written with in Windows-1250."""


def titles() -> dict[str, list[str]]:
    """Titles by language."""
    found: dict[str, str] = {}
    name = ""
    for line in (Path(__file__).parent / "languages.txt").read_text("utf-8").splitlines()[1:]:
        if not line.startswith(" "):
            name, _, line = line.partition(": ")
        found[name] = f"{found.get(name, '')} {line.strip()}"
    return {name: [title.strip() for title in text.split("|")] for name, text in found.items()}


def table(rows: list[str], encoding: str) -> tuple[str, bytes]:
    """The text of a file with these titles as far as the charset can write it, and its bytes."""
    lines = (f"A-{number},{title.replace(',', ' ')},{number}.90,EUR\n" for number, title in enumerate(rows))
    data = ("sku,title,price,currency\n" + "".join(lines)).encode(encoding, "replace")
    return data.decode(encoding), data


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 20])
def test_files_in_many_languages_and_charsets_are_read_right_or_refused(count: int) -> None:
    """However short they are; of longer ones nearly all are read."""
    outcomes: Counter[str] = Counter()
    for language, texts in titles().items():
        for encoding in CHARSETS[language]:
            shuffle = random.Random(f"{language} {encoding} {count}")
            for _ in range(4 if count < 20 else 1):
                rows = [text.translate(CEDILLAS) if language == "ro" else text for text in shuffle.sample(texts, count)]
                text, data = table(rows, encoding)
                if data.isascii():
                    continue
                found = detect_encoding(data)
                if found.encoding is None:
                    outcomes["refused"] += 1
                else:
                    assert data.decode(found.encoding) == text, (language, encoding, found)
                    outcomes["right"] += 1
    assert outcomes["right"] >= {1: 0.35, 2: 0.6, 3: 0.7, 5: 0.85}.get(count, 0.95) * outcomes.total()


def test_neighbouring_languages_in_one_file_are_read() -> None:
    """Czech and Hungarian, German and French; Czech and French fit into no charset."""
    known = titles()
    for languages, encoding in ((("cs", "hu"), "cp1250"), (("de", "fr"), "cp1252")):
        text, data = table([title for name in languages for title in known[name]], encoding)
        found = detect_encoding(data)
        assert found.encoding is not None
        assert data.decode(found.encoding) == text


def test_what_is_not_certain_is_not_applied() -> None:
    """The issue names the candidates; records before the first letter beyond ASCII are dropped as well."""
    data = "sku,title\nA,Cup\nB,T\xe8\n".encode("latin-1")
    found = read(data, "csv")
    assert (found.records, found.refused, len(found.notices)) == ([], "encoding_uncertain", 1)
    assert "Windows-1252" in found.reader.notices[0].message
    assert "`encoding`" in found.reader.notices[0].message
    assert read(data, "csv", encoding="cp1252").records == [["A", "Cup"], ["B", "Tè"]]
    noise = bytes(range(128, 256)) + b",x\n"
    assert read(b"sku,title\n" + noise * 3, "csv").refused == "encoding_uncertain"


def test_a_detected_charset_is_a_decision_with_a_confidence() -> None:
    """And a notice."""
    found = read(table(titles()["cs"], "cp1250")[1], "csv")
    assert found.notices == [("encoding_guessed", "Windows-1250")]
    (decision,) = (each for each in found.reader.decisions if each.what == "encoding")
    assert (decision.value, decision.how) == ("Windows-1250", "detected")
    assert 0.7 <= (decision.confidence or 0) <= 1


def test_json_is_utf8_and_nothing_else() -> None:
    """A record with other bytes is rejected, whatever they might be (RFC 8259, section 8.1)."""
    lines = [f'{{"title":"{title}"}}'.encode("cp1252") for title in titles()["de"]]
    found = read(b"\n".join(lines), "ndjson")
    assert set(found.unreadable.values()) == {"encoding_broken"}
    assert len(found.unreadable) == sum(not line.isascii() for line in lines)
    assert (found.notices, found.reader.charset) == ([], "UTF-8")
    assert len(read(b"[" + b",".join(lines) + b"]", "json").unreadable) == len(found.unreadable)


def test_a_fix_is_read_in_the_charset_of_its_batch_unless_it_is_utf8() -> None:
    """Nothing is uncertain then."""
    data = "sku,title\nB,T\xe8\n".encode("latin-1")
    options = {"fallback_encoding": "cp1250"}
    assert read(data, "csv", options=options).records == [["B", "Tč"]]
    assert read("sku,title\nB,Tè\n".encode(), "csv", options=options).records == [["B", "Tè"]]
