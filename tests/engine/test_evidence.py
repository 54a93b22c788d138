"""Only what was read soundly proves that a full feed lacks an item."""

from pathlib import Path

import pytest

from goodsgate.model.batch import Duplicates, Outcome
from tests.shop import Shop
from tests.stores import KINDS

HELD = b"sku,title,price\n" + b"".join(b"P%02d,Cup %d,1.00 EUR\n" % (at, at) for at in range(30))
SHORT = HELD[: HELD.index(b"P28")]


def _replace(old: bytes, new: bytes) -> bytes:
    assert old in SHORT
    return SHORT.replace(old, new)


UNSOUND = {
    "a row with too many cells": _replace(b"Cup 5", b"Cup, blue"),
    "a row with too few cells": _replace(b"P05,Cup 5,", b"P05,"),
    "an open quotation mark": _replace(b"P05,Cup 5", b'P05,"Cup 5'),
    "a row that was cut off": SHORT + b"P2",
    "a quoted cell that was cut off": SHORT + b'P28,"Cup 2',
    "a missing key": _replace(b"P05,", b","),
    "a key rounded by a spreadsheet": _replace(b"P05,", b"4.00638E+12,"),
    "bytes that are no text": _replace(b"Cup 5", b"Cup \x00"),
    "a header alone": b"sku,title,price\n",
    "an error page": b"<html><head><title>502</title></head>\n<body>\n<h1>Bad Gateway</h1></body></html>\n",
}


@pytest.mark.parametrize("feed", UNSOUND.values(), ids=UNSOUND)
def test_a_feed_that_was_not_read_soundly_deletes_nothing_unasked(shop: Shop, feed: bytes) -> None:
    """The share does not matter; the batch says why its deletions are withheld."""
    shop.run(HELD, format="csv")
    batch = shop.run(feed, format="csv", mode="full", delete_share_max=1.0)
    assert batch.counts.deleted == 0
    assert batch.outcome is not Outcome.CLEAN
    assert batch.withheld is not None
    assert batch.withheld.reason == "evidence"
    assert shop.items().keys() == {f"P{at:02d}" for at in range(30)}


def test_a_record_that_is_rejected_by_a_rule_counts_as_present(shop: Shop) -> None:
    """Its key is certain, so the feed proves what it lacks."""
    shop.run(HELD, format="csv")
    batch = shop.run(_replace(b"Cup 5,1.00 EUR", b"Cup 5,cheap"), format="csv", mode="full")
    assert (batch.counts.rejected, batch.counts.deleted, batch.withheld) == (1, 2, None)
    assert "P05" in shop.items()


@pytest.mark.parametrize("payload", [b"[]", b"[ ]\n"])
def test_an_empty_list_is_not_clean(shop: Shop, payload: bytes) -> None:
    """The job that was to write the feed has probably failed."""
    shop.run([{"id": "A", "title": "T"}])
    batch = shop.run(payload, format="json", mode="full", delete_share_max=1.0)
    assert (batch.outcome, batch.total) == (Outcome.REJECTED, 0)
    assert shop.items().keys() == {"A"}


@pytest.mark.parametrize("store", KINDS)
@pytest.mark.parametrize("duplicates", [Duplicates.LAST, Duplicates.MERGE])
@pytest.mark.parametrize("chunk_records", [2, 3, 100])
def test_a_key_whose_records_cancel_each_other_out_is_present(tmp_path: Path, store: str, duplicates: Duplicates,
                                                              chunk_records: int) -> None:
    """The item is as before and names an earlier batch, but the feed has it; so has a later chunk of the same feed."""
    with Shop(tmp_path, kind=store, chunk_records_max=chunk_records) as shop:
        shop.run([{"id": "D", "title": "Cup"}, {"id": "E", "title": "Jug"}, {"id": "X", "title": "Pot"}])
        records = [("D", "Mug"), ("D", "Cup"), ("E", "Can"), ("F", "Tin"), ("D", "Cup")]
        batch = shop.run(
            [{"id": key, "title": title} for key, title in records], mode="full", delete_share_max=1.0,
            duplicates=duplicates,
        )
        assert shop.items().keys() == {"D", "E", "F"}
        assert batch.counts.deleted == 1
        told = [found.number for found in shop.findings(batch.id) if found.key == "D"]
        assert told == [2, 5]
