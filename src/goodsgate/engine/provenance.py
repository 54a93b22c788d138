"""Where the records of a round come from, as far as it decides what becomes of items: their age, and item histories."""

from datetime import datetime

import msgspec

from goodsgate.engine.document_merge import decode_list, decode_members, encode
from goodsgate.model.batch import now
from goodsgate.model.versions import is_older, time_version
from goodsgate.rules.record_mapping import HistoryRule
from goodsgate.store.contract import ClaimedRound

AT, BATCH = "at", "batch"
"""Members of an entry of a history, in addition to those that the schema keeps."""


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Batch, age and time of application of the records of a round."""

    batch: str
    version: int | None
    """When the records were received; None if rounds of the lane are applied in this order anyway."""
    applied_at: datetime

    def is_older_than(self, version: int | None) -> bool:
        """Return whether an item of this version is newer."""
        return self.version is not None and version is not None and is_older(self.version, version)

    def add_history(self, document: bytes, current: bytes | None, rule: HistoryRule) -> bytes:
        """Return a document with its history: what it was in the current document, and now, newest first."""
        members = decode_members(document)
        entries = decode_list(decode_members(current or b"{}").get(rule.member, msgspec.Raw(b"[]")))
        kept = {name: members[name] for name in rule.fields if name in members}
        if not entries or _values(entries[0]) != {name: bytes(raw) for name, raw in kept.items()}:
            entry = {AT: _raw(self.applied_at), BATCH: _raw(self.batch), **kept}
            entries.insert(0, _raw(entry))
        members[rule.member] = _raw(entries[: rule.entries_max])
        return encode(members)


def provenance_of(round: ClaimedRound) -> Provenance:
    """Return the provenance of a round's records.

    They have a version if they may overtake, or be overtaken by, records that were received at another time.
    """
    is_versioned = bool(round.policy.pace_seconds) or round.overtakes
    version = time_version(round.received_at) if is_versioned else None
    return Provenance(batch=round.batch, version=version, applied_at=now())


def _values(entry: msgspec.Raw) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in decode_members(entry).items() if name not in (AT, BATCH)}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))
