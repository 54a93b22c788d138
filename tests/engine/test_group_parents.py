"""Variants and the rows that describe their product in different batches: kept, awaited, taken from."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Batch, Outcome, Strictness
from goodsgate.model.catalogue import ReferenceEntry
from tests import effort
from tests.engine.conftest import Opens
from tests.shop import Shop

WAIT = Strictness.WAIT
WOO = "ID,Type,SKU,Name,Regular price,Parent,Description,Brands"
FILES: dict[str, tuple[str, list[str], list[str], dict[str, Any]]] = {
    "woocommerce": (WOO, ["77,variable,W,Shirt,,,Nice,Known", "87,variable,V,Cap,,,Warm,"], [
        "78,variation,W-S,,5.00,W,,", "79,variation,W-M,Own,6.00,id:77,Own,", "88,variation,V-S,,7.00,V,,",
    ], {}),
    "amazon": ("item_sku,item_name,parent_child,parent_sku,standard_price,relationship_type,product_description",
               ["A,Shirt,parent,,,,Nice"], ["A-1,,child,A,5.00,variation,", "A-2,Own,child,A,5.00,variation,"], {}),
    "shopify": ("Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Price,Image Src", [
        "shirt,Shirt,Nice,Size,S,A-S,5.00,https://a.example/1.jpg", "shirt,,,,,,,https://a.example/2.jpg",
    ], ["shirt,,,,M,A-M,6.00,", "shirt,,,,L,A-L,7.00,"], {}),
    "spree": ("slug,sku,name,status,description,price,currency,option1_name,option1_value",
              ["cup,C,Cup,active,Nice,,,,"], ["cup,C-1,,,,5.00,EUR,size,S", "cup,C-2,,,,6.00,EUR,size,M"], {}),
    "item_group_id": ("sku,title,item_group_id,brand,price", ["N-1,Name,N,Known,5.00"],
                      ["N-2,,N,,5.00", "N-3,,N,,6.00"], {}),
    "parent": ("sku,title,parent,price", ["M-1,Name,,5.00"], ["M-2,,M-1,5.00", "M-3,,M-1,6.00"], {}),
    "group": ("sku,title,model,price", ["M-1,Name,m,5.00"], ["M-2,,m,5.00", "M-3,,m,6.00"], {"group": "model"}),
}
"""Header, rows that describe products, rows of variants, options."""


def _csv(header: str, rows: list[str]) -> bytes:
    return "\n".join((header, *rows, "")).encode()


def _run(shop: Shop, header: str, rows: list[str], **how: Any) -> Batch:
    return shop.run(_csv(header, rows), **{"format": "csv", "currency": "EUR", "references": WAIT, **how})


def _items(shop: Shop, collection: str) -> dict[str, object]:
    """Return the items without products that are a simple one where they stand alone in their file."""
    return {key: item for key, item in shop.items(collection).items() if key not in ("C", "M-1")}


def _again(shop: Shop, batch: Batch) -> Batch:
    shop.work()
    found = shop.engine.batch("acme", batch.id)
    assert found.counts.accounted == found.total
    return found


def _results(shop: Shop, batch: Batch) -> list[str]:
    return [str(row.result) for row in shop.results(batch.id)]


@pytest.fixture(name="shop")
def _shop(opens: Opens) -> Shop:
    shop = opens("acme")
    shop.reference("brand", ReferenceEntry(code="Known"))
    return shop


@pytest.fixture(name="any_shop", scope="module")
def _any_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop for what has nothing to do with its store."""
    with Shop(tmp_path_factory.mktemp("parents"), "acme", kind="sqlite") as shop:
        shop.reference("brand", ReferenceEntry(code="Known"))
        yield shop


