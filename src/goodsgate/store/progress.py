"""How far a batch has come, and how a portion moves it on; the same in every store. Times in microseconds."""

import msgspec

from goodsgate.model.batch import Counts, Policy, RoundKind, State, outcome_of
from goodsgate.model.message import NewMessage
from goodsgate.store.contract import ChunkCommit, StoreError

COUNTED = Counts.__struct_fields__
encode = msgspec.json.Encoder().encode


class Progress(msgspec.Struct, kw_only=True):
    """Where a batch stands; settle moves it on and writes it back."""

    seq: int
    """Number by which the store keeps what belongs to the batch."""
    round: int
    portions: int = 0
    records: int = 0
    total: int = 0
    bytes_before: int = 0
    bytes_done: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    superseded: int = 0
    rejected: int = 0
    cancelled: int = 0
    warned: int = 0
    columns: bytes | None = None
    mapping: bytes | None = None
    withheld: bytes | None = None
    held: int
    first_at: int
    ended: str | None = None
    ended_at: int | None = None

    @property
    def read(self) -> bool:
        """The submission was worked to its end, so that the number of its records is known."""
        return self.round > 0 or self.ended is not None

    def has_ended(self, round: int) -> bool:
        """Whether this round is over."""
        return self.round > round or (self.round == round and self.ended is not None)

    @property
    def outcome(self) -> str:
        """How the round ended: the outcome of what has finished, or ``cancelled`` or ``broken``."""
        if self.ended != State.FINISHED:
            return str(self.ended)
        return str(outcome_of(Counts(**{name: getattr(self, name) for name in COUNTED})))

    def check_due(self, portion: ChunkCommit) -> None:
        """Step into the portion's round; raises StoreError if it is not the portion that is due."""
        work = portion.round
        if work.number > self.round:
            if self.ended is None:
                raise StoreError(f"round {self.round} of {work.batch} has not ended")
            self.round, self.portions, self.records = work.number, 0, 0
            self.bytes_before, self.bytes_done = self.bytes_before + self.bytes_done, 0
            self.ended = self.ended_at = None
            if work.round_kind is RoundKind.REMOVAL:
                self.withheld = None
        if self.ended is not None or portion.number != self.portions:
            raise StoreError(f"portion {portion.number} of {work.batch} is not due ({self.portions} settled)")
        if portion.results and portion.first != self.total + 1:
            raise StoreError(f"record {portion.first} of {work.batch} is not due ({self.total} settled)")

    def move(self, portion: ChunkCommit, written_at: int) -> None:
        """To where the batch stands after the portion."""
        self.portions += 1
        self.records += portion.records
        self.total += len(portion.results)
        self.bytes_done = portion.bytes_done
        self.warned += portion.warned
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(portion.counts, name))
        if portion.columns is not None:
            self.columns = encode(portion.columns)
        if portion.mapping is not None and self.mapping is None:
            self.mapping = encode(portion.mapping)
        if portion.withheld is not None:
            self.withheld = encode(portion.withheld)
        if portion.end_state is not None:
            self.ended, self.ended_at = portion.end_state, written_at

    def tallied(self, portion: ChunkCommit) -> dict[str, int]:
        """What the portion adds to the totals of the metrics; what a fix takes from the rejected was counted when it
        was rejected."""
        counted = {f"records.{name}": getattr(portion.counts, name) for name in COUNTED}
        if self.ended is not None:
            counted[f"rounds_ended.{self.outcome}"] = 1
        return {name: count for name, count in counted.items() if count > 0}


def ended(policy: Policy, batch: str, round: int, state: str | None) -> list[NewMessage]:
    """What the submitter wants told of the end of a round, if anything."""
    if policy.notify is None:
        return []
    body = encode({"round": round, "state": state or State.FINISHED})
    return [NewMessage(topic=policy.notify, subject=batch, body=body)]
