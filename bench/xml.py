"""Google RSS against the same records as NDJSON, and the memory of a worker on a large XML: `python -m bench xml`.

`python -m bench.xml --mb 1000` runs the file of 1 GB, for which the demand on memory is made, through a whole gate.
"""

import argparse
import time
from collections.abc import Iterator
from xml.sax.saxutils import escape

import orjson

from bench.embedded import records_per_second
from bench.figures import Figure, lines_of
from bench.gate import Gate
from goodsgate.model.batch import Policy

RECORDS = 20_000
RATIO_MIN = 0.25
SIZE_MB = 100
WORKER_MB_MAX = 400.0
TURNS = 3
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>\n'
TAIL = "</channel></rss>\n"
TEXT = "Soft and warm, knitted of recycled wool, for every day between autumn & spring. " * 40
FIELDS = ("id", "title", "description", "brand", "link", "image_link", "gtin")


def parts(short: bool) -> Iterator[Figure]:
    """Compare the records per second of processor time, and watch the worker of a gate."""
    count = RECORDS // 10 if short else RECORDS
    products = [_product(line) for line in lines_of(count)]
    lines = b"".join(orjson.dumps(product) + b"\n" for product in products)
    document = (HEAD + "".join(map(_item, products)) + TAIL).encode()
    ratios = sorted(
        records_per_second(document, "xml", Policy()) / records_per_second(lines, "ndjson", Policy())
        for _ in range(TURNS)
    )
    yield Figure(
        "records/s of Google RSS, to the same as NDJSON", ratios[TURNS // 2], RATIO_MIN, least=True,
        detail=f"{count:,} records, processor time, all runs: " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
    )
    yield memory(SIZE_MB // 10 if short else SIZE_MB)


def memory(size_mb: int) -> Figure:
    """Return the peak of a worker's memory on an XML of this size."""
    with Gate() as gate:
        begin = time.perf_counter()
        document = gate.finish(gate.submit(_stream(size_mb), media="application/xml"))
        counts = document["counts"]
        detail = f"{counts['total']:,} records, {document['state']}, {time.perf_counter() - begin:.0f} s"
        what = f"{size_mb} MB Google RSS: peak RSS of worker, MB"
        return Figure(what, gate.peaks["worker"], WORKER_MB_MAX, least=False, detail=detail)


def _product(line: bytes) -> dict[str, str]:
    product = orjson.loads(line)
    return {name: product[name] for name in FIELDS if isinstance(product.get(name), str)} | {"price": "19.99 EUR"}


def _item(product: dict[str, str]) -> str:
    return "<item>" + "".join(f"<g:{name}>{escape(text)}</g:{name}>" for name, text in product.items()) + "</item>\n"


def _stream(size_mb: int) -> Iterator[bytes]:
    """Yield an RSS of about this size."""
    yield HEAD.encode()
    sent = number = 0
    while sent < size_mb * 1_000_000:
        products = (
            {"id": f"S{(number + at) * 7919 % 100_000_007:09}", "title": f"Beanie {number + at}", "description": TEXT,
             "link": f"https://shop.example/{number + at}", "price": "19.99 EUR"}
            for at in range(200)
        )
        piece = "".join(map(_item, products)).encode()
        number += 200
        sent += len(piece)
        yield piece
    yield TAIL.encode()


if __name__ == "__main__":
    ask = argparse.ArgumentParser(description="Memory of a worker on a large XML.")
    ask.add_argument("--mb", type=int, default=SIZE_MB)
    figure = memory(ask.parse_args().mb)
    print(f"{figure.what}: {figure.measured:.0f} of at most {figure.demand:.0f}; {figure.detail}")
