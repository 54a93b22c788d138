"""Deterministic products of about 1,034 bytes of JSON each, in Goodsgate's field names.

usage: python bench/products.py N OUT [--bad 0.1] [--seed 1] [--start 0] [--version 0] [--shuffle] [--format ndjson|csv]

The same arguments give the same bytes. ``references`` gives the brands, categories, attributes and tax rules that the
products name, so that a benchmark can load them first.
"""

import argparse
import csv
import random
from collections.abc import Callable, Iterator

import orjson

_WORDS = (
    "soft cotton linen merino wool classic slim relaxed outdoor trail running everyday light warm "
    "breathable durable water repellent recycled organic premium handmade vintage modern compact "
    "stainless steel oak walnut glass ceramic leather canvas knitted woven brushed matte glossy"
)
WORDS = _WORDS.split()
COLORS = ("black", "white", "navy", "olive", "sand", "burgundy", "teal", "grey")
COUNTRIES = ("DE", "FR", "PL", "NL", "IT", "ES", "SE", "DK", "AT", "BE")
CONDITIONS = ("new", "used", "refurbished")
AVAILABILITIES = ("in_stock", "out_of_stock", "preorder", "backorder")
SIZES = ("XS", "S", "M", "L", "XL", "XXL")
BRANDS = tuple(f"brand-{number:04d}" for number in range(2_000))
CATEGORIES = tuple(f"cat-{number:05d}" for number in range(5_000))
TAX_RULES = ("STANDARD", "REDUCED", "SUPER_REDUCED", "ZERO", "EXEMPT")

Product = dict[str, object]


def gtin13(number: int) -> str:
    """Return the ``number``-th GTIN-13 from 4000000000000 on, with its check digit."""
    body = f"{400_000_000_000 + number:012d}"
    total = sum((3 if place % 2 else 1) * int(digit) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"


def product(number: int, source: random.Random, *, version: int = 0) -> Product:
    """One clean product; ``version`` moves its price by so many euros."""
    words = source.choices(WORDS, k=35)
    color = source.choice(COLORS)
    sku = f"SKU-{number:09d}"
    euros, cents = source.randrange(2, 999) + version, source.randrange(100)
    return {
        "id": sku,
        "title": f"{words[0].title()} {words[1]} {words[2]} {color}",
        "description": " ".join(words[3:30]),
        "link": f"https://shop.example/p/{words[0]}-{number}",
        "image_link": f"https://img.example/{number}/0.jpg",
        "additional_image_link": [f"https://img.example/{number}/1.jpg"],
        "availability": source.choice(AVAILABILITIES),
        "condition": source.choice(CONDITIONS),
        "brand": source.choice(BRANDS),
        "gtin": gtin13(number),
        "mpn": f"MPN-{number % 99991:06d}",
        "product_type": source.choice(CATEGORIES),
        "price": {"value": f"{euros}.{cents:02d}", "currency": "EUR"},
        "tax_rule": source.choice(TAX_RULES),
        "country_of_origin": source.choice(COUNTRIES),
        "attributes": {"color": color, "material": words[30], "fit": words[31], "season": words[32]},
        "variants": [
            {
                "id": f"{sku}-{size}", "size": size, "price": f"{euros}.{cents:02d} EUR",
                "quantity": source.randrange(500),
            }
            for size in source.sample(SIZES, 3)
        ],
        "tags": words[33:],
        "updated_at": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00Z",
    }


def spoil(record: Product, source: random.Random) -> Product:
    """Put one to four errors of different kinds into a record and give it back."""
    for fault in source.sample(FAULTS, source.choice((1, 1, 2, 4))):
        fault(record)
    return record


def products(
    count: int, bad: float = 0.0, *, seed: int = 1, start: int = 0, version: int = 0, shuffle: bool = False,
) -> Iterator[Product]:
    """``count`` products from number ``start`` on; a share ``bad`` (0 to 1) of them spoiled; shuffled if asked for.

    The shuffled order is a fixed walk through the numbers, so that nothing is held in memory.
    """
    good, evil = random.Random(seed), random.Random(seed + 7919)
    stride = next(step for step in range(7_919, 7_919 + count + 1) if _coprime(step, count)) if shuffle else 1
    for place in range(count):
        record = product(start + place * stride % count, good, version=version)
        yield spoil(record, evil) if bad and evil.random() < bad else record


def references() -> dict[str, list[dict[str, object]]]:
    """Entries of reference data, by kind, under which every clean product is without an issue."""
    colors: dict[str, object] = {"type": "text", "required": True, "allowed": list(COLORS)}
    return {
        "brand": [{"code": brand, "name": brand} for brand in BRANDS],
        "category": [{"code": code, "name": code} for code in CATEGORIES],
        "attribute": [
            entry
            for code in CATEGORIES
            for entry in (
                {"code": f"{code}/color", "name": "color", "data": colors},
                {"code": f"{code}/material", "name": "material", "data": {"type": "text", "required": True}},
            )
        ],
        "tax_rule": [{"code": code, "name": code} for code in TAX_RULES],
    }


def flat(record: Product) -> dict[str, object]:
    """Return the record as one row: nested members under dotted column names."""
    row: dict[str, object] = {}
    _flatten(record, "", row)
    return row


def _flatten(value: object, name: str, row: dict[str, object]) -> None:
    if isinstance(value, dict):
        for member, inner in value.items():
            _flatten(inner, f"{name}.{member}" if name else member, row)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, inner in enumerate(value):
            _flatten(inner, f"{name}.{place}", row)
    else:
        row[name] = ",".join(map(str, value)) if isinstance(value, list) else value


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def _put(*path: str | int, value: object) -> Callable[[Product], None]:
    def fault(record: Product) -> None:
        at: object = record
        for step in path[:-1]:
            at = at[step]  # type: ignore[index]
        at[path[-1]] = value  # type: ignore[index]

    return fault


FAULTS: tuple[Callable[[Product], None], ...] = (
    _put("id", value="SKU\u0007 with a bell in it"),
    _put("title", value=""),
    _put("availability", value="maybe"),
    _put("price", value={"value": "-5.00", "currency": "EUR"}),
    _put("price", value="1.099,00 EUR"),
    _put("gtin", value="8.41E+12"),
    _put("gtin", value="4006381333932"),
    _put("brand", value="Brand 0042"),
    _put("product_type", value="cat-9999x"),
    _put("condition", value="as good as new"),
    _put("variants", 1, "price", value="19,90 EUR"),
    _put("variants", 2, "quantity", value="many"),
    _put("image_link", value="/media/1.jpg"),
    _put("attributes", "color", value="x" * 300),
)
"""What ``spoil`` draws from; each touches one field."""


def _write_ndjson(records: Iterator[Product], path: str) -> None:
    with open(path, "wb", 1 << 20) as file:
        for record in records:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def _write_csv(records: Iterator[Product], path: str) -> None:
    columns = list(flat(product(0, random.Random(0))))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*columns, "price"], extrasaction="ignore")
        writer.writeheader()
        for record in records:
            writer.writerow(flat(record))


def main() -> None:
    """Write a file of products."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("out")
    parser.add_argument("--bad", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--version", type=int, default=0)
    parser.add_argument("--shuffle", action="store_true")
    parser.add_argument("--format", choices=("ndjson", "csv"), default="ndjson")
    given = parser.parse_args()
    records = products(
        given.count, given.bad, seed=given.seed, start=given.start, version=given.version, shuffle=given.shuffle
    )
    (_write_csv if given.format == "csv" else _write_ndjson)(records, given.out)


if __name__ == "__main__":
    main()
