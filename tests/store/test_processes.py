"""What processes tell each other: workers that are alive, and shares of quotas."""

from tests.store.scene import Scene


def _lease(scene: Scene, amount: int, limit: int = 10, *, merchant: str = "acme", quota: str = "requests") -> int:
    return scene.store.lease_quota(merchant, quota, window_seconds=60, least=1, amount=amount, limit=limit).granted


def test_workers_are_counted_while_they_are_heard_of(scene: Scene) -> None:
    """One that has ended is not, nor one that has been silent for a minute."""
    assert scene.store.statistics()["workers"] == 0
    for name in ("one", "two", "one"):
        scene.store.note_worker(name)
    assert scene.store.statistics()["workers"] == 2
    scene.store.forget_worker("two")
    scene.clock.forward(59)
    statistics = scene.store.statistics()
    assert (statistics["workers"], statistics["worker_seen_seconds"]) == (1, 59.0)
    scene.clock.forward(2)
    assert scene.store.statistics()["workers"] == 0


def test_leases_of_a_quota_are_never_more_than_the_quota(scene: Scene) -> None:
    """Each merchant and each quota has its own."""
    assert [_lease(scene, 4) for _ in range(4)] == [4, 4, 2, 0]
    assert _lease(scene, 4, merchant="bolt") == 4
    assert _lease(scene, 4, quota="others") == 4
    assert _lease(scene, 4, limit=11) == 1
    assert _lease(scene, 4, limit=5) == 0


def test_a_quota_is_whole_again_in_the_next_window(scene: Scene) -> None:
    """Windows begin at multiples of their length."""
    before = scene.store.lease_quota("acme", "requests", window_seconds=60, least=1, amount=10, limit=10)
    assert (before.granted, before.used) == (10, 10)
    assert before.ends_at.timestamp() % 60 == 0
    assert 0 < before.seconds_left <= 60
    scene.clock.forward(before.seconds_left)
    after = scene.store.lease_quota("acme", "requests", window_seconds=60, least=1, amount=3, limit=10)
    assert (after.granted, after.used) == (3, 3)
    assert (after.ends_at - before.ends_at).total_seconds() == 60


def test_nothing_is_taken_where_too_little_is_left(scene: Scene) -> None:
    """What is left stays for others who need less."""
    assert _lease(scene, 8) == 8
    too_much = scene.store.lease_quota("acme", "requests", window_seconds=60, least=3, amount=5, limit=10)
    assert (too_much.granted, too_much.used) == (0, 8)
    assert _lease(scene, 5) == 2
