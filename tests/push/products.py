"""Files of products that every platform takes."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from goodsgate.rules.gtin import check_digit

_numbers = itertools.count(1)


def write_products(path: Path, count: int, *, titles: dict[int, str] | None = None) -> list[str]:
    """Write a CSV of new products and return their SKUs; `titles` are those of single rows, from 0."""
    skus = []
    lines = ["Artikelnr,Titel,Preis,EAN"]
    for at in range(count):
        number = next(_numbers)
        body = f"0400{number:07d}"
        skus.append(f"NEW_{number}")
        title = (titles or {}).get(at, f"Trail runner {number}")
        lines.append(f"{skus[-1]},{title},{number}.50 INR,{body}{check_digit(body)}")
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return skus


MAPPING: Sequence[str] = ("--map=Artikelnr:sku", "--map=Titel:title", "--map=Preis:price")
