"""Files that write one product on several rows: what is stored, what is told, and how it is put right."""

from pathlib import Path

import pytest

from goodsgate.app import create_worker
from goodsgate.engine.contents import batch_contents
from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import Kind, Outcome
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.store.contract import Retention
from tests.engine.conftest import Opens
from tests.shop import Shop

SHOPIFY = """Handle,Title,Vendor,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src,Image Position
cap,Cap,Pohja,Color,Red,C-R,5.00,https://x.example/1.jpg,1
cap,,,,Blue,C-B,6.00,,
cap,,,,,,,https://x.example/2.jpg,2
cup,Cup,Hella,Title,Default Title,CUP,4.00,,
gift,Gift card,Pohja,Value,10,,10.00,,
"""
SPREE = """slug,sku,name,price,compare_at_price,currency,description,option1_name,option1_value
pot,POT,Pot,0,0,USD,A pot.,,
pot,POT-S,,5.00,0,USD,,Size,S
pot,POT-L,,7.00,0,USD,,Size,L
one,ONE,One,4.00,0,USD,,,
pot,POT-S,,4.50,,EUR,,,
one,ONE,,3.50,,EUR,,,
"""
WOO = """ID,Type,SKU,Name,Regular price,Parent,Description,In stock?
42,variation,L-R,Lamp red,24.9,LAMP,,1
41,variable,LAMP,Lamp,,,A lamp,1
43,variation,L-G,Lamp green,24.9,LAMP,Green light,0
44,simple,BULB,Bulb,4,,,1
"""
MAGENTO = """sku,store_view_code,product_type,name,price,configurable_variations
ANO-B,,simple,Anorak blue,125.00,
ANO-B,fi,,Anorakki,,
ANO,,configurable,Anorak,,"sku=ANO-B,color=Blue"
"""
GENERAL = """sku,title,parent_sku,color,price
TEE,Tee,,,19.90 EUR
TEE-R,,TEE,red,19.90 EUR
TEE-B,,TEE,blue,
"""
PAYLOADS_AT_ONCE = Retention(
    payload_seconds=0, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9
)
FILES = {"shopify": SHOPIFY, "spree": SPREE, "woocommerce": WOO, "magento": MAGENTO, "general": GENERAL}


def submit(shop: Shop, text: str, **policy: object):
    """Submit a file and return its ended batch."""
    return shop.run(text.encode(), format="csv", **{"currency": "EUR", **policy})


def results(shop: Shop, batch: str) -> str:
    """Return the first letters of the results of a batch."""
    return "".join(row.result[:1] for row in shop.results(batch))


def test_a_shop_export_becomes_one_item_for_each_sku(shop: Shop) -> None:
    """With what it takes from the other rows, which are merged; a row without a SKU names the way out."""
    batch = submit(shop, SHOPIFY)
    assert results(shop, batch.id) == "ccmcr"
    assert batch.total == batch.counts.accounted == 5
    assert shop.codes(batch.id)[5] == ["group_sku_missing"]
    items = shop.items()
    assert items.keys() == {"C-R", "C-B", "CUP"}
    blue = items["C-B"]
    assert {name: blue[name] for name in ("title", "brand", "color", "item_group_id")} == {
        "title": "Cap", "brand": "Pohja", "color": "Blue", "item_group_id": "cap",
    }
    assert (blue["image_link"], blue["additional_image_link"]) == ("https://x.example/1.jpg", ["https://x.example/2.jpg"])
    assert [item.key for item in shop.store.items("acme", Kind.PRODUCT, "products").rows] == ["C-B", "C-R", "CUP"]


CONTENTS = {
    "shopify": "Shopify product export: 3 products, 4 variants, 1 image row",
    "spree": "Spree product export: 2 products, 3 variants, 1 parent row, 2 price rows",
    "woocommerce": "WooCommerce product export: 2 products, 3 variants, 1 parent row",
    "magento": "Magento 2 product export: 1 product, 1 variant, 1 parent row, 1 translation row",
    "general": "",
}


@pytest.mark.parametrize("name", FILES)
def test_a_batch_tells_what_its_rows_are(shop: Shop, name: str) -> None:
    """The title of the profile, the products, and the rows of each role; nothing without a profile and groups."""
    contents = batch_contents(submit(shop, FILES[name]))
    assert (contents.summary if contents is not None else "") == CONTENTS[name]


