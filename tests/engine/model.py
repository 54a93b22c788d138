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
        "price": st.sampled_from(["1.00 EUR", "2.00 EUR"]),
        "_verb": st.sampled_from(["upsert", "create", "update", "delete"]),
    },
)
BATCH = st.tuples(
    st.sampled_from(["acme", "other"]), st.sampled_from(list(Verb)), st.sampled_from(list(Duplicates)),
    st.lists(RECORD, min_size=1, max_size=7),
)
type_of = {"upsert": Verb.UPSERT, "create": Verb.CREATE, "update": Verb.UPDATE, "delete": Verb.DELETE}
Versions = dict[str, int | None]
"""Group of fields → its version."""
Held = dict[str, tuple[dict[str, object] | None, Versions]]
"""Key → record, or None if it was deleted, and its versions."""


def group_of(name: str) -> str:
    """The group of a field: that of the price is apart from all others."""
    return {"id": "key", "price": "price"}.get(name, "content")


def is_newer(versions: Versions, version: int | None) -> bool:
    """Whether any group has a newer version."""
    return version is not None and any(each is not None and version < each for each in versions.values())


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
        document, versions = before or (None, {"price": None, "content": None})
        merges = verb_now is not Verb.UPSERT or not (is_repeated and duplicates is Duplicates.LAST)
        groups = {"price", "content"} if not merges else {group_of(name) for name in record} - {"key"}
        older = {group for group in groups if is_newer({group: versions[group]}, version)}
        newer = {name: value for name, value in record.items() if group_of(name) not in older}
        is_stale = is_newer(versions, version)
        if is_stale and (document is None or verb_now in (Verb.CREATE, Verb.DELETE)):
            results.append("superseded")
        elif verb_now is Verb.DELETE:
            results.append("deleted" if document is not None else "unchanged")
            if document is not None or version is not None:
                had = versions if document is None and version is None else dict.fromkeys(versions, version)
                held[key] = (None, had)
        elif (verb_now is Verb.CREATE and document is not None) or (verb_now is Verb.UPDATE and document is None):
            results.append("rejected")
        elif verb_now is Verb.UPDATE and newer.get("title") == "":
            results.append("rejected")  # a patch may leave the title out, but the whole it makes needs one
        else:
            kept = {
                name: value for name, value in (document or {}).items()
                if merges or name in newer or group_of(name) in older
            }
            merged = {**kept, **newer} if merges or older else record
            same = document is not None and [*merged.items()] == [*document.items()]  # another order is another text
            lost = {name for name in record if name not in newer and record[name] != (document or {}).get(name)}
            superseded = same and is_stale and (lost or len(newer) == 1)  # the key alone
            results.append(
                "created" if document is None else "superseded" if superseded else "unchanged" if same else "updated"
            )
            after = versions if version is None else {**versions, **dict.fromkeys(groups - older, version)}
            held[key] = (merged, after)
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
