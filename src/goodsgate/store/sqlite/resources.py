"""What only one protocol has: numbered, named, and otherwise the protocol's own; in the intake file."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import apsw
import msgspec

from goodsgate.model.catalogue import Label, Resource
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import NameTakenError, ResourcesFullError
from goodsgate.store.moments import microseconds, moment_or_none
from goodsgate.store.sqlite.ask import do, every, one, value
from goodsgate.store.sqlite.messages import Messages, put_messages

FIRST, LAST = -(2**63), 2**63 - 1
"""Places that nothing stands before or behind."""


class Resources(Messages):
    """The part of the contract that keeps resources."""

    def add_resource(self, merchant: str, type: str, *, name: str, body: bytes, resources_max: int,
                     labels: Sequence[Label] = (), expires_at: datetime | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource:
        """One more, with the next number. Raises NameTakenError, ResourcesFullError."""
        owner = self.known(merchant)
        whose = {"merchant": owner, "sort": type}
        with self.intake.writing() as db:
            number = int(value(db, "next_number", whose))
            _free(db, {**whose, "name": name, "now": self.now()})
            if value(db, "count_resources", whose) >= resources_max:
                raise ResourcesFullError
            end = None if expires_at is None else microseconds(expires_at)
            row = {**whose, "number": number, "name": name, "body": body.decode(), "ends_at": end}
            do(db, "add_resource", row)
            _add_labels(db, {**whose, "number": number}, labels)
            put_messages(db, owner, self.now(), messages)
        return Resource(
            merchant=merchant, type=type, number=number, version=1, name=name, body=body, expires_at=expires_at
        )

    def put_resource(self, resource: Resource, *, labels: Sequence[Label] | None = None,
                     messages: Sequence[NewMessage] = ()) -> Resource | None:
        """None where it was changed meanwhile, or forgotten. Raises NameTakenError."""
        owner = self.number(resource.merchant)
        if owner is None:
            return None
        whose = {"merchant": owner, "sort": resource.type}
        row = {
            **whose, "number": resource.number, "version": resource.version, "name": resource.name,
            "body": resource.body.decode(),
            "ends_at": None if resource.expires_at is None else microseconds(resource.expires_at),
        }
        with self.intake.writing() as db:
            if one(db, "last_number", whose) is None:
                return None
            _free(db, {**whose, "name": resource.name, "now": self.now()}, own=resource.number)
            changed = do(db, "put_resource", row)
            if changed and labels is not None:
                do(db, "drop_labels", row)
                _add_labels(db, row, labels)
            if changed:
                put_messages(db, owner, self.now(), messages)
        return msgspec.structs.replace(resource, version=resource.version + 1) if changed else None

    def resource(self, merchant: str, type: str, number: int) -> Resource | None:
        """None once it is past its end."""
        asked = {"merchant": self.number(merchant), "sort": type, "number": number, "now": self.now()}
        with self.intake.reading() as db:
            row = one(db, "resource", asked)
        return None if row is None else _resource(merchant, type, row)

    def resources(self, merchant: str, type: str, *, after: int = 0, limit: int = 100) -> list[Resource]:
        """By number, without those that have an end."""
        asked = {"merchant": self.number(merchant), "sort": type, "after": after, "limit": limit}
        with self.intake.reading() as db:
            return [_resource(merchant, type, row) for row in every(db, "resources", asked)]

    def list_by_label(self, merchant: str, type: str, label: str, *, since: int | None = None, until: int | None = None,
                      offset: int = 0, limit: int = 100) -> list[Resource]:
        """By place and number."""
        asked = {
            "merchant": self.number(merchant), "sort": type, "word": label, "since": FIRST if since is None else since,
            "until": LAST if until is None else until, "now": self.now(), "offset": offset, "limit": limit,
        }
        with self.intake.reading() as db:
            return [_resource(merchant, type, row) for row in every(db, "labelled", asked)]


def _free(db: apsw.Connection, wanted: Mapping[str, object], *, own: int | None = None) -> None:
    """Raise NameTakenError if another one holds the name; what is past its end holds none."""
    do(db, "drop_ended_resources", wanted)
    holder = one(db, "resource_named", wanted)
    if holder is not None and holder[0] != own:
        raise NameTakenError(int(holder[0]))


def _add_labels(db: apsw.Connection, whose: Mapping[str, object], labels: Sequence[Label]) -> None:
    for word, place in labels:
        do(db, "add_label", {**whose, "word": word, "place": place})


def _resource(merchant: str, type: str, row: tuple[Any, ...]) -> Resource:
    number, version, name, body, ends_at = row
    return Resource(
        merchant=merchant, type=type, number=number, version=version, name=name, body=body.encode(),
        expires_at=moment_or_none(ends_at),
    )