def test_a_fix_counts_a_row_as_what_it_has_become(shop: Shop) -> None:
    """The counts are those of the submission as it stands after each round."""
    text = SHOPIFY.replace("cap,,,,Blue,C-B,6.00", "cap,,,,Blue,C-B,cheap").replace("CUP,4.00", ",4.00")
    batch = submit(shop, text)
    expected = {"products": 3, "variant": 4, "image": 1}
    assert (batch.roles, batch.counts.rejected) == (expected, 3)
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert shop.engine.batch("acme", batch.id).roles == expected
    header = "_row,Handle,Title,Option1 Value,Variant SKU,Variant Price,Image Src\n"
    shop.fix(batch.id, f"{header}2,cap,,,,,https://x.example/3.jpg\n4,cup,Cup,,,cheap,\n".encode(), format="csv")
    shop.work()
    assert shop.engine.batch("acme", batch.id).roles == {"products": 3, "variant": 3, "image": 2}
    fix = f"{header}4,cup,Cup,,CUP,4.00,\n,cup,,,,,https://x.example/4.jpg\n,new,New,,NEW,1.00,\n"
    shop.fix(batch.id, fix.encode(), format="csv", new_records=True)
    shop.work()
    batch = shop.engine.batch("acme", batch.id)
    assert (batch.roles, batch.counts.rejected) == ({"products": 4, "variant": 4, "image": 3}, 1)


def test_a_row_that_cannot_be_read_has_no_role_before_it_is_corrected(shop: Shop) -> None:
    """Nobody knows what it is."""
    batch = submit(shop, SHOPIFY.replace("CUP,4.00,,", "CUP,4.00,,,9"))
    assert batch.roles == {"products": 2, "variant": 3, "image": 1}
    shop.fix(batch.id, b"_row,Handle,Title,Variant SKU,Variant Price\n4,cup,Cup,CUP,4.00\n", format="csv")
    shop.work()
    assert shop.engine.batch("acme", batch.id).roles == {"products": 3, "variant": 4, "image": 1}


def test_a_key_is_made_where_the_submission_asks_for_it(shop: Shop) -> None:
    """It is the same when the file comes again."""
    assert submit(shop, SHOPIFY, key="derived").counts.created == 4
    assert shop.items()["gift-10"]["title"] == "Gift card"
    assert submit(shop, SHOPIFY, key="derived").counts.rejected == 0
    assert len(shop.items()) == 4


def test_further_prices_and_translations_are_kept_beside_the_item(shop: Shop) -> None:
    """They replace nothing, wherever they stand."""
    batch = submit(shop, SPREE, currency=None)
    assert results(shop, batch.id) == "mcccmm"
    items = shop.items()
    assert {key: (items[key]["title"], items[key]["prices"]) for key in ("POT-S", "ONE")} == {
        "POT-S": ("Pot", {"EUR": {"price": "4.50 EUR"}}), "ONE": ("One", {"EUR": {"price": "3.50 EUR"}}),
    }
    submit(shop, MAGENTO)
    anorak = shop.items()["ANO-B"]
    assert (anorak["title"], anorak["translations"]) == ("Anorak blue", {"fi": {"title": "Anorakki"}})
    assert anorak["item_group_id"] == "ANO"


def test_a_variant_takes_from_its_parent_wherever_that_stands(shop: Shop) -> None:
    """What it says itself stays."""
    assert results(shop, submit(shop, WOO).id) == "cmcc"
    items = shop.items()
    assert [items[key].get("description") for key in ("L-R", "L-G", "BULB")] == ["A lamp", "Green light", None]
    assert [items[key].get("item_group_id") for key in ("L-R", "L-G", "BULB")] == ["LAMP", "LAMP", None]


def test_rows_without_a_title_take_it_without_a_profile(shop: Shop) -> None:
    """From the row of their parent, as what else they lack."""
    assert submit(shop, GENERAL).outcome is Outcome.CLEAN
    items = shop.items()
    assert [items[key]["title"] for key in ("TEE", "TEE-R", "TEE-B")] == ["Tee"] * 3
    assert items["TEE-B"]["price"] == items["TEE"]["price"]


def test_a_submission_can_name_the_column_by_which_rows_belong_together(shop: Shop) -> None:
    """One that the file lacks is refused, and nothing is applied."""
    text = "sku,title,model,price\nA,Cup,m1,1.00\nB,,m1,2.00\n"
    assert submit(shop, text).counts.rejected == 1
    assert submit(shop, text, group="model").counts.rejected == 0
    assert (shop.items()["B"]["title"], shop.items()["B"]["item_group_id"]) == ("Cup", "m1")
    missing = submit(shop, text, group="modell")
    assert missing.outcome is Outcome.REJECTED
    assert "group_column_unknown" in shop.codes(missing.id)[0]
    for format in ("ndjson", "json", "xml"):
        with pytest.raises(Refusal, match="Rows of a table are grouped by a column"):
            shop.send(b'{"id": "J", "title": "Jug", "model": "m1"}', format=format, group="model")


