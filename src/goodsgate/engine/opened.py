"""A round in a worker's hands: its source, its settled shape, and where it stands."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, islice

import msgspec

from goodsgate.config import Config
from goodsgate.engine.ahead import Ahead, Made
from goodsgate.engine.check import Judged
from goodsgate.engine.shape import SAMPLE_RECORDS, Shape, settle_shape
from goodsgate.engine.source import Stretch, open_source
from goodsgate.model.batch import RoundKind, State
from goodsgate.model.issue import Issue
from goodsgate.store.contract import ChunkCommit, ClaimedRound, Store

PARTED_RECORDS = 8_192
"""Where settling is another machine's work, the last stretch of a round is parted if it is as long as this."""
LAST_PART = 4
"""The part behind is so many times shorter than the whole."""


class Opened:
    """One round, opened at its first record that is not settled; kept open between claims while memory allows."""

    def __init__(self, store: Store, config: Config, work: ClaimedRound) -> None:
        self.work = work
        self._source = open_source(store, work, config)
        stretches = self._source.stretches()
        self._stretches = _parted(stretches, work.bytes_total) if store.commits_remotely else stretches
        self._ahead: Ahead | None = None
        """What is behind the stretch last taken, where it was read already."""
        self.judged: Judged | None = None
        """Of the stretch last taken, where that was judged already."""
        self.made: Made | None = None
        """Of the same, where it was made already."""
        self.alone = False
        """Nobody waited for its turn when that was last asked, so that it goes on after the portion in hand."""
        self.exhausted = False
        """The stretch last taken was the last one."""
        self._shape: Shape | None = None
        self._told = 0
        """Of the source's notices, those in the store."""
        self._telling = 0
        """The same with those of the portion dressed last."""
        self._before = _notices(store, work) if work.chunks else []
        """A source that is read again says again what earlier portions told."""
        self._header_notices: list[Issue] = []

    def take(self) -> Stretch | None:
        """The next records; None at the end."""
        ahead = self._ahead or Ahead(next(self._stretches, None))
        stretch, self.judged, self._ahead = ahead.stretch, ahead.judged, None
        self.made = ahead.made if ahead.is_made(self.work) else None
        if stretch is None:
            self.exhausted = True
        elif stretch.bytes_done >= self.work.bytes_total or stretch.passed is not None:
            # Only here is a look ahead cheap or likely to find the end; elsewhere it would hold two blocks.
            self._ahead = Ahead(next(self._stretches, None))
            self.exhausted = self._ahead.stretch is None
        return stretch

    def give_back(self, stretch: Stretch) -> None:
        """What is left of the stretch last taken comes next."""
        ahead = self._ahead.stretch if self._ahead is not None else None
        self._stretches = chain([stretch] if ahead is None else [stretch, ahead], self._stretches)
        self._ahead = None
        self.exhausted = False

    def look_ahead(self, settling: ChunkCommit, judge: Callable[[Stretch], Judged],
                   make: Callable[[ClaimedRound, Stretch, Judged], Made | None]) -> None:
        """Read and judge the next stretch while the last one is settled elsewhere, and make it too if it may be.

        Not of a fix or a retry: which records these replace is told by what is settled.
        """
        if self.work.round_kind is not RoundKind.SUBMISSION:
            return
        ahead = self._ahead = self._ahead or Ahead(next(self._stretches, None))
        stretch, work = ahead.stretch, after(self.work, settling)
        if stretch is None:
            return
        with suppress(Exception):  # it fails again when it is its turn, and is then dealt with
            judged = ahead.judged = ahead.judged or judge(stretch)
            if self.alone and not ahead.is_made(work):
                ahead.made = None
                ahead.made = make(work, stretch, judged)

    def claimed(self, work: ClaimedRound) -> None:
        """It goes on under another claim: what was made under the last one no longer counts."""
        self.work = msgspec.structs.replace(self.work, cancelling=work.cancelling, overtakes=work.overtakes)
        self.alone = False
        if self._ahead is not None:
            self._ahead.made = None

    def shape(self, stretch: Stretch) -> Shape:
        """How names are read; settled with the batch's first stretch."""
        if self._shape is None:
            work = self.work
            if work.mapping is not None or work.round_kind is not RoundKind.SUBMISSION:
                self._shape = Shape(work.kind, work.mapping or {}, work.columns)
            else:
                self._shape, self._header_notices = settle_shape(
                    work.kind, work.policy, columns=self._source.header, sample=islice(stretch.lines, SAMPLE_RECORDS)
                )
        return self._shape

    def dress(self, portion: ChunkCommit, *, ends: bool = False) -> ChunkCommit:
        """The portion with what the batch keeps of the file: shape and notices, told once each; and its end."""
        portion = self._dressed(portion)
        if not ends:
            return portion
        state, told = self.end()
        return msgspec.structs.replace(
            portion, end_state=state, file_issues=[*portion.file_issues, *told], bytes_done=self.work.bytes_total
        )

    def _dressed(self, portion: ChunkCommit) -> ChunkCommit:
        self._telling = len(self._source.notices)
        fresh = [told for told in self._source.notices[self._told :] if told not in self._before]
        notices = [*self._header_notices, *fresh]
        first = self.work.mapping is None and self._shape is not None and self.work.round_kind is RoundKind.SUBMISSION
        if not notices and not first:
            return portion
        shape = self._shape
        return msgspec.structs.replace(
            portion, file_issues=notices, columns=shape.columns if first and shape else portion.columns,
            mapping=shape.mapping if first and shape else portion.mapping,
        )

    def settled(self, portion: ChunkCommit) -> None:
        """Note that the portion is in the store."""
        self._header_notices = []
        self._told = max(self._told, self._telling)
        self.work = after(self.work, portion)

    def end(self) -> tuple[State, list[Issue]]:
        """State the round leaves the batch in, and what is to be said of a payload that broke off."""
        stopped = self._source.stopped
        if stopped is None:
            return State.FINISHED, []
        return (State.BROKEN if self.work.round_kind is RoundKind.SUBMISSION else State.FINISHED), [stopped]


def _parted(stretches: Iterator[Stretch], end: int) -> Iterator[Stretch]:
    """The same, the last one parted if it is large: nothing is done while its last part is settled."""
    while parts := _parts(next(stretches, None), end):
        while parts:
            yield parts.pop(0)  # freed before the next is made


def _parts(stretch: Stretch | None, end: int) -> list[Stretch]:
    if stretch is None:
        return []
    count = len(stretch)
    if count < PARTED_RECORDS or stretch.numbers is not None or stretch.bytes_done < end:
        return [stretch]
    last = count - count // LAST_PART
    return [stretch.part(0, last), stretch.part(last, count)]


def _notices(store: Store, work: ClaimedRound) -> list[Issue]:
    """What was already said of the file as a whole."""
    first = store.findings(work.merchant, work.batch, after=-1, limit=1)
    return first[0].issues if first and first[0].number == 0 else []


def after(work: ClaimedRound, portion: ChunkCommit) -> ClaimedRound:
    """The work once the portion is settled."""
    return msgspec.structs.replace(
        work, chunks=work.chunks + 1, records=work.records + portion.records,
        total=work.total + len(portion.results),
        columns=portion.columns if portion.columns is not None else work.columns,
        mapping=portion.mapping if portion.mapping is not None else work.mapping,
    )
