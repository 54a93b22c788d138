"""Batches of any sort, and in plain words what is to become of them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from goodsgate.model.batch import Duplicates, Verb
from tests import stores
from tests.shop import Shop, ndjson

KEYS = st.sampled_from(["A", "a", "B", "C", "D"])
RECORD = st.fixed_dictionaries(
    {"id": KEYS},
    optional={
        "title": st.sampled_from(["one", "two", "three", ""]),
        "version_number": st.integers(1, 4),
        "color": st.sampled_from(["red", "blue"]),
        "_verb": st.sampled_from(["upsert", "create", "update", "delete"]),
    },
)
BATCH = st.tuples(
    st.sampled_from(["acme", "other"]), st.sampled_from(list(Verb)), st.sampled_from(list(Duplicates)),
    st.lists(RECORD, min_size=1, max_size=7),
)
type_of = {"upsert": Verb.UPSERT, "create": Verb.CREATE, "update": Verb.UPDATE, "delete": Verb.DELETE}
Held = dict[str, tuple[dict[str, object] | None, int | None]]


@contextmanager
def opened(kind: str, *merchants: str, **how: object) -> Iterator[Shop]:
    """A shop on a fresh store, which goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        with Shop(Path(folder), *merchants, kind=kind, **how) as shop:
            yield shop
        stores.drop(Path(folder))


def one_by_one(held: Held, verb: Verb, duplicates: Duplicates, records: list[dict[str, object]]) -> list[str]:
    """The contract in plain words: results of a batch, and what is held after it."""
    results: list[str] = []
    seen: set[str] = set()
    for sent in records:
        record = {name: value for name, value in sent.items() if name not in ("_verb", "version_number")}
        verb_now = type_of[str(sent["_verb"])] if "_verb" in sent else verb
        key, version = str(record["id"]), sent.get("version_number")
        assert version is None or isinstance(version, int)
        whole = verb_now in (Verb.UPSERT, Verb.CREATE)
        is_repeated, before = key in seen and duplicates is not Duplicates.OFF, held.get(key)
        seen.add(key)
        if whole and not record.get("title"):
            results.append("rejected")
            continue
        document, had = before or (None, None)
        if version is not None and had is not None and version < had:
            results.append("superseded")
        elif verb_now is Verb.DELETE:
            results.append("deleted" if document is not None else "unchanged")
            if document is not None or version is not None:
                held[key] = (None, version if version is not None else (had if document is None else None))
        elif (verb_now is Verb.CREATE and document is not None) or (verb_now is Verb.UPDATE and document is None):
            results.append("rejected")
        elif verb_now is Verb.UPDATE and record.get("title") == "":
            results.append("rejected")  # a patch may leave the title out, but the whole it makes needs one
        else:
            merges = verb_now is Verb.UPDATE or not (is_repeated and duplicates is Duplicates.LAST)
            merged = {**(document or {}), **record} if merges else record
            same = document is not None and [*merged.items()] == [*document.items()]  # another order is another text
            results.append("created" if document is None else "unchanged" if same else "updated")
            held[key] = (merged, version if version is not None else had)
        if is_repeated and duplicates is Duplicates.REJECT and results[-1] in ("created", "updated", "deleted"):
            results[-1] = "rejected"
            if before is None:
                del held[key]
            else:
                held[key] = before
    return results


class Expected(msgspec.Struct):
    """What the plain model says of everything that was sent."""

    held: dict[str, Held]
    sent: list[tuple[str, str, list[str]]] = []
    """Merchant, batch, result of each record."""

    def send(self, shop: Shop, batch: tuple[str, Verb, Duplicates, list[dict[str, object]]]) -> None:
        """To the shop, and to the model."""
        merchant, verb, duplicates, records = batch
        id = shop.send(ndjson(records), merchant=merchant, verb=verb, duplicates=duplicates)
        self.sent.append((merchant, id, one_by_one(self.held[merchant], verb, duplicates, records)))

    def check(self, shop: Shop) -> None:
        """Results of every record and the whole catalogue, for every merchant."""
        for merchant, batch, results in self.sent:
            assert [str(row.result) for row in shop.results(batch, merchant=merchant)] == results
            ended = shop.engine.batch(merchant, batch)
            assert ended.counts.accounted == ended.total == len(results)
            rejected = {f.number for f in shop.findings(batch, merchant=merchant) if f.result == "rejected"}
            assert rejected == {n for n, result in enumerate(results, 1) if result == "rejected"}
        for merchant, held in self.held.items():
            expected = {key: document for key, (document, _) in held.items() if document is not None}
            assert shop.items(merchant=merchant) == expected
