"""What a doctor wants to know of the folder: whether the files are sound, durable and worked, and have room to grow."""

import fcntl
import os
import time

import apsw

from goodsgate.store.sqlite.ask import every
from goodsgate.store.sqlite.copying import Copying
from goodsgate.store.sqlite.file import SqliteFile

LOOK_SECONDS_MAX = 5.0
"""A file is looked through for this long; a large one is not seen to its end."""
LOOK_STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
GROWTH_SHARE = 0.1
"""With less room than this share of what is held, it is time to make some."""
LATE_SECONDS = 60.0
"""A lease that ran out before this, under a worker that lives, is one that nobody sees to."""
SYNCHRONOUS_FULL = 2

Fact = tuple[str, bool, str]


class Examining(Copying):
    """The part of the contract that takes its time."""

    def health_checks(self) -> list[Fact]:
        """Bounded by twice LOOK_SECONDS_MAX."""
        facts = []
        for file in (self.intake, self.catalogue):
            facts += [_durability(file), _soundness(file)]
        return [*facts, self._room(), self._seat_taken(), self._leases()]

    def _room(self) -> Fact:
        held = self.intake.bytes_on_disk() + self.catalogue.bytes_on_disk() + self.uploads.bytes_on_disk()
        room = os.statvfs(self.folder)
        free = room.f_bavail * room.f_frsize
        told = f"{free // 1024**2:,} MB free beside {held // 1024**2:,} MB held"
        return "room to grow", free >= held * GROWTH_SHARE, told

    def _seat_taken(self) -> Fact:
        """Well either way: a gate may be stopped, and a backup has no worker. What waits too long is told apart."""
        told = "a worker holds the seat" if self._is_worked() else "no worker holds the seat, so nothing is worked"
        return "worker", True, told

    def _is_worked(self) -> bool:
        try:
            seat = os.open(self.folder / "worker.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(seat, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(seat)
        return False

    def _leases(self) -> Fact:
        before = self.now() - int(LATE_SECONDS * 1e6)
        with self.intake.reading() as db:
            held, late = every(db, "leases", {"before": before})[0]
        return "leases", not late or not self._is_worked(), f"{held} lanes are held, {late} by leases long run out"


def _durability(file: SqliteFile) -> Fact:
    """Some file systems have no shared memory; SQLite then keeps another journal and says nothing."""
    with file.reading() as db:
        journal, synchronous = str(db.pragma("journal_mode")), int(str(db.pragma("synchronous")))
    well = journal == "wal" and synchronous >= SYNCHRONOUS_FULL
    return f"journal of {file.path.name}", well, f"{journal}, synchronous {synchronous} of {SYNCHRONOUS_FULL}"


def _soundness(file: SqliteFile) -> Fact:
    name = f"pages of {file.path.name}"
    ends = time.monotonic() + LOOK_SECONDS_MAX
    with file.reading() as db:
        db.set_progress_handler(lambda: time.monotonic() > ends, LOOK_STEPS)
        try:
            told = "".join(str(line) for (line,) in db.execute("PRAGMA quick_check(1)"))
        except apsw.InterruptError:
            return name, True, f"sound as far as they were seen in {LOOK_SECONDS_MAX:g} s"
        finally:
            db.set_progress_handler(None)
    return name, told == "ok", "sound" if told == "ok" else told
