"""Let small batches pass a large one of their lane, between two of its chunks, where that makes no difference.

It makes none if the batches in front have no key of the small one among the records that they have left: a plain record
needs to know only the item of its key, and its case variants. The worker that holds the lane does all of it, so that
leases and fences are those of any other commit. Decision 0095 says which batches never pass and are never passed.
"""

import logging
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence, Set

import msgspec
import orjson

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.group_reading import resolve_groups
from goodsgate.engine.reader import RoundReader
from goodsgate.engine.scheduling import WorkerParts
from goodsgate.engine.settings import PassingLimits
from goodsgate.engine.small_batches import SmallBatch, SmallBatches
from goodsgate.formats import Chunk, Limits
from goodsgate.model.batch import Kind, RoundKind, State, Strictness
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.json_text import read_json
from goodsgate.model.tracing import NO_ORIGIN, ORIGIN
from goodsgate.rules.record_rules import key_of
from goodsgate.store.contract import Claim, ClaimedRound, Store, StoreError

log = logging.getLogger(__name__)

READ_SECONDS = 0.5
"""Keys of large batches are read for this long between two chunks; processor time."""
FORMATS = frozenset({"ndjson", "json", "csv", "tsv"})
"""Formats that are read twice at little cost."""


class _Keyed(msgspec.Struct, gc=False):
    """A record as far as its key needs it."""

    id: str


decode_keyed = msgspec.json.Decoder(_Keyed).decode


def is_plain(round: ClaimedRound) -> bool:
    """Return whether the records of a round depend on nothing but the items of their own keys."""
    policy = round.policy
    is_applied = not round.is_dry_run and not round.is_tried and round.hold is None and policy.trouble is None
    is_record_by_record = (
        policy.mode == "delta" and policy.reverts is None and not policy.schema and policy.group is None
        and policy.key is None and policy.references is not Strictness.WAIT
    )
    is_due = not policy.pace_seconds and not policy.products_first_seconds and policy.start == "now"
    is_sound = not round.cancelling and not round.worker_deaths and not round.overtakes
    return (
        round.round_kind is RoundKind.SUBMISSION and is_applied and is_record_by_record and is_due and is_sound
        and round.format in FORMATS
    )


def key_hashes(keys: Iterable[str | None]) -> Iterator[int]:
    """Return hashes of the SKUs of some keys, the same for case variants; two keys with one hash only cost a wait."""
    return (hash(key.partition("\x1f")[0].strip().lower()) for key in keys if key is not None)


class PayloadKeys:
    """Hashes of the keys that a batch has left, read from its payload step by step."""

    def __init__(self, store: Store, round: ClaimedRound, limits: Limits, *, keys_max: int) -> None:
        self._hashes = array("q")
        self._kind = round.kind
        self._keys_max = keys_max
        self._reader = RoundReader(store, round, limits)
        self._chunks = self._reader.chunks()
        self.is_certain = True
        """Whether every key can be known, and not too many are."""
        self.is_whole = False

    def __len__(self) -> int:
        return len(self._hashes)

    def read(self, *, ends_at: float) -> bool:
        """Read on until this processor time; return whether all keys are known now."""
        while self.is_certain and not self.is_whole and time.thread_time() < ends_at:
            chunk = next(self._chunks, None)
            if chunk is None:
                self.is_whole = True
                break
            mapping = self._reader.field_mapping
            self.is_certain = (
                resolve_groups(mapping, self._reader.round.policy) is None and len(self._hashes) <= self._keys_max
            )
            self._hashes.extend(key_hashes(_keys_of(chunk, mapping, self._kind)))
        return self.is_certain and self.is_whole

    def are_apart(self, hashes: Set[int]) -> bool:
        """Return whether none of these keys is left in the batch."""
        return hashes.isdisjoint(self._hashes)


def _keys_of(chunk: Chunk, mapping: FieldMapping, kind: Kind) -> Iterator[str | None]:
    """Return at least all keys that records of a chunk get: those that stand there, and those that other names mean."""
    documents: Sequence[bytes] = mapping.documents(chunk, {}) if len(chunk) else ()
    for at, document in enumerate(documents):
        if at in chunk.unreadable:
            continue
        if not mapping.policy.mapping:
            try:
                key = decode_keyed(document).id
            except msgspec.DecodeError:
                key = ""
            if key.strip():
                yield key
                continue
        renamed = mapping.rename(document)
        try:
            record = read_json(renamed[0] if renamed is not None else document)
        except orjson.JSONDecodeError:
            continue
        yield key_of(record, kind) if isinstance(record, dict) else None


