"""A fix is matched with the rejected records of its batch before it is accepted."""

import gzip

import pytest
import zstandard

from goodsgate.engine.refusal import Refusal
from goodsgate.model.finding import FixMatch
from tests.shop import Shop

FEED = b"sku,title,price\nA,,1 EUR\nB,Mug,ask\nC,Cup,1 EUR\nD,,2 EUR\n"
"""Records 1, 2 and 4 are rejected."""
PYTHON = b'"""A module."""\n\nimport sys\n\n\ndef main():\n    return sys.argv, 1\n\n\nmain()\n'

MATCHES = [
    (b"_row,sku,title,price\n1,A,Bag,1 EUR\n2,B,Mug,2 EUR\n", "csv", FixMatch(records=2, replacing=2)),
    (b'{"_row":1,"sku":"A"}\n{"_row":"2","sku":"B"}\n', "ndjson", FixMatch(records=2, replacing=2)),
    (b"_row,sku\n1,A\n1,A\n3,C\n99,X\ntwo,B\n", "csv", FixMatch(records=5, replacing=1, unmatched=4)),
    (b"_row,sku\n1,A\n,N\n  ,M\n", "csv", FixMatch(records=3, replacing=1, without_row=2)),
    (b"sku,title,price\nA,Bag,1 EUR\n", "csv", FixMatch(records=1, without_row=1)),
    (PYTHON, "csv", FixMatch(records=4, without_row=4)),
    (b'[{"sku":"A"},7,{"_row":null}]', "json", FixMatch(records=3, without_row=3)),
    (b"", "csv", FixMatch()),
]


@pytest.fixture
def batch(shop: Shop) -> str:
    """The id of a batch with three rejected records."""
    ended = shop.run(FEED, format="csv")
    assert ended.counts.rejected == 3
    return ended.id


def test_what_a_fix_replaces_is_known_before_it_is_sent(shop: Shop, batch: str) -> None:
    """In any format, whatever the file is; nothing is stored."""
    for body, format, expected in MATCHES:
        assert shop.engine.match_fix("acme", batch, [body], format=format) == expected, body
    assert shop.engine.batch("acme", batch).rounds == 1


def test_a_file_that_is_no_report_does_not_become_records(shop: Shop, batch: str) -> None:
    """Not one that has no `_row` at all, and not one with new records, unless they are meant."""
    for body, format, match in MATCHES:
        if not match.without_row:
            continue
        for new_records in {False, match.without_row == match.records}:
            with pytest.raises(Refusal) as refused:
                shop.fix(batch, body, format=format, new_records=new_records)
            assert refused.value.code == "fix_rows_missing"
            assert "_row" in refused.value.detail
            assert refused.value.details["without_row"] == match.without_row
    assert shop.engine.batch("acme", batch).rounds == 1
    shop.fix(batch, b"_row,sku,title,price\n1,A,Bag,1 EUR\n,N,New,1 EUR\n", format="csv", new_records=True)
    shop.work()
    after = shop.engine.batch("acme", batch)
    assert (after.total, after.counts.created, after.counts.rejected) == (5, 3, 2)


def test_the_receipt_of_a_fix_says_what_it_replaces(shop: Shop, batch: str) -> None:
    """The same with an idempotency key, whose answer is repeated although the records are no longer rejected."""
    answers = []
    for _ in range(2):
        submission = shop.engine.fix(
            "acme", batch, format="csv", idempotency_key="once",
            answer=lambda _, match: f"{match.replacing} of {match.records}".encode(),
        )
        submission.write(b"_row,sku,title,price\n1,A,Bag,1 EUR\n7,X,Y,1 EUR\n")
        receipt = submission.finish()
        answers.append((receipt.match, receipt.replay and receipt.replay.body))
        shop.work()
    assert answers == [(FixMatch(records=2, replacing=1, unmatched=1), None), (None, b"1 of 2")]


@pytest.mark.parametrize("content_encoding", ["identity", "gzip", "zstd"])
def test_a_fix_is_read_in_the_charset_that_is_named_for_it(shop: Shop, batch: str, content_encoding: str) -> None:
    """However it is compressed, in the preview and when it is sent; a byte-order mark beats the name."""
    pack = {"identity": bytes, "gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}[content_encoding]
    fixes = [
        ("_row;sku;title;price\n1;A;Kráľ;1 EUR\n".encode("cp1250"), "Kráľ"),
        ("\ufeff_row;sku;title;price\n2;B;Müsli;1 EUR\n".encode(), "Müsli"),
    ]
    for number, (text, title) in enumerate(fixes):
        how = {"format": "csv", "content_encoding": content_encoding, "encoding": "cp1250"}
        assert shop.engine.match_fix("acme", batch, [pack(text)], **how) == FixMatch(records=1, replacing=1)
        fix = shop.engine.fix("acme", batch, **how)
        fix.write(pack(text))
        assert fix.finish().match == FixMatch(records=1, replacing=1)
        shop.work()
        assert shop.items()["AB"[number]]["title"] == title


def test_a_compressed_fix_that_is_cut_off_is_refused(shop: Shop, batch: str) -> None:
    """Else it would be stored in UTF-8, and nobody would see that its end is missing."""
    fix = shop.engine.fix("acme", batch, format="csv", content_encoding="gzip", encoding="cp1250")
    fix.write(gzip.compress(b"_row;sku;title;price\n1;A;Bag;1 EUR\n")[:-9])
    with pytest.raises(Refusal, match="cannot be read to its end"):
        fix.finish()
    fix.abort()
    assert shop.engine.batch("acme", batch).rounds == 1
