"""Records judged in two halves are judged as they are together; whose rules they are judged by."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.config import Config
from goodsgate.engine.check import Rules, judge
from goodsgate.engine.shape import settle_shape
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.issue import issue
from goodsgate.rules import ReferenceData, checker
from goodsgate.store.contract import Page
from tests.make import product

RULES = checker(Kind.PRODUCT, Policy(), ReferenceData.build({}), issues_per_record_max=100, depth_max=16)
RECORD = st.fixed_dictionaries(
    {"id": st.sampled_from(["A", "B", "C", ""]), "title": st.sampled_from(["Tent", "", 5])},
    optional={"_verb": st.sampled_from(["delete", "update", "nonsense"]), "price": st.sampled_from(["1 EUR", "1,0"])},
)
LINE = st.one_of(RECORD.map(orjson.dumps), st.just(b"{"))


@settings(deadline=None)
@given(st.lists(LINE, max_size=8), st.integers(0, 8), st.sets(st.integers(0, 7)))
def test_halves_make_the_whole(lines: list[bytes], cut: int, flawed: set[int]) -> None:
    """Documents, keys, verbs, hashes, and every issue at its record."""
    stretch = Stretch(
        lines=lines, rows=[], places=[*range(len(lines))], bytes_done=0,
        unreadable={at: issue("line_too_long", value="x") for at in flawed if at < len(lines)},
    )
    shape, _ = settle_shape(Kind.PRODUCT, Policy(), columns=None, sample=lines)
    parts = stretch.part(0, cut), stretch.part(cut, len(lines))
    first, second = (judge(part, shape, RULES) for part in parts)
    joined, whole = first.joined(second), judge(stretch, shape, RULES)
    assert [*joined.documents] == [*whole.documents]
    for name in ("keys", "versions", "verbs", "hashes", "issues", "refs"):
        assert getattr(joined, name) == getattr(whole, name), name


class Asked:
    """A store of reference data alone, that counts what is read of it."""

    def __init__(self, **brands: list[str]) -> None:
        self.brands = brands
        self.reads = 0

    def reference_version(self, merchant: str) -> int:
        """0 of who has none."""
        return len(self.brands.get(merchant, ()))

    def reference(self, merchant: str, kind: str, *, after: str | None, limit: int) -> Page[ReferenceEntry]:
        """Of brands."""
        self.reads += 1
        assert (after, limit > 1) == (None, True)
        return Page([ReferenceEntry(code=code) for code in self.brands.get(merchant, ()) if kind == "brand"], None)


def test_who_has_no_reference_data_shares_the_rules_of_the_others() -> None:
    """However many they are, nothing is read for them; who has some is checked by it, and alone."""
    store = Asked(acme=["Bolt"])
    rules = Rules(store, Config(store="unused"), {})  # type: ignore[arg-type]
    record = [orjson.dumps(product(brand="Other"))]
    for number in range(100):
        assert rules.checker(f"m{number}", Kind.PRODUCT, Policy()) is rules.checker("m0", Kind.PRODUCT, Policy())
    assert store.reads == 0
    assert not rules.checker("m0", Kind.PRODUCT, Policy()).check(record).issues
    assert rules.checker("acme", Kind.PRODUCT, Policy()).check(record).issues
    assert store.reads > 0
    store.brands["m0"] = ["Bolt"]
    assert not rules.checker("m0", Kind.PRODUCT, Policy()).check(record).issues
    rules.anew()
    assert rules.checker("m0", Kind.PRODUCT, Policy()).check(record).issues
    assert not rules.checker("m1", Kind.PRODUCT, Policy()).check(record).issues
