"""Files of other shapes than a table or lines, from the submission to the report and back."""

import io
import zipfile

import orjson
import pytest

from goodsgate.model.batch import Outcome, State
from tests.shop import Shop

HEAD = '<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>x</title>\n'
END = "</channel></rss>"


def item(number: int, price: str = "7.90 EUR") -> str:
    """Return an item of a Google feed in one line."""
    return (
        f"<item><g:id>P{number}</g:id><title>Cup {number}</title><g:price>{price}</g:price>"
        "<g:additional_image_link>https://i.example/a.png</g:additional_image_link>"
        "<g:additional_image_link>https://i.example/b.png</g:additional_image_link></item>\n"
    )


def feed(*items: str, end: str = END) -> bytes:
    """Return a Google feed."""
    return (HEAD + "".join(items) + end).encode()


def test_a_google_feed_is_applied_reported_and_corrected(shop: Shop) -> None:
    """Rejected items come back as NDJSON, with the line of the file, and can be sent back as they are."""
    batch = shop.run(feed(item(1), item(2, "cheap")), format="xml")
    assert (batch.counts.created, batch.counts.rejected, batch.outcome) == (1, 1, Outcome.PARTIAL)
    assert {"records_at": "channel/item", "profile": "google"}.items() <= {
        each.what: each.value for each in batch.reading
    }.items()
    held = shop.items()["P1"]
    assert isinstance(held, dict)
    assert (held["title"], len(held["additional_image_link"])) == ("Cup 1", 2)
    (finding,) = [each for each in shop.findings(batch.id) if each.number == 2]
    assert finding.source_row == 3
    report = shop.report(batch.id)
    assert orjson.loads(report)["price"] == "cheap"
    shop.fix(batch.id, report.replace(b"cheap", b"8.90 EUR"), format="ndjson")
    shop.work()
    assert shop.engine.batch("acme", batch.id).outcome is Outcome.CLEAN
    assert shop.items().keys() == {"P1", "P2"}
    assert shop.report(batch.id, only="all", format="csv").count(b"\r\n") == 3


@pytest.mark.parametrize("cut", [
    feed(item(1), item(2)[:40], end=""), feed(item(1), end=""), feed(item(1), "<item><g:id>P2</item>"),
    feed(item(1), "<item><g:id>&P;</g:id></item>"),
])
def test_a_full_feed_that_breaks_off_deletes_nothing(shop: Shop, cut: bytes) -> None:
    """What was read whole is applied, and the file has an error."""
    shop.run(feed(*(item(number) for number in range(1, 4))), format="xml")
    batch = shop.run(cut, format="xml", mode="full", delete_share_max=1.0)
    assert (batch.state, batch.counts.unchanged, batch.counts.deleted) == (State.BROKEN, 1, 0)
    assert batch.file_errors == 1
    assert shop.items().keys() == {"P1", "P2", "P3"}


@pytest.mark.parametrize(("format", "payload"), [
    ("json", b'{"a":[{"id":"P1"}],"b":[{"id":"P2"}]}'),
    ("xml", b"<c><x><m><id>1</id></m><m><id>2</id></m></x><y><k><id>3</id></k><k><id>4</id></k></y></c>"),
    ("json", b'{"products":[]}'),
    ("xml", feed()),
])
def test_a_full_feed_of_which_the_records_are_not_known_deletes_nothing(
    shop: Shop, format: str, payload: bytes
) -> None:
    """The batch is rejected with one issue."""
    shop.run(feed(item(1)), format="xml")
    batch = shop.run(payload, format=format, mode="full", delete_share_max=1.0)
    assert (batch.outcome, batch.total, batch.file_errors, batch.counts.deleted) == (Outcome.REJECTED, 0, 1, 0)
    assert shop.items().keys() == {"P1"}


def test_options_of_the_submission_choose_the_records(shop: Shop) -> None:
    """The list, and the delimiter; and a file in an archive is one more way to send it."""
    lists = b'{"a":[{"id":"A1","title":"x"}],"b":[{"id":"B1","title":"x"}]}'
    assert shop.run(lists, format="json", records_at="b").counts.created == 1
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("feed/products.csv", "sku^title\nC1^x\n")
    batch = shop.run(target.getvalue(), format="csv", content_encoding="zip", delimiter="^")
    assert batch.counts.created == 1
    reading = {each.what: each.value for each in batch.reading}
    assert (reading["file"], reading["delimiter"]) == ("feed/products.csv", "^")
    assert shop.items().keys() == {"B1", "C1"}
