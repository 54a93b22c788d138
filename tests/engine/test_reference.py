"""Reference data is loaded whole or not at all, and every reason is told with its row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.engine.reference_checks import fold_code
from goodsgate.engine.refusal import Refusal
from goodsgate.model.catalogue import ReferenceEntry
from tests.shop import Shop


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop for all files that are refused; the store has no part in that."""
    with Shop(tmp_path_factory.mktemp("reference"), kind="sqlite") as made:
        made.reference("category", ReferenceEntry(code="home"))
        yield made


@pytest.fixture
def shop(tmp_path: Path, kind: str) -> Iterator[Shop]:
    """A shop with two categories."""
    with Shop(tmp_path, kind=kind) as made:
        made.reference("category", ReferenceEntry(code="home"), ReferenceEntry(code="home/cups", parent="home"))
        yield made


def load(shop: Shop, body: bytes, *, kind: str = "category", format: str = "csv", replace: bool = False) -> int:
    """Load a file and return how many entries the kind has now."""
    return shop.engine.load_reference("acme", kind, iter([body]), format=format, replace=replace)


NAMES = "".join(f"Größe {number}\n" for number in range(40)).encode()
REFUSED = [
    ("category", b"code,parent\na,b\nb,c\nc,a\n", [2], "Row 2: The parents form a cycle: a → b → c → a."),
    ("category", b"code,parent\na,a\n", [2], "cycle: a → a"),
    ("department", b"code,parent\na,\nb,nowhere\nc,neither\n", [3, 4], 'Row 3: The parent "nowhere" does not exist.'),
    ("brand", b"code\nA\nB\nA\n", [4], 'The code "A" occurs twice, first in row 2.'),
    ("brand", b"code\nAcme\nACME\n", [3], 'The code "ACME" differs from "Acme" in row 2 only in case'),
    ("brand", "code\nCafé\nCafe\u0301\n".encode(), [3], "Unicode form"),
    ("brand", "code\nA B\nA  B\nA\u200b B\n".encode(), [3, 4], "blanks"),
    ("brand", b"code,name\nA,x,y\n", [2], "header has 2"), ("brand", b"code\nA\nB\x00\n", [3], "NUL"),
    ("brand", b"code\n", [0], "The file contains no records."),
    ("brand", b"code\n" + NAMES + b"Gr\xf6\xdfe\n", [42], "not valid UTF-8"),
    ("attribute", b"code,minimum\n*/a,much\n", [2], "Minimum is not a number"),
]


@pytest.mark.parametrize(("data_kind", "body", "rows", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_file_with_an_error_is_refused_as_a_whole(once, data_kind, body, rows, words):
    """Nothing is added, and nothing is replaced."""
    before = once.store.reference("acme", data_kind).rows
    for replace in (False, True):
        with pytest.raises(Refusal) as refused:
            load(once, body, kind=data_kind, replace=replace)
        assert [entry["place"] for entry in refused.value.details["entries"]] == rows
        assert words in refused.value.detail
    assert once.store.reference("acme", data_kind).rows == before


def test_parents_and_spellings_are_compared_with_what_is_stored(shop):
    """Unless the file replaces it."""
    assert load(shop, b"code,parent\nhome/jugs,home\n") == 3
    for body in (b"code,parent\nHOME,\n", b"code,parent\nhome,home/cups\n"):
        with pytest.raises(Refusal):
            load(shop, body)
    with pytest.raises(Refusal):
        load(shop, b"code,parent\ngarden/pots,home\n", replace=True)
    assert load(shop, b"code,parent\nHOME,\nHOME/pots,HOME\n", replace=True) == 2


def test_numbers_of_entries_are_kept_as_they_are_written(shop):
    """In JSON, and as bounds in cells."""
    load(shop, b'[{"code":"*/a","minimum":1.10,"maximum":123456789012345678901,"x":[1e400]}]', kind="attribute",
         format="json")
    load(shop, b"code,minimum,maximum\n*/b,0.10,007\n", kind="attribute")
    first, second = shop.store.reference("acme", "attribute").rows
    assert [str(first.data[name]) for name in ("minimum", "maximum")] == ["1.10", "123456789012345678901"]
    assert str(first.data["x"][0]) == "1e400"
    assert (str(second.data["minimum"]), second.data["maximum"]) == ("0.10", 7)


def test_codes_are_folded_as_people_read_them():
    """Case, width, composition, invisible characters and blanks make no difference."""
    spellings = ("Café X", "CAFE\u0301 X", "ＣＡＦＥ\u0301\u00a0 x", "caf\u00e9\u200b x")
    assert len({fold_code(code) for code in spellings}) == 1
    assert fold_code("A-1") != fold_code("A1")
