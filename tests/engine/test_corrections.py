"""Corrections of single cells of rejected records."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from goodsgate.engine.corrections import Correction, CorrectionReceipt, RejectedRow, correct_records, rejected_rows
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.refusal import Refusal
from tests.shop import Shop

TABLE = (
    'SKU;SKU;Bezeichnung;Preis;EAN\n;A1;"Schuh; ""rot"", sep=,";12,50 EUR;4006381333932\nA2;;;9,99 EUR;1;extra\n'
    'A3;;"Zelt\ngroß";=abc;\n'
).encode()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop of its own for each test."""
    with Shop(tmp_path) as opened:
        yield opened


def _rows(shop: Shop, batch: str, *shown: str) -> dict[int, RejectedRow]:
    found = rejected_rows(
        shop.engine.batch("acme", batch), shop.store.rejected_records("acme", batch, limit=100), shown=shown
    )
    return {row.row: row for row in found.rows}


def _correct(shop: Shop, batch: str, cells: dict[int, dict[str, str]], *, key: str = "k",
             versions: dict[int, RejectedRow] | None = None) -> CorrectionReceipt:
    """Correct records as they are, or as they were, and work."""
    rows = versions or _rows(shop, batch)
    corrections = [Correction(row=row, version=rows[row].version, cells=texts) for row, texts in cells.items()]
    answer = correct_records(
        shop.engine, "acme", batch, corrections, key=RequestKey(merchant="acme", key=key, fingerprint=b"x")
    )
    shop.work()
    return msgspec.json.decode(answer, type=CorrectionReceipt)


def test_rows_have_the_key_and_the_columns_with_errors(shop: Shop) -> None:
    """Under the submitter's names, by position: two columns may have one name. Others are shown on request."""
    batch = shop.run(TABLE, format="csv", decimal="comma").id
    found = rejected_rows(shop.engine.batch("acme", batch), shop.store.rejected_records("acme", batch, limit=9))
    assert [(each.id, each.name, each.fields, each.is_failing, each.is_key) for each in found.columns] == [
        ("0", "SKU", ["id"], False, True), ("1", "SKU", ["id"], False, False),
        ("2", "Bezeichnung", ["title"], False, False), ("3", "Preis", ["price"], True, False),
        ("4", "EAN", ["gtin"], True, False), ("5", "column 6", [], True, False),
    ]
    first, ragged, last = found.rows
    assert first.cells == {"0": "", "3": "12,50 EUR", "4": "4006381333932", "5": ""}
    assert (first.key, first.suggestions) == ("A1", {"4": "4006381333931"})
    assert [(each.column, each.code) for each in first.issues] == [("4", "gtin_check_digit")]
    assert [(each.column, each.code) for each in ragged.issues] == [(None, "row_ragged")]
    assert ragged.cells["5"] == "extra"
    assert last.cells["3"] == "=abc"
    assert _rows(shop, batch, "2")[3].cells["2"] == "Zelt\ngroß"


def test_cells_are_corrected_and_the_rest_of_a_row_stays_as_received(shop: Shop) -> None:
    """Quotation marks, line breaks, two columns of one name and further cells of a row survive."""
    batch = shop.run(TABLE, format="csv", decimal="comma").id
    receipt = _correct(shop, batch, {1: {"4": "4006381333931"}, 2: {"5": "", "4": ""}, 3: {"3": "5,00 EUR"}})
    assert receipt == CorrectionReceipt(sent=[1, 2, 3], changed=[], gone=[])
    assert shop.items() == {
        "A1": {"id": "A1", "title": 'Schuh; "rot", sep=,', "price": "12.50 EUR", "gtin": "4006381333931"},
        "A3": {"id": "A3", "title": "Zelt\ngroß", "price": "5.00 EUR"},
    }
    assert shop.codes(batch)[2] == ["field_missing"], "the errors come back on the record"
    assert [each.column for each in _rows(shop, batch)[2].issues] == ["2"]
    _correct(shop, batch, {2: {"2": "Tasche"}}, key="k2")
    assert shop.engine.batch("acme", batch).outcome == "clean"


def test_a_column_that_the_file_lacks_is_added(shop: Shop) -> None:
    """It has the name of the field; the batch has it from then on."""
    batch = shop.run(b"sku,ean\nB1,4006381333931\nB2,\n", format="csv").id
    assert _rows(shop, batch)[1].cells == {"0": "B1", "+title": ""}
    _correct(shop, batch, {1: {"+title": "Tent"}, 2: {"+title": " "}})
    assert shop.items() == {"B1": {"id": "B1", "gtin": "4006381333931", "title": "Tent"}}
    assert _rows(shop, batch)[2].cells == {"0": "B2", "2": " "}
    _correct(shop, batch, {2: {"2": "Rope"}}, key="k2")
    assert shop.engine.batch("acme", batch).outcome == "clean"


