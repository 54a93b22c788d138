"""Cut the samples of this folder from the complete public data sets.

    python tests/samples/cut.py DATA

DATA is a folder with one folder for each data set, as named below. Every n-th record is kept as it is, byte for byte
where the format allows it, and the rare faults are kept in full. The licence files and notices are copied along.
"""

import csv
import gzip
import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTROL = re.compile("[\x7f-\x9f]")
NOTICES = {
    "openfoodfacts": ("NOTICE.md",),
    "luma-apparel": ("NOTICE.md", "LICENSE.txt", "LICENSE_AFL.txt"),
    "kibo-sandbox": ("NOTICE.md",),
    "bestbuy": ("NOTICE.md", "LICENSE-CC0", "LICENSE-sample-Apache-2.0"),
    "reference": ("NOTICE.md",),
}


def read(path: Path) -> bytes:
    """Return the unpacked bytes of a file."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def write(name: str, content: bytes) -> None:
    """Write a sample; gzip without a time, so that the same input gives the same bytes."""
    path = HERE / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content, 9, mtime=0) if path.suffix == ".gz" else content)


def cut_table(content: bytes, step: int, *, delimiter: str = ",", keep: Callable[[dict[str, str]], bool]) -> bytes:
    """Return the header, every `step`-th row and the rows to `keep`, each with the bytes that it has."""
    lines = content.decode("utf-8").splitlines(keepends=True)
    reader = csv.reader(iter(lines), delimiter=delimiter)
    header = [name.removeprefix("\ufeff") for name in next(reader)]
    kept = lines[: reader.line_num]
    before = reader.line_num
    for number, cells in enumerate(reader):
        if number % step == 0 or keep(dict(zip(header, cells, strict=False))):
            kept += lines[before : reader.line_num]
        before = reader.line_num
    return "".join(kept).encode()


def is_bad_gtin(code: str) -> bool:
    """Return whether the text is a GTIN of a valid length with a wrong check digit."""
    if not code.isdigit() or len(code) not in (8, 12, 13, 14):
        return False
    digits = [int(digit) for digit in code]
    weighted = sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return weighted % 10 != 0


def main(data: Path) -> None:
    """Cut every sample."""
    csv.field_size_limit(1024**2)

    def is_rare(row: dict[str, str]) -> bool:
        return not row["code"] or not row["product_name"] or is_bad_gtin(row["code"])

    food = "openfoodfacts/products-2020-spreadsheet.csv.gz"
    write(food, cut_table(read(data / food), 12, keep=is_rare))
    food = "openfoodfacts/products-2026-export.tsv.gz"
    write(food, cut_table(read(data / food), 12, delimiter="\t", keep=is_rare))
    luma = "luma-apparel/configurable-products.csv.gz"
    write(luma, cut_table(read(data / luma), 20, keep=lambda row: False))
    write("luma-apparel/products_gear_bags.csv", read(data / "luma-apparel/products_gear_bags.csv"))

    write("kibo-sandbox/inventory.jsonl.gz", read(data / "kibo-sandbox/inventory.jsonl.gz"))
    products = read(data / "kibo-sandbox/products.jsonl.gz").splitlines(keepends=True)
    write("kibo-sandbox/products.jsonl.gz", b"".join(products[::4]))

    products = json.loads(read(data / "bestbuy/products-sample.json.gz"))
    sample = [
        product for number, product in enumerate(products)
        if number % 15 == 0 or "&" in product["name"] or CONTROL.search(json.dumps(product, ensure_ascii=False))
    ]
    write("bestbuy/products-sample.json.gz", json.dumps(sample, indent=2).encode())
    categories = json.loads(read(data / "bestbuy/categories.json.gz"))
    write("bestbuy/categories.json.gz", json.dumps(categories[::10]).encode())

    write("reference/currency-codes.csv", read(data / "reference/currency-codes.csv"))
    rows = list(csv.DictReader(io.StringIO(read(data / "reference/harmonized-system.csv.gz").decode())))
    chapters = io.StringIO(newline="")
    writer = csv.DictWriter(chapters, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row for row in rows if row["hscode"][:2] in ("01", "22", "61", "64", "85", "95"))
    write("reference/harmonized-system.csv.gz", chapters.getvalue().encode())

    for folder, names in NOTICES.items():
        for name in names:
            shutil.copy(data / folder / name, HERE / folder / name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
