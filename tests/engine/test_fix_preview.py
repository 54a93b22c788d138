"""What a corrected file would change, before it is sent."""

from pathlib import Path

import pytest

from goodsgate.engine.fix_preview import FixPreview
from tests.shop import Shop

CSV = b"sku,title,price,note\nA,,1.00 EUR,=1+1\nB,Tent,x,\nC,Rope,2.00 EUR,,more\n"
NDJSON = b'{"sku":"A","title":"","n":1.50}\n{"sku":"B","title":"Tent","price":"x"}\nnope\n'


def _preview(shop: Shop, batch: str, content: bytes, format: str) -> FixPreview:
    return shop.engine.preview_fix("acme", batch, [content], format=format)


@pytest.mark.parametrize(("content", "format"), [(CSV, "csv"), (CSV, "tsv"), (CSV, "ndjson"), (NDJSON, "csv"),
                                                 (NDJSON, "ndjson"), (NDJSON, "json")])
def test_a_report_that_comes_back_unchanged_changes_nothing(tmp_path: Path, content: bytes, format: str) -> None:
    """In any format, with marks before formulas, further cells and broken lines."""
    with Shop(tmp_path) as shop:
        batch = shop.run(content, format="csv" if content is CSV else "ndjson").id
        preview = _preview(shop, batch, shop.report(batch, format=format), format)
        assert (preview.match.replacing, preview.changed, preview.examples) == (3, 0, [])


def test_each_changed_cell_is_named(tmp_path: Path) -> None:
    """A new column, a longer row, a member of another type; the first records only."""
    with Shop(tmp_path) as shop:
        batch = shop.run(CSV, format="csv").id
        fixed = b"sku,title,price,note,_row,brand\nA,Shoe,1.00 EUR,=1+1,1,\nB,Tent,x,,2,Acme\nB,Tent,x,,77,\n"
        preview = _preview(shop, batch, fixed, "csv")
        assert [(each.row, each.key, [(cell.name, cell.before, cell.after) for cell in each.cells])
                for each in preview.examples] == [
            (1, "A", [("title", "", "Shoe")]), (2, "B", [("brand", "", "Acme")]),
        ]
        assert preview.unmatched == ["77"]
        batch = shop.run(NDJSON, format="ndjson").id
        fixed = b'{"_row":1,"sku":"A","title":"Shoe","n":2}\n{"_row":3,"sku":"C"}\n'
        preview = _preview(shop, batch, fixed, "ndjson")
        assert [[(cell.name, cell.before, cell.after) for cell in each.cells] for each in preview.examples] == [
            [("title", "", "Shoe"), ("n", "1.50", "2")], [("record", "nope", '{"sku":"C"}')],
        ]
