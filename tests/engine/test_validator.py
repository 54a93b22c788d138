"""Which rules check the records of a merchant."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from goodsgate.engine.mapping_resolution import resolve_mapping
from goodsgate.engine.settings import CheckLimits
from goodsgate.engine.validator import Validator
from goodsgate.formats import Chunk
from goodsgate.model.batch import Kind, Policy, RoundKind
from goodsgate.model.catalogue import ReferenceEntry, Resource
from goodsgate.rules import Checker, SchemaChecker
from goodsgate.store.contract import ClaimedRound, Page
from tests.factories import product


class ReferenceReads:
    """A store with reference data only, which counts its reads."""

    def __init__(self, **brands: list[str]) -> None:
        self.brands = brands
        self.reads = 0

    def reference_version(self, merchant: str) -> int:
        """Return 0 for a merchant without reference data."""
        return len(self.brands.get(merchant, ()))

    def reference(self, merchant: str, kind: str, *, after: str | None, limit: int) -> Page[ReferenceEntry]:
        """Return one page of brands."""
        self.reads += 1
        assert (after, limit > 1) == (None, True)
        return Page([ReferenceEntry(code=code) for code in self.brands.get(merchant, ()) if kind == "brand"], None)

    def resources(self, merchant: str, type: str, *, limit: int) -> list[Resource]:
        """Return no rules of the merchant's own."""
        self.reads += 1
        return []


def test_merchants_without_reference_data_share_their_rules() -> None:
    """Nothing is read for them; a merchant with reference data is checked by its own alone."""
    store = ReferenceReads(acme=["Bolt"])
    validator = Validator(store, CheckLimits(), {})  # type: ignore[arg-type]
    record = [orjson.dumps(product(brand="Other"))]

    def rules(merchant: str) -> Checker | SchemaChecker:
        return validator.rules(merchant, Kind.PRODUCT, Policy(), collection="products")

    for number in range(100):
        assert rules(f"m{number}") is rules("m0")
    assert store.reads == 0
    assert not rules("m0").check(record).issues
    assert rules("acme").check(record).issues
    assert store.reads > 0
    store.brands["m0"] = ["Bolt"]
    assert not rules("m0").check(record).issues
    validator.refresh()
    assert rules("m0").check(record).issues
    assert not rules("m1").check(record).issues


RECEIVED = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTED = RECEIVED + timedelta(days=9)
SPOILED = {"title": "Café&nbsp;mug"}
"""Only the rules know what to say of it."""


@pytest.mark.parametrize("further", [{}, SPOILED])
@pytest.mark.parametrize(("number", "begin"), [(0, RECEIVED), (1, STARTED)])
def test_a_clock_may_be_ahead_of_the_submission_by_a_bound(number: int, begin: datetime, further: dict[str, object],
                                                           ) -> None:
    """Of the batch, or of the start of a fix or a retry; the time of the check does not matter."""
    last, zone = begin + timedelta(seconds=60), timezone(timedelta(hours=9))
    stamps = [
        {"observed_at": last.isoformat()}, {"observed_at": last.astimezone(zone).isoformat()},
        {"observed_at": "9999-12-31T23:59:59Z", "version_number": 2**63 - 1},
        {"observed_at": (last + timedelta(microseconds=1)).isoformat()}, {"observed_at": "9999-12-31T23:59:59-13:00"},
        {"observed_at": "2071-01-01"},
    ]
    lines = [orjson.dumps({**product(at), **further, **stamp}) for at, stamp in enumerate(stamps)]
    chunk = Chunk(lines=lines, rows=[], source_rows=[*range(len(lines))], bytes_done=0)
    mapping, _ = resolve_mapping(Kind.PRODUCT, Policy(), columns=None)
    round = ClaimedRound(
        merchant="m", batch="", number=number, round_kind=RoundKind.SUBMISSION, kind=Kind.PRODUCT,
        collection="products", policy=Policy(), format="ndjson", content_encoding="identity", bytes_total=0,
        received_at=RECEIVED, started_at=STARTED, cancelling=False, chunks=0, records=0, total=0, columns=None,
        mapping=None,
    )
    validator = Validator(ReferenceReads(), CheckLimits(clock_ahead_seconds_max=60), {})  # type: ignore[arg-type]
    for _ in "checked", "remembered as valid":
        errors = {
            at: (each.code, each.path, each.value, each.expected)
            for at, found in validator.check(chunk, round, mapping).issues.items()
            for each in found if each.severity == "error"
        }
        expected = f"at most {last.isoformat().replace('+00:00', 'Z')}"
        assert errors == {
            at: ("observed_in_future", "/observed_at", stamps[at]["observed_at"], expected) for at in (3, 4, 5)
        }