class Passing:
    """Works the small batches that may pass one large batch; kept as long as its schedule."""

    def __init__(self, parts: WorkerParts, small_batches: SmallBatches, limits: PassingLimits, *, bytes_max: int,
                 rounds_max: int) -> None:
        """Let batches of at most `bytes_max` pass, among the first `rounds_max` behind the large one."""
        self._parts = parts
        self._store = parts.store
        self._small_batches = small_batches
        self._limits = limits
        self._bytes_max = bytes_max
        self._rounds_max = rounds_max
        self._in_front: dict[str, PayloadKeys] = {}
        """Keys of large batches that are passed, by batch."""
        self._waiting: dict[str, Set[int]] = {}
        """Keys of small batches that have to wait, by batch."""
        self._is_over = False

    def let_pass(self, claim: Claim, round: ClaimedRound) -> bool:
        """Work the small batches that may pass the round of a claim now; return whether there are any."""
        if self._is_over:
            return False
        behind = self._store.rounds_behind(claim, limit=self._rounds_max)
        if not behind:
            return False
        try:
            group = self._find(round, behind)
            return bool(group) and self._work(claim, group)
        except (StoreError, ExtraMissingError):
            raise
        except Exception:
            log.exception("fault in batches that pass; they wait for their turn", extra={"batch": round.batch})
            self._is_over = True
            return False
        finally:
            ORIGIN.set(round.origin)

    def _find(self, round: ClaimedRound, behind: Sequence[ClaimedRound]) -> list[SmallBatch]:
        """Return the batches that may pass, in their order."""
        ends_at = time.thread_time() + READ_SECONDS
        in_front: list[PayloadKeys] = []
        waiting: set[int] = set()
        found: list[SmallBatch] = []
        self._parts.validator.refresh()
        if not self._adds_keys(round, in_front, ends_at):
            return []
        for each in map(self._parts.guards.watch, behind):
            if not is_plain(each):
                break
            if each.bytes_total > self._bytes_max:
                if not self._adds_keys(each, in_front, ends_at):
                    break
                continue
            hashes, batch = self._waiting.get(each.batch), None
            if hashes is None:
                ORIGIN.set(each.origin)
                batch = self._small_batches.read(each)
                ORIGIN.set(NO_ORIGIN)
                if batch is None or not self._is_small(batch):
                    break
                hashes = frozenset(key_hashes(batch.checked.keys))
            if batch is None or not waiting.isdisjoint(hashes) or not all(keys.are_apart(hashes) for keys in in_front):
                self._waiting[each.batch] = hashes
                waiting |= hashes
                continue
            found.append(batch)
        return found

    def _adds_keys(self, round: ClaimedRound, in_front: list[PayloadKeys], ends_at: float) -> bool:
        """Add the keys of a large batch to those in front; return whether they are known to the last one."""
        keys = self._in_front.get(round.batch)
        if keys is None:
            known = sum(len(each) for each in self._in_front.values())
            keys = PayloadKeys(
                self._store, round, self._parts.read_limits, keys_max=self._limits.keys_max - known
            )
            self._in_front[round.batch] = keys
        in_front.append(keys)
        return keys.read(ends_at=ends_at)

    def _is_small(self, batch: SmallBatch) -> bool:
        is_table_of_groups = resolve_groups(batch.mapping, batch.round.policy) is not None
        is_read = batch.end_state is State.FINISHED and not is_table_of_groups
        return is_read and len(batch.checked.chunk) <= self._limits.records_max

    def _work(self, claim: Claim, group: list[SmallBatch]) -> bool:
        """Commit batches in one transaction, as many as their time allows."""
        ends_at = time.thread_time() + self._parts.read_limits.chunk_seconds
        commits = self._small_batches.commits(group, ends_at=ends_at)
        group = group[: len(commits)]
        if not commits:
            self._is_over = True  # the first one takes long
            return False
        claim = self._store.start_behind(claim, [batch.round for batch in group])
        self._parts.committer.commit(claim, commits, lambda: self._small_batches.commits(group))
        return True
