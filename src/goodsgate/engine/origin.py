"""Where records come from, as far as the items they make are to know: how old they are, what is kept of the past."""

from datetime import datetime

import msgspec

from goodsgate.engine.merging import Members, decode_list, decode_members, encode
from goodsgate.model.batch import now
from goodsgate.rules.record_mapping import HistoryRule
from goodsgate.store.contract import ClaimedRound

AT, BATCH = "at", "batch"
"""Members of an entry of a history, beside those that it keeps."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Of all records of a portion."""

    batch: str
    version: int | None
    """When they were received, in microseconds, where that may be another order than the one they are applied in."""
    moment: datetime

    def older_than(self, version: int | None) -> bool:
        """Than what is held."""
        return self.version is not None and version is not None and self.version < version

    def with_history(self, document: bytes, held: bytes | None, history: HistoryRule) -> bytes:
        """The document with what it and the held one keep of the past, newest first."""
        members = decode_members(document)
        before = decode_list(decode_members(held or b"{}").get(history.member, msgspec.Raw(b"[]")))
        kept = {name: members[name] for name in history.fields if name in members}
        if not before or _without_origin(before[0]) != {name: bytes(raw) for name, raw in kept.items()}:
            told: Members = {AT: _raw(self.moment), BATCH: _raw(self.batch), **kept}
            before.insert(0, msgspec.Raw(encode(told)))
        members[history.member] = msgspec.Raw(encode(before[: history.entries_max]))
        return encode(members)


def origin_of(work: ClaimedRound) -> Origin:
    """Records are versioned by when they were received if they are, or have been, overtaken or overtake others."""
    rests = bool(work.policy.pace_seconds) or work.overtakes
    version = int(work.received_at.timestamp() * 1e6) if rests else None
    return Origin(batch=work.batch, version=version, moment=now())


def _without_origin(entry: msgspec.Raw) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in decode_members(entry).items() if name not in (AT, BATCH)}


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))
