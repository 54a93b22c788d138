"""Create a large set of reference data for `goodsgate reference starter FOLDER` from public data beside the checkout.

    python demo/starter.py DATA FOLDER

DATA is a folder of public data with the folders bestbuy and reference, such as tests/samples. Categories are Best Buy's
(CC0 1.0), cut to three levels; brands are those of its product sample (Apache-2.0); HS codes are those of
datasets/harmonized-system (PDDL 1.0). Their licences and notices are copied. Templates, attributes, tax rules and
locations are the ones that come with Goodsgate.
"""

import csv
import gzip
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

OURS = Path(__file__).resolve().parents[1] / "src/goodsgate/cli/starter"
LEVELS = 3
LICENCES = {
    "bestbuy": ("LICENSE-CC0", "LICENSE-sample-Apache-2.0", "NOTICE.md"), "reference": ("NOTICE.md",),
}


def categories(data: Path) -> list[dict[str, object]]:
    """Return the categories of the first three levels; each top category is also a department."""
    with gzip.open(data / "bestbuy/categories.json.gz", "rt", encoding="utf-8") as file:
        all_categories = json.load(file)
    codes = {category["id"] for category in all_categories}
    rows = []
    for category in all_categories:
        path = [step["id"] for step in category["path"]]
        if len(path) <= LEVELS:
            row = {"code": category["id"], "name": category["name"], "level": len(path)}
            above = [code for code in path[:-1] if code in codes]  # the data lack some categories
            rows.append(row | ({"parent": above[-1]} if above else {"department": category["id"]}))
    return rows


def brands(data: Path) -> list[dict[str, object]]:
    """Return the brands of the products, each once, numbered in their order."""
    with gzip.open(data / "bestbuy/products-sample.json.gz", "rt", encoding="utf-8") as file:
        names = dict.fromkeys(product["brand"] for product in json.load(file) if product.get("brand"))
    return [{"code": str(number), "name": name} for number, name in enumerate(names, 1)]


def hs_codes(data: Path) -> list[dict[str, object]]:
    """Return the headings and subheadings."""
    with gzip.open(data / "reference/harmonized-system.csv.gz", "rt", encoding="utf-8") as file:
        return [
            {"code": row["hscode"], "name": row["description"], "type": "HS"} for row in csv.DictReader(file)
            if len(row["hscode"]) in (4, 6)
        ]


def write(folder: Path, kind: str, rows: Iterable[dict[str, object]]) -> None:
    """Write one entry per line."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / f"{kind}.ndjson").write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines):,} entries of {kind}")


def main(data: Path, folder: Path) -> None:
    """Write all files."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = categories(data)
    write(folder, "category", tree)
    write(folder, "department", ({"code": row["code"], "name": row["name"]} for row in tree if row["level"] == 1))
    write(folder, "brand", brands(data))
    write(folder, "hs_code", hs_codes(data))
    for kind in ("template.csv", "tax_rule.ndjson", "location.csv"):
        shutil.copy(OURS / kind, folder / kind)
    for source, names in LICENCES.items():
        (folder / "licences" / source).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(data / source / name, folder / "licences" / source / name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
