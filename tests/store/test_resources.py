"""What only one protocol has: counted, named once, changed only by who knows the last version, forgotten at its end."""

from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.catalogue import Resource
from goodsgate.store.contract import NameTakenError, ResourcesFullError, Retention, StoreError
from tests.store.scene import Record, Scene

TYPE = "tested/stream"
KEPT = Retention(
    payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9
)


def _add(scene: Scene, name: str, *, merchant: str = "acme", type: str = TYPE, most: int = 100) -> Resource:
    return scene.store.add_resource(merchant, type, name=name, body=b'{"n":1}', resources_max=most)


def _end(scene: Scene, resource: Resource, seconds: float) -> Resource | None:
    ends_at = scene.clock() + timedelta(seconds=seconds)
    return scene.store.put_resource(msgspec.structs.replace(resource, expires_at=ends_at))


def test_resources_are_counted_by_merchant_and_type(scene: Scene) -> None:
    """From 1; and are found again after a restart."""
    made = [_add(scene, name) for name in ("a", "b")]
    assert [one.number for one in made] == [1, 2]
    assert _add(scene, "a", merchant="bolt").number == _add(scene, "a", type="tested/site").number == 1
    scene.reopen()
    assert scene.store.resource("acme", TYPE, 2) == made[1]
    assert scene.store.resources("acme", TYPE) == made
    assert scene.store.resources("acme", TYPE, after=1, limit=1) == made[1:]
    assert scene.store.resource("acme", TYPE, 3) is None
    assert (scene.store.resource("nobody", TYPE, 1), scene.store.resources("nobody", TYPE)) == (None, [])
    with pytest.raises(StoreError):
        _add(scene, "a", merchant="nobody")


def test_common_numbers_are_unique_over_all_merchants(scene: Scene) -> None:
    """Also after deletions and refusals; other types and other merchants keep their own order."""
    def add(name: str, merchant: str = "acme", type: str = TYPE) -> int:
        return scene.store.add_resource(
            merchant, type, name=name, body=b"{}", resources_max=100, common_numbers=True
        ).number

    assert [add("a"), add("a", "bolt"), add("b"), add("a", type="tested/site")] == [1, 2, 3, 1]
    with pytest.raises(NameTakenError):
        add("a")
    first = scene.store.resource("acme", TYPE, 1)
    assert first is not None
    assert scene.store.put_resource(msgspec.structs.replace(first, name="c")) is not None
    assert [one.number for one in scene.store.resources("acme", TYPE)] == [1, 3]
    assert scene.store.resource("bolt", TYPE, 1) is None
    assert add("b", "bolt") == 4


def test_a_name_is_taken_once(scene: Scene) -> None:
    """The second caller gets an error that names the resource; renaming frees a name. A refusal uses up no number."""
    first, second = _add(scene, "a"), _add(scene, "b")
    with pytest.raises(NameTakenError) as taken:
        _add(scene, "a")
    assert taken.value.number == first.number
    with pytest.raises(NameTakenError) as taken:
        scene.store.put_resource(msgspec.structs.replace(second, name="a"))
    assert taken.value.number == first.number
    assert scene.store.put_resource(msgspec.structs.replace(first, name="A")) is not None
    assert _add(scene, "a").number == 3


def test_only_who_knows_the_last_version_changes_it(scene: Scene) -> None:
    """Nobody else's change is lost."""
    made = _add(scene, "a")
    now = scene.store.put_resource(msgspec.structs.replace(made, body=b'{"n":2}'))
    assert now is not None
    assert (now.version, now.body) == (2, b'{"n":2}')
    assert scene.store.put_resource(msgspec.structs.replace(made, body=b'{"n":3}')) is None
    assert scene.store.resource("acme", TYPE, made.number) == now
    assert scene.store.put_resource(msgspec.structs.replace(made, number=9, name="z")) is None
    assert scene.store.put_resource(msgspec.structs.replace(made, merchant="bolt")) is None


def test_there_are_only_so_many(scene: Scene) -> None:
    """Those that have an end do not count."""
    made = _add(scene, "a", most=1)
    with pytest.raises(ResourcesFullError):
        _add(scene, "b", most=1)
    assert _end(scene, made, 60) is not None
    assert _add(scene, "b", most=1).number == 2


