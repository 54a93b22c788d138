"""The audit log: entries are added in the transactions that they are about."""

import msgspec

from goodsgate.model.audit import ACT, GATE, INSTALLATION, TRIM, Act, AuditEntry, AuditFilter, entry_hash
from goodsgate.store.contract import Page
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements, Transactions
from goodsgate.store.shared.timestamps import microseconds, timestamp

INSTALLATION_NUMBER = 0
"""Stands for the installation where rows lead with a merchant."""
DAY = 86_400 * 1_000_000
TRIM_ENTRIES_MAX = 10_000
"""Entries of a chain that one step of the sweep removes."""
AT_MIN, AT_MAX = -(2**62), 2**62
NUMBER_MAX = 2**62

_decode_detail = msgspec.json.Decoder(dict[str, str]).decode


def record_act(db: Statements, number: int | None, merchant: str, *, now: int) -> None:
    """Add the entry of the act of this context, if there is one that is not recorded, at the end of a transaction.

    `number` and `merchant` say whose chain it belongs to, unless the act is one of the installation.
    """
    act = ACT.get()
    if act is None or act.recorded:
        return
    if act.of_installation or number is None:
        number, merchant = INSTALLATION_NUMBER, INSTALLATION
    _append(db, number, merchant, act, now=now)
    act.recorded = True


def _append(db: Statements, number: int, chain: str, act: Act, *, now: int) -> None:
    row = db.first("lock_audit_head", {"merchant": number, "hash": b""})
    assert row is not None
    last, previous = row
    entry = AuditEntry(
        chain=chain, number=last + 1, at=timestamp(now), action=act.action, subject=act.subject, actor=act.actor,
        address=act.address, request=act.request, detail=act.detail, hash=b"",
    )
    hash = entry_hash(bytes(previous), entry)
    db.change("add_audit_entry", {
        "merchant": number, "number": entry.number, "at": now, "action": entry.action, "subject": entry.subject,
        "actor": entry.actor, "address": entry.address, "request": entry.request,
        "detail": msgspec.json.encode(entry.detail).decode(), "hash": hash,
    })
    db.change("move_audit_head", {"merchant": number, "number": entry.number, "hash": hash})


class SqlAudit:
    """Implements AuditStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def record_act(self, merchant: str | None) -> None:
        """Add the entry of an act that no other transaction has recorded."""
        act = ACT.get()
        if act is None or act.recorded:
            return
        number = None if merchant is None or act.of_installation else self._database.require_number(merchant)
        with self._intake.writing(ALL_MERCHANTS if number is None else number) as db:
            record_act(db, number, merchant or INSTALLATION, now=self._database.now())

    def audit_entries(self, merchant: str | None, filters: AuditFilter, *, after: int = 0, limit: int = 100,
                      newest_first: bool = False) -> Page[AuditEntry]:
        """Return entries behind a number, oldest first; or those before it, newest first."""
        number = INSTALLATION_NUMBER if merchant is None else self._database.number(merchant)
        if number is None:
            return Page([], None)
        values = {
            "merchant": number, "after": (after or NUMBER_MAX) if newest_first else after, "limit": limit + 1,
            "action": filters.action or "", "actor": filters.actor or "",
            "since": microseconds(filters.since) if filters.since is not None else AT_MIN,
            "until": microseconds(filters.until) if filters.until is not None else AT_MAX,
        }
        statement = "newest_audit_entries" if newest_first else "audit_entries"
        rows = self._intake.query(statement, values, ALL_MERCHANTS if merchant is None else number)
        entries = [_entry(merchant or INSTALLATION, row) for row in rows[:limit]]
        return Page(entries, str(entries[-1].number) if len(rows) > limit else None)


def sweep_audit(intake: Transactions, *, now: int, before: int, limit: int) -> int:
    """Remove entries from before a time, and add to each chain the anchor from which its rest can be verified.

    A chain is trimmed when its oldest entry is a day past its retention, so that anchors are no more than one a day.
    """
    swept = 0
    with intake.reading(ALL_MERCHANTS) as db:
        due = db.rows("audit_due", {"before": before - DAY, "limit": limit})
    for number, merchant in due:
        scope = ALL_MERCHANTS if number == INSTALLATION_NUMBER else number
        with intake.writing(scope) as db:
            rows = db.rows(
                "oldest_audit_entries", {"merchant": number, "before": before, "limit": TRIM_ENTRIES_MAX}
            )
            if not rows:
                continue
            last, hash = rows[-1]
            anchor = Act(action=TRIM, actor=GATE, detail={"through": str(last), "hash": bytes(hash).hex()})
            _append(db, number, merchant, anchor, now=now)
            swept += db.change("delete_audit_entries", {"merchant": number, "number": last})
    return swept


def _entry(chain: str, row: Row) -> AuditEntry:
    number, at, action, subject, actor, address, request, detail, hash = row
    return AuditEntry(
        chain=chain, number=number, at=timestamp(at), action=action, subject=subject, actor=actor, address=address,
        request=request, detail=_decode_detail(detail), hash=bytes(hash),
    )
