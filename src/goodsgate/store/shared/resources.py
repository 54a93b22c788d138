"""Resources of protocols: numbered, named, and otherwise opaque."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from goodsgate.model.catalogue import Label, Resource
from goodsgate.model.job import JobTime
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import Idempotency, NameTakenError, ResourcesFullError
from goodsgate.store.shared.audit import record_act
from goodsgate.store.shared.database import ALL_MERCHANTS, Database, Row, Statements
from goodsgate.store.shared.idempotency import answer_key
from goodsgate.store.shared.jobs import set_job
from goodsgate.store.shared.outbox import add_messages
from goodsgate.store.shared.timestamps import microseconds, timestamp_or_none

POSITION_MIN, POSITION_MAX = -(2**63), 2**63 - 1


class SqlResources:
    """Implements ResourceStore."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._intake = database.intake

    def add_resource(self, merchant: str, type: str, *, name: str, body: bytes, resources_max: int,
                     labels: Sequence[Label] = (), expires_at: datetime | None = None,
                     messages: Sequence[NewMessage] = (), common_numbers: bool = False,
                     idempotency: Idempotency[Resource] | None = None, changes_rules: bool = False,
                     job: JobTime | None = None) -> Resource:
        """Add a resource with the next number of its type. Raises NameTakenError, ResourcesFullError."""
        owner = self._database.require_number(merchant)
        owned = {"merchant": owner, "type": type}
        with self._intake.writing(owner) as db:
            number = int(db.value("next_number", {**owned, "count": 1}))  # also locks the merchant's type
            _free_name(db, {**owned, "name": name, "now": self._database.now()})
            if db.value("count_resources", owned) >= resources_max:
                raise ResourcesFullError
            if common_numbers:
                number = int(db.value("next_common_number", {"type": type}))
            row = {
                **owned, "number": number, "name": name, "body": body.decode(),
                "expires_at": None if expires_at is None else microseconds(expires_at),
            }
            db.change("add_resource", row)
            _add_labels(db, row, labels)
            if job is not None:
                set_job(db, row, job)
            add_messages(db, owner, self._database.now(), messages)
            if changes_rules:
                db.value("next_reference_version", {"merchant": owner, "now": self._database.now()})
            added = Resource(
                merchant=merchant, type=type, number=number, version=1, name=name, body=body, expires_at=expires_at
            )
            if idempotency is not None:
                answer_key(db, owner, idempotency, added, now=self._database.now())
            record_act(db, owner, merchant, now=self._database.now())
        if messages:
            self._database.message_signal.send()
        return added

    def put_resource(self, resource: Resource, *, labels: Sequence[Label] | None = None,
                     messages: Sequence[NewMessage] = (), idempotency: Idempotency[Resource] | None = None,
                     changes_rules: bool = False, job: JobTime | None = None) -> Resource | None:
        """Replace a resource; return None if the stored version is another one. Raises NameTakenError."""
        owner = self._database.number(resource.merchant)
        if owner is None:
            return None
        owned = {"merchant": owner, "type": resource.type}
        row = {
            **owned, "number": resource.number, "version": resource.version, "name": resource.name,
            "body": resource.body.decode(),
            "expires_at": None if resource.expires_at is None else microseconds(resource.expires_at),
        }
        stored = msgspec.structs.replace(resource, version=resource.version + 1)
        with self._intake.writing(owner) as db:
            if db.first("last_number", owned) is None:
                return None
            _free_name(db, {**owned, "name": resource.name, "now": self._database.now()}, own=resource.number)
            changed = db.change("put_resource", row)
            if changed and labels is not None:
                db.change("delete_labels", row)
                _add_labels(db, row, labels)
            if changed:
                if job is not None:
                    set_job(db, row, job)
                add_messages(db, owner, self._database.now(), messages)
                if changes_rules:
                    db.value("next_reference_version", {"merchant": owner, "now": self._database.now()})
                if idempotency is not None:
                    answer_key(db, owner, idempotency, stored, now=self._database.now())
                record_act(db, owner, resource.merchant, now=self._database.now())
        if messages:
            self._database.message_signal.send()
        return stored if changed else None

    def resource(self, merchant: str, type: str, number: int) -> Resource | None:
        """Return a resource, unless it has expired."""
        owner = self._database.number(merchant)
        values = {"merchant": owner, "type": type, "number": number, "now": self._database.now()}
        rows = self._intake.query("resource", values, owner)
        return _resource(merchant, type, rows[0]) if rows else None

    def resources(self, merchant: str, type: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        """Return resources that never expire, by number."""
        owner = self._database.number(merchant)
        values = {"merchant": owner, "type": type, "after": after, "limit": limit}
        return [_resource(merchant, type, row) for row in self._intake.query("resources", values, owner)]

    def labelled(self, type: str, label: str) -> list[tuple[str, int]]:
        """Return merchant and number of each resource of a type that has a label."""
        return [(merchant, number) for merchant, number in self._intake.query(
            "labelled_resources", {"type": type, "label": label}, ALL_MERCHANTS
        )]

    def list_by_label(self, merchant: str, type: str, label: str, *, since: int | None = None, until: int | None = None,
                      offset: int = 0, limit: int = 100) -> list[Resource]:
        """Return resources with a label by position and number."""
        owner = self._database.number(merchant)
        values = {
            "merchant": owner, "type": type, "label": label, "since": POSITION_MIN if since is None else since,
            "until": POSITION_MAX if until is None else until, "now": self._database.now(), "offset": offset,
            "limit": limit,
        }
        return [_resource(merchant, type, row) for row in self._intake.query("resources_by_label", values, owner)]


def _free_name(db: Statements, wanted: Mapping[str, object], *, own: int | None = None) -> None:
    """Delete expired resources of the type. Raises NameTakenError if another one still has the name."""
    db.change("delete_expired_resources", wanted)
    holder = db.first("resource_by_name", wanted)
    if holder is not None and holder[0] != own:
        raise NameTakenError(int(holder[0]))


def _add_labels(db: Statements, row: Mapping[str, object], labels: Sequence[Label]) -> None:
    owned = {name: row[name] for name in ("merchant", "type", "number")}
    for label, position in labels:
        db.change("add_label", {**owned, "label": label, "position": position})


def _resource(merchant: str, type: str, row: Row) -> Resource:
    number, version, name, body, expires_at = row
    return Resource(
        merchant=merchant, type=type, number=number, version=version, name=name, body=body,
        expires_at=timestamp_or_none(expires_at),
    )
