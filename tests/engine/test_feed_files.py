"""A feed is written to files of a bounded size, with what is wanted of a collection, and says what falls short."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest

from goodsgate.engine.feed_files import FeedRequest, FeedResult, FeedWriter
from goodsgate.model import zstd
from goodsgate.model.batch import Kind
from goodsgate.model.journal import JournalPosition
from tests import factories
from tests.shop import Shop

PICTURE = {"image_link": "https://shop.example/p.jpg"}


def written(shop: Shop, folder: Path, *, after: JournalPosition | None = None, files_min: int = 1, **wanted: Any,
            ) -> tuple[FeedResult, list[bytes]]:
    """Write a feed; return what it is, and the content of its files."""
    result = FeedWriter(shop.store, "acme", FeedRequest(**wanted), folder).write(after=after, files_min=files_min)
    return result, [(folder / str(file.number)).read_bytes() for file in result.files]


def keys(content: bytes) -> list[str]:
    """The SKUs of a table."""
    return [row["id"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))]


def test_a_feed_has_files_of_a_bounded_size(shop: Shop, tmp_path: Path) -> None:
    """The files of an earlier run that are not needed any more have no items."""
    shop.run(factories.products(1, 2, 3))
    result, files = written(shop, tmp_path, format="csv", file_items_max=2, files_min=3)
    assert [file.items for file in result.files] == [2, 1, 0]
    assert [keys(content) for content in files] == [["SKU-0001", "SKU-0002"], ["SKU-0003"], []]
    assert {content.splitlines()[0] for content in files} == {files[0].splitlines()[0]}
    assert (result.items, result.written, result.is_full) == (3, 3, True)


@pytest.mark.parametrize(("compression", "unpack"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
def test_a_feed_is_compressed(shop: Shop, tmp_path: Path, compression: str, unpack: Any) -> None:
    """The same items give the same bytes."""
    shop.run(factories.products(1))
    first, files = written(shop, tmp_path, compression=compression)
    assert orjson.loads(unpack(files[0]))["id"] == "SKU-0001"
    assert written(shop, tmp_path, compression=compression)[0].files == first.files
    assert (first.files[0].bytes, first.files[0].items) == (len(files[0]), 1)


def test_only_what_is_wanted_is_written(shop: Shop, tmp_path: Path) -> None:
    """By group, by availability, and of each item by member."""
    shop.run([
        factories.product(1, item_group_id="a"), factories.product(2, item_group_id="b"),
        factories.product(3, item_group_id="a", availability="out_of_stock"),
    ])
    wanted = {"format": "csv", "groups": ("a",), "in_stock": True, "only": ("id", "title")}
    _, (content,) = written(shop, tmp_path, **wanted)
    assert content.decode().splitlines() == ["id,title", "SKU-0001,Linen shirt 1"]
    _, (line,) = written(shop, tmp_path, **{**wanted, "format": "ndjson"})
    assert orjson.loads(line) == {"id": "SKU-0001", "title": "Linen shirt 1"}


def test_incomplete_items_are_left_out_and_counted(shop: Shop, tmp_path: Path) -> None:
    """With what they lack, and some of them; they are written if somebody wants them."""
    control = {"product_detail": "a\x0bb"}
    shop.run([factories.product(1, **PICTURE), factories.product(2), factories.product(3, **PICTURE, **control)])
    result, (content,) = written(shop, tmp_path, profile="google", format="google_rss")
    assert (result.items, result.written, result.incomplete) == (3, 2, 1)
    (group,) = result.issues
    assert (group.code, group.column, group.severity, group.items, group.examples) == (
        "field_missing", "image_link", "error", 1, ["SKU-0002"]
    )
    assert len(ElementTree.fromstring(content).findall("channel/item")) == 2
    result, (content,) = written(shop, tmp_path, profile="google", format="csv", keeps_incomplete=True)
    assert (result.written, result.incomplete) == (3, 1)
    assert keys(content) == ["SKU-0001", "SKU-0002", "SKU-0003"]


def test_a_feed_has_the_columns_of_a_shop_system(shop: Shop, tmp_path: Path) -> None:
    """Without rules of its own."""
    shop.run(factories.products(1))
    _, (content,) = written(shop, tmp_path, profile="shopify", format="csv", only=("Handle", "Variant SKU"))
    assert content.decode().splitlines() == ["Handle,Variant SKU", ",SKU-0001"]


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_a_feed_of_changes_has_what_changed_since(shop: Shop, tmp_path: Path, format: str) -> None:
    """Each item as it is; what was deleted, or is wanted no more, with the verb, so that a gate reads it."""
    shop.run(factories.products(1, 2, 3, 4))
    first, _ = written(shop, tmp_path, format=format, in_stock=True)
    shop.run([{"id": "SKU-0001", "title": "New"}, {"id": "SKU-0002", "_verb": "delete"},
              factories.product(3, availability="out_of_stock")])
    result, (content,) = written(shop, tmp_path, format=format, in_stock=True, after=first.position)
    assert (result.items, result.is_full) == (3, False)
    rows: list[dict[str, str]] = [*map(orjson.loads, content.splitlines())] if format == "ndjson" else [
        *csv.DictReader(io.StringIO(content.decode(), newline=""))
    ]
    assert [(row["id"], row.get("title") or "", row.get("_verb") or "") for row in rows] == [
        ("SKU-0001", "New", ""), ("SKU-0002", "", "delete"), ("SKU-0003", "", "delete"),
    ]
    assert written(shop, tmp_path, format=format, after=result.position)[0].items == 0


def test_a_feed_of_changes_is_whole_if_the_journal_does_not_know(shop: Shop, tmp_path: Path) -> None:
    """Nothing is missing in silence."""
    shop.run(factories.products(1))
    result, _ = written(shop, tmp_path, after=JournalPosition(999, 1))
    assert (result.items, result.is_full) == (1, True)


def test_stock_is_written_if_there_is_some(shop: Shop, tmp_path: Path) -> None:
    """Prices and stock have feeds, too."""
    shop.run([{"id": "A", "quantity": 0}, {"id": "B", "quantity": 2, "location": "x"}], kind=Kind.STOCK)
    _, (content,) = written(shop, tmp_path, kind=Kind.STOCK, format="csv", in_stock=True)
    assert keys(content) == ["B"]


def test_a_run_that_may_not_go_on_ends(shop: Shop, tmp_path: Path) -> None:
    """Whatever the checkpoint raises."""
    shop.run(factories.products(1))

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        FeedWriter(shop.store, "acme", FeedRequest(), tmp_path, checkpoint=stop).write()