def test_a_name_stays_taken_until_the_end(scene: Scene) -> None:
    """It is listed no more, still found, and then forgotten; its number is not given again."""
    ending = _end(scene, _add(scene, "a"), 60)
    assert ending is not None
    assert scene.store.resources("acme", TYPE) == []
    assert scene.store.resource("acme", TYPE, 1) == ending
    with pytest.raises(NameTakenError):
        _add(scene, "a")
    scene.clock.forward(61)
    assert scene.store.resource("acme", TYPE, 1) is None
    assert _add(scene, "a").number == 2


def test_what_is_past_its_end_is_swept(scene: Scene) -> None:
    """Others stay."""
    for name, seconds in (("a", 60), ("b", 600)):
        _end(scene, _add(scene, name), seconds)
    _add(scene, "c")
    scene.seal()
    scene.run([Record("a")])  # who works is who sweeps
    scene.clock.forward(61)
    assert scene.store.sweep(KEPT, steps_max=10).resources == 1
    assert [scene.store.resource("acme", TYPE, number) is None for number in (1, 2, 3)] == [True, False, False]


def test_labels_list_resources_by_place(scene: Scene) -> None:
    """Under a word, between places, a page at a time; those with an end too, until then."""
    def add(name: str, *labels: tuple[str, int]) -> Resource:
        return scene.store.add_resource(
            "acme", TYPE, name=name, body=b'{"n":1}', resources_max=100, labels=labels,
            expires_at=scene.clock() + timedelta(seconds=60) if name == "c" else None,
        )

    a, b, c = add("a", ("open", 30), ("red", 1)), add("b", ("open", 10)), add("c", ("open", 20), ("red", 1))
    add("d")

    def found(word: str, **asked: int) -> list[Resource]:
        return scene.store.list_by_label("acme", TYPE, word, **asked)

    assert found("open") == [b, c, a]
    assert (found("red"), found("blue")) == ([a, c], [])
    assert found("open", since=20, until=30) == [c, a]
    assert (found("open", limit=1), found("open", offset=1, limit=1)) == ([b], [c])
    assert scene.store.list_by_label("acme", "tested/site", "open") == []
    scene.clock.forward(61)
    assert found("open") == [b, a]
    add("e", ("open", 5))
    assert [one.name for one in found("open")] == ["e", "b", "a"]


def test_labels_change_with_their_resource(scene: Scene) -> None:
    """Or stay, if nothing is said of them; a change that comes too late changes none. What is swept has none."""
    made = scene.store.add_resource("acme", TYPE, name="a", body=b"{}", resources_max=9, labels=[("open", 1)])
    kept = scene.store.put_resource(made)
    assert kept is not None
    assert scene.store.list_by_label("acme", TYPE, "open") == [kept]
    assert scene.store.put_resource(made, labels=[("late", 1)]) is None
    closed = scene.store.put_resource(kept, labels=[("closed", 2), ("all", 1)])
    assert scene.store.list_by_label("acme", TYPE, "open") == scene.store.list_by_label("acme", TYPE, "late") == []
    assert scene.store.list_by_label("acme", TYPE, "closed") == scene.store.list_by_label("acme", TYPE,
        "all") == [closed]
    assert closed is not None
    ended = scene.store.put_resource(msgspec.structs.replace(closed, expires_at=scene.clock()))
    assert ended is not None
    assert scene.store.sweep(KEPT, steps_max=10).resources == 1
    assert scene.store.list_by_label("acme", TYPE, "closed") == []


def test_a_change_of_rules_changes_the_version_of_reference_data(scene: Scene) -> None:
    """In the same transaction; other resources do not, and neither does a change that was too late."""
    before = scene.store.reference_version("acme")
    _add(scene, "a")
    assert scene.store.reference_version("acme") == before
    rule = scene.store.add_resource("acme", TYPE, name="b", body=b"{}", resources_max=100, changes_rules=True)
    added = scene.store.reference_version("acme")
    assert added > before
    changed = scene.store.put_resource(rule, changes_rules=True)
    assert changed is not None
    put = scene.store.reference_version("acme")
    assert put > added
    assert scene.store.put_resource(rule, changes_rules=True) is None
    assert scene.store.put_resource(changed) is not None
    assert scene.store.reference_version("acme") == put
    assert scene.store.reference_version("bolt") == 0
