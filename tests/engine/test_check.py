"""Records judged in two halves are judged as they are together."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.check import judge
from goodsgate.engine.shape import settle_shape
from goodsgate.engine.source import Stretch
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.issue import issue
from goodsgate.rules import Reference, checker

RULES = checker(Kind.PRODUCT, Policy(), Reference.build({}), issues_per_record_max=100, depth_max=16)
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
    for name in ("keys", "versions", "verbs", "hashes", "issues", "ties"):
        assert getattr(joined, name) == getattr(whole, name), name