def test_a_batch_tells_by_which_column_its_rows_belong_together(shop: Shop) -> None:
    """Whether the profile says so or the submission."""
    decisions = {what.value: what.how for text, policy in ((SHOPIFY, {}), (GENERAL, {"group": "parent_sku"}))
                 for what in submit(shop, text, **policy).reading if what.what == "group"}
    assert decisions == {"Handle": "detected", "parent_sku": "given"}


def test_a_wrong_parent_is_told_at_its_row_and_rejects_its_variants(shop: Shop) -> None:
    """A variant that is wrong rejects itself alone."""
    shop.reference("brand", ReferenceEntry(code="Pohja", name="Pohja"))
    batch = submit(shop, SHOPIFY.replace("cap,Cap,Pohja", "cap,Cap,Nobody"), references="refuse")
    codes = shop.codes(batch.id)
    assert (codes[1], codes[2]) == (["brand_unknown"], ["group_row_rejected"])
    assert shop.findings(batch.id)[1].issues[0].value == "2"
    long = "x" * 200
    batch = submit(shop, WOO.replace("LAMP,Lamp,", f"LAMP,{long},"))
    assert results(shop, batch.id) == "rrrc"
    assert [shop.codes(batch.id)[number] for number in (1, 2, 3)] == [
        ["group_row_rejected"], ["text_too_long"], ["group_row_rejected"],
    ]
    batch = submit(shop, WOO.replace("red,24.9", "red,cheap"))
    assert results(shop, batch.id) == "rmcu"


@pytest.mark.parametrize("name", FILES)
def test_no_chunk_and_no_restart_changes_the_end(tmp_path: Path, name: str) -> None:
    """A worker that dies after any chunk is followed by another one; items, results, issues, roles are the same."""
    ends = []
    for folder, chunk in (("whole", 1_000), ("parts", 2)):
        with Shop(tmp_path / folder, kind="sqlite", chunk_records_max=chunk) as shop:
            batch = shop.send(FILES[name].encode(), format="csv", currency="EUR")
            for _ in range(20):
                worker = create_worker(shop.store, shop.config, "another")
                worker.stop()
                worker.step()
                worker.close()
            ended = shop.engine.batch("acme", batch)
            assert ended.finished_at is not None
            ends.append((shop.items(), results(shop, batch), shop.codes(batch), ended.roles))
    assert ends[0] == ends[1]


def test_a_corrected_row_ends_as_if_it_had_been_right_at_first(shop: Shop) -> None:
    """It takes what it lacks from the rows of the submission, in a fix and in a retry."""
    submit(shop, SHOPIFY)
    right = shop.items()["C-B"]
    shop.run(b"sku\nC-B\n", format="csv", verb="delete")
    batch = submit(shop, SHOPIFY.replace("C-B,6.00", "C-B,cheap"))
    assert results(shop, batch.id) == "urmur"
    fixed = b"_row,Handle,Option1 Value,Variant SKU,Variant Price,Status\n2,cap,Blue,C-B,6.00,active\n"
    shop.fix(batch.id, fixed, format="csv")
    shop.work()
    assert shop.items()["C-B"] == right | {"Status": "active"}
    shop.reference("brand", ReferenceEntry(code="Pohja", name="Pohja"))
    batch = submit(shop, WOO.replace("Lamp red,24.9", "Lamp red,cheap"))
    shop.fix(batch.id, b"_row,Type,SKU,Name,Regular price,Parent\n1,variation,L-R,Lamp red,24.9,LAMP\n", format="csv")
    shop.work()
    assert shop.items()["L-R"]["description"] == "A lamp"


LONG = "x" * 200


