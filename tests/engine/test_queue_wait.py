"""What a queued batch waits for, and its estimated start."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from goodsgate.cli.output import print_batch
from goodsgate.engine.queue_wait import _rounded_up
from goodsgate.model.batch import State, now
from goodsgate.protocols.native.batches import encode_batch
from tests.engine.model import opened
from tests.factories import products
from tests.shop import Shop
from tests.stores import KINDS


@pytest.fixture(params=KINDS)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop."""
    with opened(request.param, "acme") as shop:
        yield shop


def test_a_queued_batch_says_what_it_waits_for(shop: Shop) -> None:
    """How many batches and records, behind which one, and until when about; from the speed of the last batches."""
    batches = [shop.send(products(*range(20))) for _ in range(3)]
    queued = [shop.engine.batch("acme", batch) for batch in batches]
    waits = [shop.engine.queue_wait(batch) for batch in queued]
    assert waits[0] is None, "nothing is in front of it"
    assert [(wait.batch, wait.batches, wait.records, wait.estimated_start) for wait in waits[1:] if wait] == [
        (batches[0], 1, None, None), (batches[0], 2, None, None)
    ], "nothing is known yet"
    shop.work()
    ended = shop.engine.batch("acme", batches[0])
    assert (ended.state, shop.engine.queue_wait(ended)) == (State.FINISHED, None)
    for _ in range(2):
        shop.send(products(*range(20)))
    last = shop.engine.batch("acme", shop.send(products(*range(20))))
    wait = shop.engine.queue_wait(last)
    assert wait is not None
    assert (wait.batches, wait.records) == (2, 40)
    assert wait.estimated_start is not None
    assert now() - timedelta(minutes=5) < wait.estimated_start < now() + timedelta(minutes=5)


def test_it_says_so_to_people(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    """In the document of the API, and in the summary of the command line."""
    shop.run(products(*range(20)))
    shop.send(products(*range(20)))
    batch = shop.engine.batch("acme", shop.send(products(1)))
    document = msgspec.json.decode(encode_batch(batch, queue=shop.engine.queue_wait(batch)))
    assert document["queue"]["records"] == 20
    print_batch(document, as_json=False)
    assert "behind another batch with about 20 records left, starts by" in " ".join(capsys.readouterr().out.split())


def test_other_collections_are_not_waited_for(shop: Shop) -> None:
    """A batch is the first of its own lane."""
    shop.send(products(1))
    other = shop.engine.batch("acme", shop.send(products(1), collection="other"))
    assert (other.position, shop.engine.queue_wait(other)) == (0, None)


def test_a_start_is_rounded_up() -> None:
    """So that the document of a batch does not change all the time."""
    since = now()
    for seconds in (0.0, 1.0, 59.0, 3_600.0):
        start = _rounded_up(since, seconds)
        later = (start - since).total_seconds() - seconds
        assert 0 <= later <= max(1.0, seconds / 4)
    times = {_rounded_up(since + timedelta(seconds=passed), 3_600 - passed) for passed in range(0, 1_000, 50)}
    assert len(times) <= 3