def test_members_of_json_keep_their_types(shop: Shop) -> None:
    """A member that was no text is read as JSON; the others keep their bytes; a broken line has no cells."""
    lines = b'{"sku":"J1","name":"","price":{"value":"x","currency":"EUR"},"n":1.50}\nnope\n'
    batch = shop.run(lines, format="ndjson").id
    rows = _rows(shop, batch, "n")
    assert rows[1].cells == {"sku": "J1", "name": "", "price": '{"value":"x","currency":"EUR"}', "n": "1.50"}
    assert not rows[2].is_readable
    _correct(shop, batch, {1: {"name": "Tarp", "price": '{"value":"1.50","currency":"EUR"}'}})
    item = shop.store.items("acme", shop.engine.batch("acme", batch).kind, "products", limit=1).rows[0]
    assert b'"n":1.50' in item.document
    assert msgspec.json.decode(item.document)["title"] == "Tarp"


def test_a_long_cell_is_cut_and_said_to_be(shop: Shop) -> None:
    """It would be sent back cut."""
    batch = shop.run(b"sku,title\nF1," + b"x" * 6_000 + b"\n", format="csv").id
    row = _rows(shop, batch, "1")[1]
    assert (len(row.cells["1"]), row.cut) == (4_000, ["1"])


def test_a_record_that_somebody_else_has_corrected_is_left_out(shop: Shop) -> None:
    """Whether it is still rejected is told apart; the other corrections are sent."""
    batch = shop.run(b"sku,title,price\nC1,,1.00 EUR\nC2,,x\nC3,,1.00 EUR\n", format="csv").id
    seen = _rows(shop, batch)
    _correct(shop, batch, {1: {"1": "theirs"}, 2: {"1": "theirs"}})
    cells = {1: {"1": "mine"}, 2: {"1": "mine"}, 3: {"1": "mine"}}
    receipt = _correct(shop, batch, cells, key="k2", versions=seen)
    assert receipt == CorrectionReceipt(sent=[3], changed=[2], gone=[1])
    assert _rows(shop, batch, "1")[2].cells["1"] == "theirs"
    only_old = _correct(shop, batch, {1: {"1": "mine"}}, key="k3", versions=seen)
    assert only_old == CorrectionReceipt(sent=[], changed=[], gone=[1])
    assert shop.engine.batch("acme", batch).rounds == 3


def test_a_repeated_request_has_one_effect(shop: Shop) -> None:
    """It is answered as the first time, even while the batch is open; another request must wait."""
    batch = shop.run(b"sku,title\nD1,\nD2,\n", format="csv").id
    rows = _rows(shop, batch)
    corrections = [Correction(row=1, version=rows[1].version, cells={"1": "Tent"})]
    key = RequestKey(merchant="acme", key="once", fingerprint=b"x")
    answers = {correct_records(shop.engine, "acme", batch, corrections, key=key) for _ in range(2)}
    assert answers == {b'{"sent":[1],"changed":[],"gone":[]}'}
    with pytest.raises(Refusal) as refused:
        correct_records(
            shop.engine, "acme", batch, corrections, key=RequestKey(merchant="acme", key="2", fingerprint=b"x")
        )
    assert refused.value.code == "batch_open"
    shop.work()
    assert correct_records(shop.engine, "acme", batch, corrections, key=key) in answers
    assert shop.engine.batch("acme", batch).rounds == 2


def test_a_round_that_ends_between_reading_and_sending_loses_no_correction(
    shop: Shop, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is sent; the same request, sent again, says what somebody else has changed."""
    batch = shop.run(b"sku,title,price\nG1,,1.00 EUR\nG2,,1.00 EUR\nG3,,x\n", format="csv").id
    seen, read = _rows(shop, batch), shop.engine.store.rejected_by_number

    def read_and_lose(merchant: str, id: str, numbers: list[int]) -> object:
        found = read(merchant, id, numbers)
        monkeypatch.undo()
        _correct(shop, batch, {1: {"1": "theirs"}, 3: {"1": "theirs"}}, key="theirs")
        return found

    monkeypatch.setattr(shop.engine.store, "rejected_by_number", read_and_lose)
    mine = {row: {"1": "mine"} for row in (1, 2, 3)}
    with pytest.raises(Refusal, match="Another round of the batch has been queued since") as refused:
        _correct(shop, batch, mine, key="mine", versions=seen)
    assert refused.value.code == "batch_open"
    assert shop.engine.batch("acme", batch).counts.rejected == 2, "no record was added"
    receipt = _correct(shop, batch, mine, key="mine", versions=seen)
    assert receipt == CorrectionReceipt(sent=[2], changed=[3], gone=[1])
    assert {key: item["title"] for key, item in shop.items().items()} == {"G1": "theirs", "G2": "mine"}
