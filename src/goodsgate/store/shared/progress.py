"""How far a batch has come, and how a chunk moves it on. Times are microseconds."""

from datetime import datetime

import msgspec

from goodsgate.model.batch import Counts, RoundKind, State, outcome_of
from goodsgate.model.guard import Hold
from goodsgate.model.roles import add_roles
from goodsgate.model.rule_counts import RuleCounts, add_rule_counts
from goodsgate.store.contract import ChunkCommit, ClaimedRound, StoreError
from goodsgate.store.shared.timestamps import timestamp

IN_TRIAL, AFTER_TRIAL = 1, 2
COUNT_NAMES = Counts.__struct_fields__
encode = msgspec.json.Encoder().encode
decode_roles = msgspec.json.Decoder(dict[str, int]).decode
decode_rule_counts = msgspec.json.Decoder(dict[str, RuleCounts]).decode
decode_hold = msgspec.json.Decoder(Hold).decode


class Progress(msgspec.Struct, kw_only=True):
    """The progress of a batch; a commit moves it on and writes it back."""

    seq: int
    """Number by which the store refers to the batch."""
    round: int
    chunks: int = 0
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
    merged: int = 0
    waiting: int = 0
    warned: int = 0
    file_errors: int = 0
    columns: bytes | None = None
    mapping: bytes | None = None
    withheld: bytes | None = None
    reading: bytes | None = None
    roles: bytes | None = None
    rule_counts: bytes | None = None
    items_before: int
    first_at: int
    ended: str | None = None
    """State in which the round ended; or HELD at the end of its trial."""
    ended_at: int | None = None
    trial: int = 0
    """IN_TRIAL or AFTER_TRIAL of a guarded batch, else 0."""
    hold: bytes | None = None

    @property
    def rows(self) -> int:
        """Number under which the rows of results and issues are stored; those of a trial stay apart."""
        return -self.seq if self.trial == IN_TRIAL else self.seq

    @property
    def is_held(self) -> bool:
        """Whether the trial has ended and guards hold the batch."""
        return self.ended == State.HELD

    @property
    def fully_read(self) -> bool:
        """Whether the submission was read to its end, so that the number of its records is known."""
        return self.round > 0 or self.ended is not None

    def has_ended(self, round: int) -> bool:
        """Return whether this round is over."""
        return self.round > round or (self.round == round and self.ended is not None and not self.is_held)

    def begin_anew(self, *, items_before: int, first_at: int) -> None:
        """Begin again after the trial: the batch is applied now."""
        new = Progress(
            seq=self.seq, round=self.round, items_before=items_before, first_at=first_at, trial=AFTER_TRIAL,
            hold=self.hold,
        )
        for name in self.__struct_fields__:
            setattr(self, name, getattr(new, name))

    def needs_to_begin_anew(self, round: ClaimedRound) -> bool:
        """Return whether a round is that of a held batch which was approved since."""
        return self.trial == IN_TRIAL and round.number == 0 and not round.is_trial

    @property
    def outcome(self) -> str:
        """How the round ended: the outcome of a finished batch, or ``cancelled`` or ``broken``."""
        if self.ended != State.FINISHED:
            return str(self.ended)
        counts = Counts(**{name: getattr(self, name) for name in COUNT_NAMES})
        return str(outcome_of(counts, self.file_errors, is_withheld=self.withheld is not None))

    @property
    def results(self) -> dict[str, int]:
        """Number of records by each result that there is."""
        return {name: count for name in COUNT_NAMES if (count := getattr(self, name))}

    @property
    def end_time(self) -> datetime:
        """When the round ended, or the batch began if it has not."""
        return timestamp(self.ended_at or self.first_at)

    def encode_counts(self) -> bytes:
        """Return the counts as JSON, without zeros."""
        return encode(self.results)

    def check_next(self, commit: ChunkCommit) -> None:
        """Step into the chunk's round. Raises StoreError if it is not the next chunk."""
        round = commit.round
        if round.number > self.round:
            if self.ended is None:
                raise StoreError(f"round {self.round} of {round.batch} has not ended")
            self.round, self.chunks, self.records = round.number, 0, 0
            self.bytes_before, self.bytes_done = self.bytes_before + self.bytes_done, 0
            self.ended = self.ended_at = None
            if round.round_kind is RoundKind.REMOVAL:
                self.withheld = None
        if self.is_held:  # it is cancelled
            self.ended = self.ended_at = None
        if round.is_trial:
            self.trial = IN_TRIAL
        if self.ended is not None or commit.number != self.chunks:
            raise StoreError(f"chunk {commit.number} of {round.batch} is not the next one ({self.chunks} committed)")
        if commit.results and commit.first != self.total + 1:
            raise StoreError(f"record {commit.first} of {round.batch} is not the next one ({self.total} committed)")

    def advance(self, commit: ChunkCommit, written_at: int) -> None:
        """Move on to where the batch stands after the chunk."""
        self.chunks += 1
        self.records += commit.records
        self.total += len(commit.results)
        self.bytes_done = commit.bytes_done
        self.warned += commit.warned
        if commit.round.round_kind is RoundKind.SUBMISSION:
            self.file_errors += sum(found.severity == "error" for found in commit.file_issues)
        for name in COUNT_NAMES:
            setattr(self, name, getattr(self, name) + getattr(commit.counts, name))
        if commit.columns is not None:
            self.columns = encode(commit.columns)
        if commit.mapping is not None and (self.mapping is None or commit.round.round_kind.is_fix):
            self.mapping = encode(commit.mapping)
        if commit.reading is not None:
            self.reading = encode(commit.reading)
        if commit.roles:
            before = decode_roles(self.roles) if self.roles is not None else {}
            self.roles = encode(add_roles(before, commit.roles))
        if commit.rule_counts:
            known = decode_rule_counts(self.rule_counts) if self.rule_counts is not None else {}
            self.rule_counts = encode(add_rule_counts(known, commit.rule_counts))
        if commit.withheld is not None:
            self.withheld = encode(commit.withheld)
        if commit.hold is not None:
            self.hold = encode(commit.hold)
        if commit.cancels_results:
            cancelled = Counts(rejected=self.rejected, cancelled=self.total - self.rejected)
            for name in COUNT_NAMES:
                setattr(self, name, getattr(cancelled, name))
            self.withheld = None
        if commit.end_state is not None:
            self.ended, self.ended_at = commit.end_state, written_at

    def totals(self, commit: ChunkCommit) -> dict[str, int]:
        """Return what the chunk adds to the totals of the metrics.

        Records that a fix takes from the rejected ones were counted when they were rejected; those of a dry run are
        not counted, and those of a trial only if it is given up.
        """
        totals: dict[str, int] = {}
        if not commit.round.is_dry_run or commit.cancels_results:
            counts = self if commit.cancels_results else commit.counts
            totals = {f"records.{name}": getattr(counts, name) for name in COUNT_NAMES}
        if self.ended is not None and not self.is_held:
            totals[f"rounds_ended.{self.outcome}"] = 1
        return {name: count for name, count in totals.items() if count > 0}
