"""The audit log: chains that nobody can change unseen, written in the transactions that they are about."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import msgspec
import psycopg
import pytest

from goodsgate.model.audit import (
    INSTALLATION,
    TRIM,
    Act,
    AuditEntry,
    AuditFilter,
    ChainError,
    acting,
    audit_document,
    mark_recorded,
    note,
    read_audit_document,
    verify_chain,
)
from goodsgate.model.batch import RoundKind
from goodsgate.model.catalogue import Key, Merchant, ReferenceEntry, Scope, Token
from goodsgate.store.contract import Idempotency, Retention, Store, StoreError
from tests import stores
from tests.factories import NOW
from tests.store.scene import Record, Scene

DAY = 86_400
READ = frozenset({Scope.READ})
KEEP_TEN_DAYS = Retention(
    payload_seconds=10**9, report_seconds=10**9, batch_seconds=10**9, answer_seconds=10**9, tombstone_seconds=10**9,
    audit_seconds=10 * DAY,
)


def _act(action: str = "key.add", **given: object) -> Act:
    values: dict[str, object] = {"actor": "key:abcd", "address": "192.0.2.1", "request": "r1", **given}
    return msgspec.convert({"action": action, **values}, Act)


def _entries(scene: Scene, merchant: str | None = "acme", **filters: object) -> list[AuditEntry]:
    return scene.store.audit_entries(merchant, msgspec.convert(filters, AuditFilter), limit=1000).rows


def _record(scene: Scene, merchant: str | None = "acme", **given: object) -> None:
    with acting(_act(**given)):  # type: ignore[arg-type]
        scene.store.record_act(merchant)


def _key(merchant: str = "acme", name: str = "k1") -> Key:
    return Key(
        id=name, digest=(merchant + name).encode().ljust(32), merchant=merchant, scopes=READ, created_at=NOW
    )


def _add_resource(store: Store) -> object:
    return store.add_resource("acme", "tested/stream", name="a", body=b"{}", resources_max=9)


def _put_resource(store: Store) -> object:
    return store.put_resource(store.resources("acme", "tested/stream")[0])


CALLS: dict[str, Callable[[Scene, str], object]] = {
    "rename a merchant": lambda scene, _: scene.store.rename_merchant("acme", "New"),
    "add a key": lambda scene, _: scene.store.add_key(_key(name="k2")),
    "change a key": lambda scene, _: scene.store.change_key("acme", "k1", scopes=READ, label="x", expires_at=None),
    "rotate a key": lambda scene, _: scene.store.rotate_key("acme", "k1", b"n" * 32, previous_until=NOW),
    "sign in": lambda scene, _: scene.store.add_token(
        Token(digest=b"t" * 32, merchant="acme", key="k1", created_at=NOW, expires_at=NOW + timedelta(days=1))
    ),
    "put a resource": lambda scene, _: _put_resource(scene.store),
    "put reference data": lambda scene, _: scene.store.put_reference("acme", "brand", [ReferenceEntry(code="x")]),
    "submit": lambda scene, _: scene.seal(),
    "retry": lambda scene, batch: scene.again(batch, RoundKind.RETRY),
    "cancel": lambda scene, batch: scene.store.cancel("acme", batch),
    "revoke a key": lambda scene, _: scene.store.revoke_key("acme", "k1"),
}


def test_an_act_is_recorded_with_what_it_changes(scene: Scene) -> None:
    """Once, whatever else it changes; and without an act nothing is recorded."""
    scene.store.add_key(_key())
    _add_resource(scene.store)
    batch = scene.seal()
    scene.run([Record("A")])
    for number, (name, call) in enumerate(CALLS.items(), 1):
        with acting(_act("tested.act", subject="it")) as act:
            note(subject="them", call=name)
            call(scene, batch)
            assert act.recorded, name
            _put_resource(scene.store)
            scene.store.record_act("acme")
        _put_resource(scene.store)
        entry = _entries(scene)[-1]
        assert (entry.number, entry.action, entry.detail) == (number, "tested.act", {"call": name})
        assert (entry.subject, entry.actor, entry.address, entry.request) == ("them", "key:abcd", "192.0.2.1", "r1")
    assert verify_chain(_entries(scene)).number == len(CALLS)


def test_what_has_no_effect_is_not_recorded(scene: Scene) -> None:
    """Neither a change that finds nothing, nor one that is rolled back, nor one that was recorded before."""
    with acting(_act()) as act:
        assert not scene.store.revoke_key("acme", "none")
        assert scene.store.rotate_key("acme", "none", b"n" * 32, previous_until=NOW) is None
        scene.store.add_key(_key("bolt"))
        act.recorded = False
        with pytest.raises(StoreError):
            scene.store.add_key(_key("bolt"))
        mark_recorded()
        scene.store.add_key(_key())
    assert _entries(scene) == []
    assert len(_entries(scene, "bolt")) == 1


def test_merchants_are_added_in_the_chain_of_the_installation(scene: Scene) -> None:
    """Each merchant has a chain, and what belongs to none is in one of its own."""
    with acting(_act("merchant.add", subject="new", of_installation=True)):
        scene.store.add_merchant(Merchant(id="new", name="New", created_at=NOW))
    _record(scene, None, action="sign_in.refuse")
    _record(scene, "bolt")
    with pytest.raises(StoreError):
        _record(scene, "nobody")
    installation = _entries(scene, None)
    assert [entry.action for entry in installation] == ["merchant.add", "sign_in.refuse"]
    assert (_entries(scene, "new"), _entries(scene, "nobody"), len(_entries(scene, "bolt"))) == ([], [], 1)
    assert verify_chain(installation).number == 2
    assert installation[0].chain == INSTALLATION
    with pytest.raises(ChainError, match="entry 1 was changed"):
        verify_chain([msgspec.structs.replace(entry, chain="acme") for entry in installation])
    with pytest.raises(ChainError, match="entry 1 is one of another chain"):
        verify_chain([*installation, *_entries(scene, "bolt")])


def test_an_operator_records_under_a_key_of_another_merchant(scene: Scene) -> None:
    """The answer under an idempotency key belongs to the operator, the entry to whom the key belongs."""
    answered = Idempotency[Key](merchant="bolt", key="k", fingerprint=b"f" * 32, answer=lambda _: b"{}")
    scene.store.reserve_idempotency_key("bolt", "k", lease_seconds=9)
    with acting(_act()):
        scene.store.add_key(_key(), idempotency=answered)
    assert len(_entries(scene)) == 1


def test_entries_are_listed_by_filters_and_pages(scene: Scene) -> None:
    """Both ways."""
    for number in range(1, 8):
        scene.clock.forward(10)
        _record(scene, action=f"key.a{number}" if number % 2 else f"rule.a{number}", actor=f"key:{number % 3}")
    page = scene.store.audit_entries("acme", AuditFilter(action="key"), limit=2)
    assert ([entry.number for entry in page.rows], page.next) == ([1, 3], "3")
    page = scene.store.audit_entries("acme", AuditFilter(action="key"), after=3, limit=2)
    assert ([entry.number for entry in page.rows], page.next) == ([5, 7], None)
    newest = scene.store.audit_entries("acme", AuditFilter(), limit=3, newest_first=True)
    assert ([entry.number for entry in newest.rows], newest.next) == ([7, 6, 5], "5")
    rest = scene.store.audit_entries("acme", AuditFilter(), after=5, limit=9, newest_first=True)
    assert [entry.number for entry in rest.rows] == [4, 3, 2, 1]
    assert [entry.number for entry in _entries(scene, action="rule.a2")] == [2]
    assert [entry.number for entry in _entries(scene, action="rul")] == []
    assert [entry.number for entry in _entries(scene, actor="key:1")] == [1, 4, 7]
    since, until = NOW + timedelta(seconds=30), NOW + timedelta(seconds=50)
    assert [entry.number for entry in _entries(scene, since=since, until=until)] == [3, 4]


def _rewrite(entries: list[AuditEntry], number: int, **changes: object) -> list[AuditEntry]:
    return [
        msgspec.structs.replace(entry, **changes) if entry.number == number else entry for entry in entries
    ]


@pytest.mark.parametrize(("change", "message"), [
    (partial(_rewrite, number=3, actor="key:other"), "entry 3 was changed"),
    (partial(_rewrite, number=1, action="key.revoke"), "entry 1 was changed"),
    (partial(_rewrite, number=2, detail={"scopes": "admin"}), "entry 2 was changed"),
    (partial(_rewrite, number=5, at=NOW), "entry 5 was changed"),
    (partial(_rewrite, number=4, hash=b"h" * 32), "entry 4 was changed"),
    (lambda entries: entries[:2] + entries[3:], "entry 3 is missing"),
    (lambda entries: entries[1:], "entry 1 is missing"),
    (lambda entries: [entries[1], entries[0], *entries[2:]], "entry 1 is missing"),
    (lambda entries: _rewrite(entries[:2], 1, actor="x"), "entry 1 was changed"),
])
def test_the_first_broken_entry_is_named(
    scene: Scene, change: Callable[[list[AuditEntry]], list[AuditEntry]], message: str,
) -> None:
    """Whatever was changed, removed or moved; documents of entries are as good as entries."""
    for number in range(5):
        scene.clock.forward(1.5)
        _record(scene, detail={"text": f"é\n{number}"})
    entries = _entries(scene)
    documents = [msgspec.json.decode(msgspec.json.encode(audit_document(entry))) for entry in entries]
    assert verify_chain(map(read_audit_document, documents)).hash == entries[-1].hash
    with pytest.raises(ChainError, match=message):
        verify_chain(change(entries))


def test_a_chain_contains_what_it_contained(scene: Scene) -> None:
    """Whoever cuts off its end, or writes it anew, is found out by an end that was kept."""
    for _ in range(3):
        _record(scene)
    entries = _entries(scene)
    heads = {2: entries[1].hash, 3: entries[2].hash}
    assert verify_chain(entries, heads).number == 3
    with pytest.raises(ChainError, match="entry 3 is not the one that it was"):
        verify_chain(entries[:2], heads)
    with pytest.raises(ChainError, match="entry 2 is not"):
        verify_chain(entries, {2: entries[2].hash})
    with pytest.raises(ChainError, match="entry 2 is not"):
        verify_chain([], heads)


def test_old_entries_go_and_the_rest_can_be_verified(scene: Scene) -> None:
    """From the anchor, which says which entries were removed; not more than once a day."""
    for _ in range(6):
        _record(scene)
        _record(scene, None)
        scene.clock.forward(2 * DAY)
    assert scene.store.sweep(KEEP_TEN_DAYS, steps_max=9).audit_entries == 2
    entries = _entries(scene)
    assert ([entry.number for entry in entries], entries[-1].action) == ([2, 3, 4, 5, 6, 7], TRIM)
    assert entries[-1].detail["through"] == "1"
    for chain in ("acme", None):
        assert verify_chain(_entries(scene, chain)).number == 7
    assert scene.store.sweep(KEEP_TEN_DAYS, steps_max=9).audit_entries == 0
    with pytest.raises(ChainError, match="entry 1 is missing"):
        verify_chain(entries[:-1])
    with pytest.raises(ChainError, match="entry 2 was changed"):
        verify_chain(_rewrite(entries, 2, actor="x"))
    scene.clock.forward(30 * DAY)
    assert scene.store.sweep(KEEP_TEN_DAYS, steps_max=9).audit_entries == 12
    _record(scene)
    assert verify_chain(_entries(scene)).number == 9


def test_the_database_refuses_to_change_an_entry(scene: Scene) -> None:
    """Not only the code of the gate."""
    _record(scene)
    change = "UPDATE audit_entry SET actor = 'key:other'"
    if scene.kind == "postgres":
        with stores.raw(scene.folder) as db, pytest.raises(psycopg.errors.RaiseException, match="never change"):
            db.execute(change)
        return
    import apsw

    db = apsw.Connection(str(scene.folder / "store" / "intake.db"))
    with pytest.raises(apsw.ConstraintError, match="never change"):
        db.execute(change)
    db.close()