@pytest.mark.parametrize("name", FILES)
def test_variants_take_from_a_parent_in_another_batch_what_they_take_from_one_in_their_file(any_shop: Shop, name: str,
                                                                                            ) -> None:
    """The items are those of one file, whether the parent comes first or last, and with `wait` or without, if last."""
    shop, (header, parents, variants, how) = any_shop, FILES[name]
    whole = _run(shop, header, parents + variants, collection=f"{name}-whole", **how)
    assert whole.outcome is Outcome.CLEAN, shop.codes(whole.id)
    for collection, references in ((f"{name}-late", WAIT), (f"{name}-late-off", None)):
        batch = _run(shop, header, variants, collection=collection, **how)
        assert _results(shop, batch) == ["waiting"] * len(variants), shop.codes(batch.id)
        assert {kind for kind, *_ in _waiting_for(shop, batch)} == {"parent"}
        parent = _run(shop, header, parents, collection=collection, **{**how, "references": references})
        assert parent.outcome is Outcome.CLEAN, shop.codes(parent.id)
        healed = _again(shop, batch)
        assert (healed.outcome, healed.counts.created) == (Outcome.CLEAN, len(variants)), shop.codes(batch.id)
        assert _items(shop, collection) == _items(shop, f"{name}-whole")
    assert _run(shop, header, parents, collection=f"{name}-early", **how).outcome is Outcome.CLEAN
    assert _run(shop, header, variants, collection=f"{name}-early", **how).outcome is Outcome.CLEAN
    assert _items(shop, f"{name}-early") == _items(shop, f"{name}-whole")
    nothing = _run(shop, header, variants, collection=f"{name}-none", **{**how, "references": None})
    assert nothing.counts.rejected + nothing.counts.created == len(variants)
    assert not shop.store.awaits_parents("acme", f"{name}-none")


def _waiting_for(shop: Shop, batch: Batch) -> list[tuple[str, str, int]]:
    return [(each.kind, each.code, each.records) for each in shop.store.waiting_for("acme", batch.id)]