@pytest.mark.parametrize(("name", "right", "wrong", "fixes"), [
    ("shopify", "cap,Cap,", f"cap,{LONG},", [[1]]),
    ("shopify", "cap,Cap,", f"cap,{LONG},", [[2], [1]]),
    ("woocommerce", "LAMP,Lamp,", f"LAMP,{LONG},", [[2]]),
    ("woocommerce", "LAMP,Lamp,", f"LAMP,{LONG},", [[1], [2]]),
    ("woocommerce", "LAMP,Lamp,", f"LAMP,{LONG},", [[3, 2]]),
])
@pytest.mark.parametrize("chunk", [1, 1_000])
def test_rows_that_take_from_a_corrected_row_are_worked_again(
    opens: Opens, name: str, right: str, wrong: str, fixes: list[list[int]], chunk: int
) -> None:
    """Whether they are in the fix or not, in any order, in one fix or several; the end is that of the right file."""
    shop = opens("right", "acme", chunk_records_max=chunk)
    header, *lines = FILES[name].splitlines()
    expected = shop.run(FILES[name].encode(), format="csv", currency="EUR", merchant="right")
    batch = submit(shop, FILES[name].replace(right, wrong)).id
    for numbers in fixes:
        rows = "".join(f"{number},{lines[number - 1]}\n" for number in numbers)
        shop.fix(batch, f"_row,{header}\n{rows}".encode(), format="csv")
        while shop.engine.batch("acme", batch).finished_at is None:
            worker = create_worker(shop.store, shop.config, "another")  # which goes on where another one has died
            worker.stop()
            worker.step()
            worker.close()
    assert shop.items() == shop.items(merchant="right")
    ended = shop.engine.batch("acme", batch)
    assert (ended.counts, ended.roles, ended.total) == (expected.counts, expected.roles, expected.total)
    assert results(shop, batch) == "".join(row.result[:1] for row in shop.results(expected.id, merchant="right"))


def test_a_row_takes_what_an_earlier_fix_has_corrected(shop: Shop) -> None:
    """And not what was submitted."""
    batch = submit(shop, SHOPIFY.replace("cap,Cap,", f"cap,{LONG},").replace("C-B,6.00", "C-B,cheap"))
    first = b'{"_row": 1, "Handle": "cap", "Title": "Hat", "Variant SKU": "C-R", "Variant Price": "5.00"}\n'
    shop.fix(batch.id, first, format="ndjson")
    shop.work()
    assert results(shop, batch.id) == "crmcr"
    shop.fix(batch.id, b"_row,Handle,Variant SKU,Variant Price\n2,cap,C-B,6.00\n", format="csv")
    shop.work()
    assert results(shop, batch.id) == "ccmcr"
    assert shop.items()["C-B"]["title"] == "Hat"


def test_a_row_whose_submission_is_gone_is_checked_by_itself_and_says_so(shop: Shop) -> None:
    """It begins no product again and keeps the images that its item has."""
    submit(shop, SHOPIFY)
    right = shop.items()["C-B"]
    batch = submit(shop, SHOPIFY.replace("C-B,6.00", "C-B,cheap"))
    shop.store.sweep(PAYLOADS_AT_ONCE, steps_max=100)
    header = "_row,Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src\n"
    shop.fix(batch.id, f"{header}2,cap,Cap,Color,Blue,C-B,7.00,https://x.example/1.jpg\n".encode(), format="csv")
    shop.work()
    assert shop.codes(batch.id)[2] == ["group_not_kept"]
    assert shop.items()["C-B"] == right | {"price": "7.00 EUR"}
    assert shop.engine.batch("acme", batch.id).roles == batch.roles
    batch = submit(shop, WOO.replace("Lamp red,24.9", "Lamp red,cheap"))
    shop.store.sweep(PAYLOADS_AT_ONCE, steps_max=100)
    shop.fix(batch.id, b"_row,Type,SKU,Name,Regular price,Parent\n1,variation,L-R,Lamp red,24.9,LAMP\n", format="csv")
    shop.work()
    assert shop.codes(batch.id)[1] == ["group_not_kept"]


def test_a_retry_completes_rows_again(shop: Shop) -> None:
    """The reference data that they needed has come."""
    shop.reference("brand", ReferenceEntry(code="Hella", name="Hella"))
    batch = submit(shop, SHOPIFY, references="refuse")
    assert results(shop, batch.id) == "rrmcr"
    shop.reference("brand", ReferenceEntry(code="Pohja", name="Pohja"))
    shop.engine.retry("acme", batch.id)
    shop.work()
    assert results(shop, batch.id) == "ccmcr"
    assert shop.items()["C-B"]["title"] == "Cap"


def test_variants_of_a_rejected_group_are_not_deleted_by_a_full_feed(shop: Shop) -> None:
    """Their SKUs stand in the feed."""
    submit(shop, WOO)
    batch = submit(shop, WOO.replace("LAMP,Lamp,", f"LAMP,{'x' * 200},"), mode="full", delete_share_max=1.0)
    assert batch.counts.deleted == 0
    assert shop.items().keys() == {"L-R", "L-G", "BULB"}
