"""A database that is restored under a running gate: nobody sees the data of another merchant, and nothing is mixed."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from goodsgate.app import create_engine, create_worker
from goodsgate.model.batch import State
from goodsgate.model.catalogue import Merchant
from goodsgate.store.contract import StoreError
from goodsgate.store.shared import merchant_numbers
from tests import stores
from tests.factories import NOW
from tests.postgres import ROLE, server
from tests.shop import Shop


class Backup:
    """A copy of a database, with its sequences, taken and restored while processes use it."""

    def __init__(self, address: str) -> None:
        self._name = urlsplit(address).path[1:]
        self._copy(self._name, f"{self._name}_copy")

    def restore(self) -> None:
        """Replace the database by the copy."""
        server()._do(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._copy(f"{self._name}_copy", self._name)

    @staticmethod
    def _copy(name: str, to: str) -> None:
        with server().admin() as db:
            db.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            db.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))
            db.execute(f"CREATE DATABASE {to} OWNER {ROLE} TEMPLATE {name}")
            for each in (name, to):
                db.execute(f"ALTER DATABASE {each} ALLOW_CONNECTIONS true")


class Gate(Shop):
    """A shop whose store may go back in time, which the checks of the contract do not allow."""

    def __init__(self, folder: Path, *merchants: str) -> None:
        super().__init__(folder, *merchants, kind="postgres")
        self.store = self.store.store  # type: ignore[attr-defined]
        self.engine = create_engine(self.store, self.config)
        self.worker = create_worker(self.store, self.config, "worker-1")


def _records(name: str, count: int = 3) -> list[dict[str, str]]:
    return [{"id": f"{name}-{number}", "title": name} for number in range(count)]


def _add(shop: Shop, merchant: str) -> None:
    assert shop.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))


@pytest.fixture
def long_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches that have not expired when the restored database is used."""
    monkeypatch.setattr(merchant_numbers, "CACHED_SECONDS", 1_000.0)
    monkeypatch.setattr("goodsgate.store.postgres.lookups.CACHED_SECONDS", 1_000.0)


@pytest.mark.usefixtures("long_cache")
def test_a_merchant_that_a_restored_database_lacks_gets_nobody_elses_data(tmp_path: Path) -> None:
    """Though the process still knows its number, and another merchant was added since."""
    with Gate(tmp_path) as gate, Gate(tmp_path, "none") as other:
        gate.run(_records("acme"))
        backup = Backup(stores.address(tmp_path))
        _add(gate, "bolt")
        gate.run(_records("bolt"), merchant="bolt")
        backup.restore()
        _add(other, "crow")
        batch = other.run(_records("crow"), merchant="crow")
        assert gate.items(merchant="bolt") == {}
        assert gate.store.batch("bolt", batch.id) is None
        with pytest.raises(StoreError):
            gate.run([{"id": "crow-0", "_verb": "delete"}], merchant="bolt")
        assert len(other.items(merchant="crow")) == len(gate.items(merchant="acme")) == 3


@pytest.mark.usefixtures("long_cache")
def test_a_collection_that_a_restored_database_lacks_is_created_again(tmp_path: Path) -> None:
    """The worker remembers its number, which no other collection has got; its batch is worked all the same."""
    with Gate(tmp_path) as gate, Gate(tmp_path, "none") as other:
        gate.run(_records("first"))
        backup = Backup(stores.address(tmp_path))
        for _ in range(2):  # the number is cached when it is looked up
            gate.run(_records("late"), collection="late")
        backup.restore()
        other.run(_records("other"), collection="other")
        batch = gate.send(_records("late"), collection="late")
        with pytest.raises(StoreError, match="restored"):
            gate.work()
        gate.work()
        assert gate.engine.batch("acme", batch).state is State.FINISHED
        assert gate.items("late").keys() == {record["id"] for record in _records("late")}
        assert gate.items("other").keys() == {record["id"] for record in _records("other")}


def test_a_merchant_that_is_added_again_after_a_restore_is_known_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its old number is forgotten after a moment."""
    monkeypatch.setattr(merchant_numbers, "CACHED_SECONDS", 0.0)
    with Gate(tmp_path) as gate, Gate(tmp_path, "none") as other:
        backup = Backup(stores.address(tmp_path))
        _add(gate, "bolt")
        gate.run(_records("old"), merchant="bolt")
        backup.restore()
        _add(other, "bolt")
        gate.run(_records("new"), merchant="bolt")
        assert gate.items(merchant="bolt").keys() == {record["id"] for record in _records("new")}
