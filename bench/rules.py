"""What rules of a merchant cost: `python -m bench.rules [--records 40000] [--rounds 5] [--rules 20]`.

Two merchants of one store submit the same products in turn, one of them with rules; the worker's CPU time is divided by
the records. Each round is a first load into an empty collection and the same feed again. It prints the medians, and the
median of the ratios of the rounds, with rules to without.
"""

import argparse
import statistics
import tempfile
import time
from datetime import UTC, datetime

from bench.figures import lines_of
from goodsgate.app import create_engine, create_worker, open_store
from goodsgate.config import Config
from goodsgate.engine.saved_rules import save_rule
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import Merchant
from goodsgate.model.record_rule import RecordRule

RULES = (
    "amount(record.price) >= 1.0", "unit(record.price) == 'EUR'", "record.title.size() >= 3",
    "record.title.size() <= 150", "!record.title.contains('TEST')", "!record.title.endsWith('.')",
    "record.title != record.description", "has(record.brand) && record.brand != ''", "record.brand != 'unknown'",
    "record.gtin.size() in [8, 12, 13, 14]", "!record.gtin.startsWith('2')",
    "record.condition in ['new', 'used', 'refurbished']", "record.availability != 'preorder' || has(record.id)",
    "record.link.startsWith('https://')", "record.image_link.startsWith('https://')",
    "record.image_link != record.link",
    "record.additional_image_link.all(link, link.startsWith('https://'))", "record.description.size() <= 5000",
    "record.country_of_origin.size() == 2", "has(record.attributes.color)",
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rules", type=int, default=len(RULES))
    options = parser.parse_args()
    body = b"\n".join(lines_of(options.records, start=0))
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as folder:
        config = Config(store=f"{folder}/store")
        store = open_store(config)
        store.migrate()
        for merchant in ("with", "without"):
            store.add_merchant(Merchant(id=merchant, name=merchant, created_at=datetime.now(UTC)))
        for number, expression in enumerate(RULES[: options.rules]):
            save_rule(store, "with", f"rule-{number}", RecordRule(expression=expression))
        engine, worker = create_engine(store, config), create_worker(store, config)
        times: dict[str, dict[str, list[float]]] = {"new": {}, "again": {}}
        for number in range(options.rounds + 1):
            for load, by_merchant in times.items():
                for merchant in ("with", "without") if number % 2 else ("without", "with"):
                    submission = engine.submit(
                        merchant=merchant, kind=Kind.PRODUCT, collection=f"c{number}", policy=Policy(), format="ndjson"
                    )
                    submission.write(body)
                    batch = submission.finish().batch
                    began = time.process_time()
                    while worker.step():
                        pass
                    if number:  # the first round warms up
                        seconds = time.process_time() - began
                        by_merchant.setdefault(merchant, []).append(seconds / options.records * 1e6)
                    assert batch is not None
                    assert engine.batch(merchant, batch.id).counts.rejected == 0, load
        worker.close()
        store.close()
    for load, by_merchant in times.items():
        ratio = statistics.median(a / b for a, b in zip(by_merchant["with"], by_merchant["without"], strict=True))
        without, with_rules = (statistics.median(by_merchant[name]) for name in ("without", "with"))
        print(f"{load}: {without:.1f} us a record, with {options.rules} rules {with_rules:.1f}: {ratio:.2f}")


if __name__ == "__main__":
    main()