def test_however_rows_are_spread_over_batches_the_catalogue_is_that_of_one_file(opens: Opens) -> None:
    """Of a file whose variants may stand anywhere: also if its parents wait themselves, or batches are worked together.
    """
    shop = opens("acme", chunk_records_max=2)
    header, parents, variants, _ = FILES["woocommerce"]
    rows = [*parents, *variants, "99,simple,S,Solo,1.00,,,", "89,variation,V-M,,8.00,V,,"]
    shop.reference("brand", ReferenceEntry(code="Known"))
    assert _run(shop, header, rows, collection="whole").outcome is Outcome.CLEAN
    expected, numbers = json.dumps(shop.items("whole")), itertools.count()

    @settings(deadline=None, max_examples=effort.examples(12), phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(order=st.permutations(range(len(rows))), cuts=st.sets(st.integers(1, len(rows) - 1)), together=st.booleans())
    def check(order: list[int], cuts: set[int], together: bool) -> None:
        name, sent = f"c{next(numbers)}", []
        for begin, end in itertools.pairwise([0, *sorted(cuts), len(rows)]):
            body = _csv(header, [rows[at].replace("Known", name) for at in order[begin:end]])
            sent.append(shop.send(
                body, collection=name, format="csv", currency="EUR", references=WAIT, profile="woocommerce"
            ))
            if not together:
                shop.work()
        shop.work()
        batches = [shop.engine.batch("acme", one) for one in sent]
        assert sum(batch.counts.waiting for batch in batches) == 3, "the brand of W is not known yet"
        shop.reference("brand", ReferenceEntry(code=name))
        shop.work()
        for batch in (shop.engine.batch("acme", one) for one in sent):
            assert (batch.outcome, batch.counts.accounted) == (Outcome.CLEAN, batch.total), shop.codes(batch.id)
        assert shop.items(name) == json.loads(expected.replace("Known", name))

    check()


def test_a_variant_whose_parent_does_not_come_is_rejected(shop: Shop) -> None:
    """With that reason; a retry finds the parent once it is there. Nothing else says that it lacks a title."""
    header, parents, variants, _ = FILES["woocommerce"]
    batch = _run(shop, header, variants[:1], waiting_hours=1e-9)
    expired = _again(shop, batch)
    assert (expired.outcome, shop.codes(batch.id)) == (
        Outcome.REJECTED, {1: ["group_parent_missing", "reference_overdue"]}
    )
    _run(shop, header, parents)
    shop.engine.retry("acme", batch.id)
    assert _again(shop, batch).outcome is Outcome.CLEAN


def test_other_errors_and_other_verbs_do_not_wait(shop: Shop) -> None:
    """An update needs no parent, nor does a deletion; a wrong price rejects at once, and says both."""
    header, parents, variants, _ = FILES["woocommerce"]
    wrong = _run(shop, header, ["78,variation,W-S,,-5.00,W,,"])
    assert (wrong.counts.rejected, "group_parent_missing" in shop.codes(wrong.id)[1]) == (1, True)
    _run(shop, header, parents + variants)
    for verb, result in (("update", "updated"), ("delete", "deleted")):
        rows = [f"78,variation,W-S,,9.00,none,,,{verb}"]
        batch = _run(shop, f"{header},_verb", rows, profile="woocommerce")
        assert _results(shop, batch) == [result], shop.codes(batch.id)
    assert _run(shop, header, ["88,variation,V-S,,7.50,none,,"], verb="update").counts.updated == 1


def test_a_parent_that_is_not_accepted_has_not_arrived(shop: Shop) -> None:
    """Nor in a dry run; it has when a fix corrects it, or when what it waits for arrives."""
    header, _, variants, _ = FILES["woocommerce"]
    batch = _run(shop, header, variants[:1])
    wrong = _run(shop, header, ["77,variable,W,#REF!,,,Nice,"])
    assert (wrong.counts.rejected, _again(shop, batch).counts.waiting) == (1, 1), shop.codes(wrong.id)
    _run(shop, header, ["77,variable,W,Dry,,,Nice,"], dry_run=True)
    assert _again(shop, batch).counts.waiting == 1
    shop.fix(wrong.id, shop.report(wrong.id).replace(b"#REF!", b"Shirt"), format="csv")
    assert (_again(shop, batch).outcome, shop.items()["W-S"]["title"]) == (Outcome.CLEAN, "Shirt")  # type: ignore[index]
    later = _run(shop, header, variants[2:])
    parent = _run(shop, header, ["87,variable,V,Cap,,,Warm,Acme"])
    assert (parent.counts.waiting, _again(shop, later).counts.waiting) == (1, 1)
    shop.reference("brand", ReferenceEntry(code="Acme"))
    assert _again(shop, later).outcome is Outcome.CLEAN
    assert shop.items()["V-S"]["brand"] == "Acme"  # type: ignore[index]


def test_the_last_parent_counts(shop: Shop) -> None:
    """A variant takes from what the parent was submitted as last; items that are there keep what they took."""
    header, _, variants, _ = FILES["woocommerce"]
    _run(shop, header, ["77,variable,W,Old,,,,"])
    _run(shop, header, variants[:1])
    _run(shop, header, ["77,variable,W,New,,,,"])
    _run(shop, header, ["80,variation,W-L,,5.00,W,,"])
    assert {key: item["title"] for key, item in shop.items().items()} == {"W-S": "Old", "W-L": "New"}  # type: ignore[index]


def test_a_file_without_waiting_keeps_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks once whether anybody waits for its parents, and a file of rows that stand alone never."""
    asked: list[str] = []
    real = shop.store.awaits_parents
    monkeypatch.setattr(shop.store, "awaits_parents", lambda *of: asked.append(of[1]) or real(*of))
    monkeypatch.setattr(shop.store, "group_parents", None)
    header, parents, variants, _ = FILES["woocommerce"]
    _run(shop, header, parents + variants, references=None)
    _run(shop, "sku,title,price", ["A,Cup,1.00"], references=None)
    assert asked == ["products"]
